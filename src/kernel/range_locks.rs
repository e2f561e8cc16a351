//! The system calls that instance numbers need beside those of [`Kernel`]: locks on ranges of a
//! file that belong to an open file description, and a mapping that keeps one.

use std::path::Path;

use super::{Errno, Fd, FileStat, Kernel, Range};

/// A lock that some process on the machine holds, on whichever file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeldRange {
    /// The device of the file, as `st_dev` on most file systems.
    pub dev: u64,
    /// Its inode number.
    pub ino: u64,
    /// What is locked.
    pub range: Range,
}

/// A file that may be mapped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappedFile {
    /// Its device.
    pub dev: u64,
    /// Its inode number.
    pub ino: u64,
    /// The last part of its path, if only that will do.
    pub name: Option<String>,
}

/// Whose mappings [`RangeLocks::mapped`] looks at: of processes that have the same mount namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MappedBy {
    /// The processes' effective user, or root; `None`: whoever's.
    pub uid: Option<u32>,
    /// The device of files for which the mount namespace may be another one.
    pub anywhere: Option<u64>,
}

/// How [`RangeLocks::open_direct`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenDirect {
    /// `O_RDONLY`, enough to ask who holds a lock.
    Read,
    /// `O_RDWR`, which it takes to lock exclusively.
    Write,
}

/// Locks by open file description (`F_OFD_SETLK`, fcntl(2)) and what goes with them.
///
/// Such a lock lives as long as its open file description. [`keep`](Self::keep) lets a mapping
/// hold the description instead of a descriptor: it is gone after execve(2) and in a forked child
/// (`MADV_DONTFORK`), and stays when an application closes every descriptor.
pub trait RangeLocks: Kernel {
    /// openat2(2) with `RESOLVE_NO_SYMLINKS`, `O_NONBLOCK`, `O_NOCTTY`, `O_CLOEXEC`: `ELOOP` where
    /// a symbolic link is anywhere on the way.
    fn open_direct(&self, path: &Path, how: OpenDirect) -> Result<Fd, Errno>;

    /// Which directory a path leads to, and when it was last changed in any way, also by what was
    /// made or removed in it: device, inode number, `stx_ctime` in nanoseconds; statx(2), which
    /// follows no symbolic link at the end.
    fn version(&self, directory: &Path) -> Result<[u64; 3], Errno>;

    /// Whether [`keep`](Self::keep) keeps locks of files in this directory, whose status is known;
    /// see mmap(2) and, on why not, `overlayfs.rst` of the kernel. Tried once for each directory.
    fn keeps_locks(&self, _directory: &Path, _stat: &FileStat) -> bool {
        true
    }

    /// Makes an empty file with just this mode and this group, or none at all: one that the group
    /// can't open would keep its members out for good. As [`Kernel::open_new_shared`] otherwise.
    ///
    /// # Errors
    /// `EEXIST`: there is one. `ENOENT`: the directory has gone. `EPERM`: not a member.
    fn make_registry(&self, path: &Path, mode: u32, group: Option<u32>) -> Result<(), Errno> {
        let fd = self.open_new_shared(path, mode, group)?;
        self.close(fd);
        Ok(())
    }

    /// All locks of this kind on the machine that lie in the range, on whichever file, also on
    /// files that have been deleted: `/proc/locks`, see proc(5).
    fn held_ranges(&self, range: Range) -> Result<Vec<HeldRange>, Errno>;

    /// Device and inode number of those of the files that are mapped as [`keep`](Self::keep) does by such a process which this one
    /// may look at, as root where it acts for a user: `/proc/PID/maps`. Slow.
    ///
    /// # Errors
    /// Such as `EMFILE`: it could not be looked at at all.
    fn mapped(&self, files: &[MappedFile], by: MappedBy) -> Result<Vec<(u64, u64)>, Errno>;

    /// Lets a mapping hold the description as well, also when the descriptor is closed: mmap(2)
    /// with `PROT_NONE`, madvise(2) with `MADV_DONTFORK`. The address.
    fn keep(&self, fd: Fd) -> Result<usize, Errno>;

    /// Ends what [`keep`](Self::keep) began, and with it the description's locks: munmap(2).
    fn let_go(&self, address: usize);

    /// At most `length` bytes from `offset`, fewer at the file's end: pread(2).
    fn read_at(&self, fd: Fd, offset: u64, length: usize) -> Result<Vec<u8>, Errno>;

    /// pwrite(2) of all of `bytes`; `EFBIG` without a signal where the process may not make a file
    /// so large.
    fn write_at(&self, fd: Fd, offset: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// The path of the running program, empty if it is not known: readlink(2) of
    /// `/proc/self/exe`.
    fn program(&self) -> String {
        String::new()
    }

    /// A number for the process's PID namespace, 0 if it is not known: stat(2) of
    /// `/proc/self/ns/pid`.
    fn pid_namespace(&self) -> u32 {
        0
    }
}
