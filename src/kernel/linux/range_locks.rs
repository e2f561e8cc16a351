//! [`RangeLocks`] on Linux.

use std::ffi::CStr;
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::ptr;

use nix::NixPath as _;
use once_cell::sync::Lazy;

use super::super::range_locks::{HeldRange, MappedBy, MappedFile, OpenDirect, RangeLocks};
use super::super::{Errno, Fd, FileStat, Kernel as _, Range};
use super::shared_file::new_file;
use super::{Linux, check};

/// How much of a file is mapped to keep its description: what one page takes. Nothing is ever
/// read there, so the file may be shorter.
const MAPPED: usize = 4096;

/// How large this process may make a file: getrlimit(2), `RLIMIT_FSIZE`.
fn file_size_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the kernel writes one struct rlimit, which lives here.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    limit.rlim_cur
}

fn openat2(path: &CStr, flags: libc::c_int) -> Result<Fd, Errno> {
    // SAFETY: all of the structure's fields are numbers, for which zero is valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from(flags as u32);
    how.resolve = libc::RESOLVE_NO_SYMLINKS;
    // SAFETY: the path ends with a NUL and the structure has the size that is passed; both live
    // through the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    Errno::result(fd).map(|fd| fd as RawFd)
}

/// For kernels without openat2(2) (before 5.6): every directory on the way is looked at, which
/// leaves a moment in which one could be exchanged by whoever may write to the one above.
fn open_step_by_step(path: &Path, flags: libc::c_int) -> Result<Fd, Errno> {
    for directory in path.ancestors().skip(1) {
        let is_link = fs::symlink_metadata(directory)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?
            .is_symlink();
        if is_link {
            return Err(Errno::ELOOP);
        }
    }
    path.with_nix_path(|path: &CStr| {
        // SAFETY: the path ends with a NUL and lives through the call.
        check(unsafe { libc::open(path.as_ptr(), flags | libc::O_NOFOLLOW) })
    })?
}

impl RangeLocks for Linux {
    fn open_direct(&self, path: &Path, how: OpenDirect) -> Result<Fd, Errno> {
        let access = match how {
            OpenDirect::Read => libc::O_RDONLY,
            OpenDirect::Write => libc::O_RDWR,
        };
        let flags = access | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
        match path.with_nix_path(|path| openat2(path, flags))? {
            // No such call, or a sandbox that does not know it.
            Err(Errno::ENOSYS | Errno::EPERM) => open_step_by_step(path, flags),
            answer => answer,
        }
    }

    fn version(&self, directory: &Path) -> Result<[u64; 3], Errno> {
        let status = fs::symlink_metadata(directory)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        let changed = status.ctime().wrapping_mul(1_000_000_000);
        Ok([
            status.dev(),
            status.ino(),
            changed.wrapping_add(status.ctime_nsec()) as u64,
        ])
    }

    fn keeps_locks(&self, directory: &Path, stat: &FileStat) -> bool {
        super::keeping::keeps(directory, stat)
    }

    fn make_registry(&self, path: &Path, mode: u32, group: Option<u32>) -> Result<(), Errno> {
        let fd = new_file(*self, path, mode, |fd| {
            if let Some(gid) = group {
                self.fchgrp(fd, gid)?;
            }
            self.fchmod(fd, mode)
        })?;
        self.close(fd);
        Ok(())
    }

    fn held_ranges(&self, range: Range) -> Result<Vec<HeldRange>, Errno> {
        super::lock_table::read(range)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    }

    fn mapped(&self, files: &[MappedFile], by: MappedBy) -> Result<Vec<(u64, u64)>, Errno> {
        super::as_user::as_root_again(|| super::proc::mapped(files, by))
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    }

    fn keep(&self, fd: Fd) -> Result<usize, Errno> {
        // SAFETY: a new mapping at an address of the kernel's choice, to which nobody has access.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                MAPPED,
                libc::PROT_NONE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                fd,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            Err(Errno::last())
        } else {
            // SAFETY: exactly the mapping just made.
            match check(unsafe { libc::madvise(address, MAPPED, libc::MADV_DONTFORK) }) {
                Ok(_) => Ok(address as usize),
                Err(errno) => {
                    // SAFETY: as above, and nobody knows of it.
                    unsafe { libc::munmap(address, MAPPED) };
                    Err(errno)
                }
            }
        }
    }

    fn let_go(&self, address: usize) {
        // SAFETY: the address is one that `keep` returned to this process, given back once; there
        // is no reference into a mapping without access.
        unsafe { libc::munmap(address as *mut libc::c_void, MAPPED) };
    }

    fn read_at(&self, fd: Fd, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let mut bytes = vec![0; length];
        // SAFETY: the kernel writes at most `length` bytes, as many as there are.
        let read =
            Errno::result(unsafe { libc::pread(fd, bytes.as_mut_ptr().cast(), length, offset) })?;
        bytes.truncate(read as usize);
        Ok(bytes)
    }

    fn write_at(&self, fd: Fd, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        // Past the limit the kernel would send SIGXFSZ, which ends a program.
        if offset.saturating_add(bytes.len() as u64) > file_size_limit() {
            return Err(Errno::EFBIG);
        }
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the kernel reads as many bytes as there are.
        let written =
            Errno::result(unsafe { libc::pwrite(fd, bytes.as_ptr().cast(), bytes.len(), offset) })?;
        if written as usize == bytes.len() {
            Ok(())
        } else {
            Err(Errno::ENOSPC)
        }
    }

    fn program(&self) -> String {
        static PROGRAM: Lazy<String> = Lazy::new(|| {
            let path = fs::read_link("/proc/self/exe").unwrap_or_default();
            path.to_string_lossy().into_owned()
        });
        PROGRAM.clone()
    }

    fn pid_namespace(&self) -> u32 {
        static NAMESPACE: Lazy<u32> =
            Lazy::new(|| fs::metadata("/proc/self/ns/pid").map_or(0, |status| status.ino() as u32));
        *NAMESPACE
    }
}
