//! The system calls that qshm makes, as a trait with two implementations.
//!
//! [`Linux`] is the real one and the only place with `unsafe` beside the bridge. The other
//! models files, System V objects and the death of processes for the protocol tests, and is held
//! against the real one by random call sequences.
//!
//! Each method is one system call (or one call and its bounded repetition, where a method takes
//! a [`Wait`]), named after it, and returns the kernel's own `errno`. Nothing here decides
//! anything.

mod evidence;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
mod range_locks;
#[cfg(feature = "machine")]
pub mod survey;
mod types;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

pub use evidence::Evidence;
pub use nix::errno::Errno;

#[cfg(target_os = "linux")]
pub use linux::{Linux, at_secure};
pub use range_locks::{HeldRange, MappedBy, MappedFile, OpenDirect, RangeLocks};
pub use types::{
    Fd, FileKind, FileLock, FileStat, IpcId, IpcKey, IpcPerm, LockRow, NewObject, Open, OwnSlot,
    Process, Range, SegmentRow, SemStat, SemaphoreRow, ShmStat, Wait,
};

/// The size of what [`Kernel::hold`] maps, in bytes.
pub const HELD: usize = 4096;

/// The system calls.
///
/// Descriptors, ids and addresses are plain numbers, as the kernel has them; the layers above
/// give them owners.
pub trait Kernel: Clone + Evidence {
    /// The calling process: getpid(2).
    fn getpid(&self) -> i32;

    /// A number, not 0, that is another one in every forked child than in its parent. Their pids
    /// may be the same, in two PID namespaces, so what is the parent's is told by this. Of a kernel
    /// in which they can't, the pid.
    fn fork_mark(&self) -> u32 {
        self.getpid().unsigned_abs()
    }

    /// The calling thread's effective user: geteuid(2).
    fn geteuid(&self) -> u32;

    /// The calling thread's effective group: getegid(2).
    fn getegid(&self) -> u32;

    /// Whether a process has this pid: kill(2) with signal 0. Says yes where it can't be known.
    fn is_alive(&self, pid: i32) -> bool;

    /// Runs `act` with the calling thread's effective user and group changed, and changes them
    /// back also if `act` panics: setresuid(2) and setresgid(2) of this thread alone, with the
    /// dumpable flag and the parent-death signal put back.
    ///
    /// # Errors
    /// `EPERM`: the process may not; `act` has not run.
    fn as_user<T>(&self, uid: u32, gid: u32, act: impl FnOnce() -> T) -> Result<T, Errno>;

    /// open(2), with `O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC`.
    fn open(&self, path: &Path, how: Open) -> Result<Fd, Errno>;

    /// As [`Open::New`], with just this mode whatever the umask, and this group; made so before
    /// it has a name, where the file system can do that, since others must not see it unfinished.
    /// Who is not a member can't give it to the group; then it stays the maker's, and no group
    /// may do anything with it.
    fn open_new_shared(&self, path: &Path, mode: u32, group: Option<u32>) -> Result<Fd, Errno> {
        let fd = self.open(path, Open::New(mode))?;
        let given = group.is_none_or(|gid| self.fchgrp(fd, gid).is_ok());
        let _ = self.fchmod(fd, if given { mode } else { mode & !0o070 });
        Ok(fd)
    }

    /// Opens the file behind a descriptor anew (`/proc/self/fd`), unlinked or not, so that the
    /// two have locks of their own.
    fn reopen(&self, fd: Fd) -> Result<Fd, Errno>;

    /// close(2).
    fn close(&self, fd: Fd);

    /// fstat(2), as statx(2) of a descriptor.
    fn fstat(&self, fd: Fd) -> Result<FileStat, Errno>;

    /// lstat(2), as statx(2) of a path.
    fn lstat(&self, path: &Path) -> Result<FileStat, Errno>;

    /// fchmod(2).
    fn fchmod(&self, fd: Fd, mode: u32) -> Result<(), Errno>;

    /// chmod(2), of a file or directory that only its owner, who calls, could have replaced. A
    /// kernel that models no umask has no need of it.
    fn chmod(&self, _path: &Path, _mode: u32) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }

    /// fchown(2) of the group alone.
    fn fchgrp(&self, fd: Fd, gid: u32) -> Result<(), Errno>;

    /// flock(2). With [`Wait::AtMost`] it is asked again and again, with growing pauses: the
    /// kernel has no timed form.
    fn flock(&self, fd: Fd, lock: FileLock, wait: Wait) -> Result<(), Errno>;

    /// unlink(2).
    fn unlink(&self, path: &Path) -> Result<(), Errno>;

    /// mkdir(2) with this mode (less the umask).
    fn mkdir(&self, path: &Path, mode: u32) -> Result<(), Errno>;

    /// rmdir(2).
    fn rmdir(&self, path: &Path) -> Result<(), Errno>;

    /// Whether the thread's effective user may make files in a directory: faccessat(2) with
    /// `W_OK | X_OK` and `AT_EACCESS`. A kernel that can't tell says yes.
    fn may_write(&self, _directory: &Path) -> bool {
        true
    }

    /// The id of the segment that a key leads to: shmget(2) with size 0 and no flags, which
    /// needs no permission.
    fn shm_find(&self, key: IpcKey) -> Result<IpcId, Errno>;

    /// shmget(2) with `IPC_CREAT | IPC_EXCL`.
    fn shm_create(&self, key: IpcKey, size: usize, mode: u32) -> Result<IpcId, Errno>;

    /// shmctl(2) `IPC_STAT`; needs permission to read.
    fn shm_stat(&self, id: IpcId) -> Result<ShmStat, Errno>;

    /// shmctl(2) `IPC_SET`.
    fn shm_set(&self, id: IpcId, uid: u32, gid: u32, mode: u32) -> Result<(), Errno>;

    /// shmctl(2) `IPC_RMID`.
    fn shm_remove(&self, id: IpcId) -> Result<(), Errno>;

    /// shmat(2); the address.
    fn shm_attach(&self, id: IpcId, read_only: bool) -> Result<usize, Errno>;

    /// shmdt(2).
    fn shm_detach(&self, address: usize) -> Result<(), Errno>;

    /// Fills a segment that this process has attached, `size` bytes long, with zeros.
    fn shm_clear(&self, address: usize, size: usize);

    /// The first eight bytes of a segment that this process has attached, which may be smaller
    /// but is always a page: one atomic load.
    fn shm_load(&self, address: usize) -> u64;

    /// One atomic store of the same.
    fn shm_store(&self, address: usize, value: u64);

    /// The id of the semaphore set that a key leads to: semget(2) with no flags, which needs no
    /// permission.
    fn sem_find(&self, key: IpcKey) -> Result<IpcId, Errno>;

    /// semget(2) of one semaphore with `IPC_CREAT | IPC_EXCL`. Its value is 0.
    fn sem_create(&self, key: IpcKey, mode: u32) -> Result<IpcId, Errno>;

    /// Whether there are as many semaphore sets as there may be (`SEMMNI`): semctl(2) `SEM_INFO`.
    /// A kernel that can't tell says no.
    fn sem_limit_reached(&self) -> bool {
        false
    }

    /// semctl(2) `IPC_STAT`; needs permission to read.
    fn sem_stat(&self, id: IpcId) -> Result<SemStat, Errno>;

    /// semctl(2) `IPC_SET`.
    fn sem_set(&self, id: IpcId, uid: u32, gid: u32, mode: u32) -> Result<(), Errno>;

    /// semctl(2) `IPC_RMID`.
    fn sem_remove(&self, id: IpcId) -> Result<(), Errno>;

    /// semctl(2) `GETVAL`.
    fn sem_value(&self, id: IpcId) -> Result<i32, Errno>;

    /// semctl(2) `GETNCNT`: how many wait for the value to rise.
    fn sem_waiting(&self, id: IpcId) -> Result<i32, Errno>;

    /// semctl(2) `GETPID`: who changed the value last, by semop, `SETVAL` or an undo at exit;
    /// 0 if nobody has since the semaphore was made, or if it was somebody in a PID namespace
    /// that this process can't see.
    fn sem_last_pid(&self, id: IpcId) -> Result<i32, Errno>;

    /// Whether anybody ever operated on it, or ended after having tried to with `SEM_UNDO`:
    /// `sem_otime` is set, semctl(2) `IPC_STAT`. A
    /// process in another PID namespace has no pid here, but this shows.
    fn sem_was_used(&self, id: IpcId) -> Result<bool, Errno> {
        self.sem_last_pid(id).map(|pid| pid != 0)
    }

    /// semctl(2) `SETVAL`. Clears every process's undo of this semaphore.
    fn sem_set_value(&self, id: IpcId, value: i32) -> Result<(), Errno>;

    /// semtimedop(2) of one operation with `SEM_UNDO`; `delta` is not 0. `EINTR` is not passed
    /// on: the call goes on waiting.
    fn sem_op(&self, id: IpcId, delta: i16, wait: Wait) -> Result<(), Errno>;

    /// fcntl(2) `F_OFD_SETLK` of a range, which need not exist: locks of the open file, apart from
    /// those of [`flock`](Self::flock). To take them exclusively the file must be open for
    /// writing. `Wait` as with flock: `EAGAIN` where another open file has some of it locked.
    fn range_lock(&self, fd: Fd, range: Range, lock: FileLock, wait: Wait) -> Result<(), Errno>;

    /// fcntl(2) `F_OFD_GETLK` for an exclusive lock: one of the locks of other open files that
    /// overlap, shared ones too; `None` if there is none.
    fn range_holder(&self, fd: Fd, range: Range) -> Result<Option<Range>, Errno>;

    /// open(2) of the file of a POSIX object, as [`open`](Self::open), for writing too if asked.
    fn named_open(&self, _path: &Path, _write: bool) -> Result<Fd, Errno> {
        Err(Errno::ENOSYS)
    }

    /// Opens the file behind a descriptor anew for reading and writing, unlinked or not:
    /// open(2) of `/proc/self/fd/N`.
    fn named_reopen(&self, _fd: Fd) -> Result<Fd, Errno> {
        Err(Errno::ENOSYS)
    }

    /// Says that this process is about to open a file only in order to look at it, until the
    /// descriptor that this returns is closed: open(2) of the file's directory and a shared lock,
    /// `F_OFD_SETLK`, at a position that the file's name gives. Nobody can keep others from that,
    /// since a directory can't be opened for writing.
    fn announce(&self, _path: &Path) -> Result<Fd, Errno> {
        Err(Errno::ENOSYS)
    }

    /// [`named_open`](Self::named_open), and flock(2), exclusively; announced, see
    /// [`announce`](Self::announce), until the lock is taken. Where somebody else has that lock the
    /// file is closed again and the two are repeated: whoever has the lock must be able to tell
    /// from [`named_alone`](Self::named_alone) that nobody uses the file. `known`: this process is
    /// known for a user of the file meanwhile by a lock of its own, and announces nothing.
    fn named_open_locked(
        &self,
        path: &Path,
        write: bool,
        _known: bool,
        _wait: Wait,
    ) -> Result<Fd, Errno> {
        self.named_open(path, write)
    }

    /// close(2) of what `named_open_locked` or [`named_make`](Self::named_make) opened, after
    /// giving its lock back: a child that another thread has forked meanwhile has the open file,
    /// too, and would keep the lock.
    fn named_close(&self, fd: Fd) {
        self.close(fd);
    }

    /// Makes an object's file, open for writing, with `size` bytes that begin with `content`, with
    /// this mode whatever the umask and this group, with its flock(2) taken exclusively, and gives
    /// it its name only then: open(2) `O_TMPFILE`, linkat(2). `EEXIST`: something has the name.
    fn named_make(&self, _path: &Path, _new: &NewObject<'_>) -> Result<Fd, Errno> {
        Err(Errno::ENOSYS)
    }

    /// Whether nobody else has the file of this path, which `fd` is, open or mapped, on the whole
    /// machine, in any PID namespace: fcntl(2) `F_SETLEASE`, given back at once. Only the owner of
    /// the file and root may ask.
    ///
    /// Asked again for as long as `wait` says while somebody is announced who only looks, and for
    /// the moment that the end of a process takes.
    fn named_alone(&self, _fd: Fd, _path: &Path, _wait: Wait) -> Result<bool, Errno> {
        Err(Errno::ENOSYS)
    }

    /// unlink(2) of the file that `fd` is, and that nobody else has open, under a lease: whoever
    /// opens it meanwhile waits, and then finds a file without content instead of a segment of its
    /// own.
    ///
    /// # Errors
    /// `EAGAIN`: somebody else has it open, or this process may not ask.
    fn named_unlink(&self, _fd: Fd, path: &Path) -> Result<(), Errno> {
        self.unlink(path)
    }

    /// Whether a process whose maps this user may read has the file mapped: `/proc/PID/maps`.
    fn is_mapped(&self, _file: &FileStat) -> bool {
        false
    }

    /// Makes a file at least so long, with all its memory: fallocate(2), or ftruncate(2) where the
    /// file system has no such call.
    fn named_reserve(&self, _fd: Fd, _size: u64) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }

    /// mmap(2) of a whole file, shared.
    fn map(&self, _fd: Fd, _size: usize, _read_only: bool) -> Result<usize, Errno> {
        Err(Errno::ENOSYS)
    }

    /// The same for reading and writing, but not in forked children (`MADV_DONTFORK`): what is
    /// locked through this mapping is not theirs. `at`: in the place of what
    /// [`retire`](Self::retire) left.
    fn map_own(&self, _fd: Fd, _size: usize, _at: Option<usize>) -> Result<usize, Errno> {
        Err(Errno::ENOSYS)
    }

    /// Gives a mapping up, and leaves memory of the process's own at its address: a thread may be
    /// just about to look there.
    fn retire(&self, _address: usize, _size: usize) {}

    /// mmap(2) of a file's first page, without any access and also where there is none: it keeps
    /// the open file, and so its locks, where the application closes the descriptor. A forked
    /// child has it too. Given up by [`unmap`](Self::unmap) with [`HELD`] as its size. A kernel
    /// without mappings can't.
    fn hold(&self, _fd: Fd) -> Result<usize, Errno> {
        Err(Errno::ENOSYS)
    }

    /// munmap(2).
    fn unmap(&self, _address: usize, _size: usize) {}

    /// The slots that this process has in POSIX semaphores: no call, but memory of the process,
    /// which the kernel's side knows best.
    fn own_slots(&self) -> &Mutex<Vec<OwnSlot>>;

    /// Reads eight bytes of mapped memory that others change, at an address that is a multiple of
    /// eight.
    fn word(&self, _address: usize) -> u64 {
        0
    }

    /// Reads so many words, one after the other.
    fn words(&self, address: usize, count: usize) -> Vec<u64> {
        (0..count)
            .map(|index| self.word(address + 8 * index))
            .collect()
    }

    /// Changes such a word from `old` to `new`, or tells what it is instead.
    fn word_swap(&self, _address: usize, old: u64, _new: u64) -> Result<(), u64> {
        Err(!old)
    }

    /// Writes such a word.
    fn word_set(&self, _address: usize, _value: u64) {}

    /// futex(2) `FUTEX_WAIT` for as long as the lower half of a word is `low`; at most `time`.
    fn word_wait(&self, _address: usize, _low: u32, _time: Duration) {}

    /// Runs `act` while no other thread forks, so that a descriptor that is open only meanwhile
    /// is in no child: pthread_atfork(3). Not to be nested, nor to wait in. A kernel that models no
    /// fork has no need of it.
    fn without_fork<T>(&self, act: impl FnOnce() -> T) -> T {
        act()
    }

    /// Time that only goes on: clock_gettime(2) `CLOCK_MONOTONIC`. In a kernel without a clock it
    /// stands still.
    fn clock(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether another processor may be changing memory at this moment, so that it makes sense to
    /// look again at once.
    fn spin(&self) -> bool {
        false
    }

    /// futex(2) `FUTEX_WAKE`.
    fn word_wake(&self, _address: usize, _count: i32) {}

    /// The time, in seconds since 1970: clock_gettime(2). A kernel without a clock is at the end
    /// of time.
    fn now(&self) -> i64 {
        i64::MAX
    }

    /// The keys of all segments that processes are attached to: shmctl(2) `SHM_STAT_ANY`. None
    /// on a machine with more than some hundred, and of a kernel that can't tell; so with the
    /// next three.
    fn shm_keys(&self) -> Vec<IpcKey> {
        Vec::new()
    }

    /// The keys of all semaphores: semctl(2) `SEM_STAT_ANY`.
    fn sem_keys(&self) -> Vec<IpcKey> {
        Vec::new()
    }

    /// The inode numbers of a directory's files whose names start like this: readdir(3).
    fn inodes(&self, _directory: &Path, _prefix: &str) -> Vec<u64> {
        Vec::new()
    }

    /// Opens a file that was unlinked from this path and that a process of this user still has
    /// open, found in `/proc`.
    fn open_deleted(&self, _path: &Path, _uid: u32) -> Option<Fd> {
        None
    }

    /// The first bytes of a file, at most so many: pread(2).
    fn read_start(&self, _fd: Fd, _length: usize) -> Result<Vec<u8>, Errno> {
        Err(Errno::ENOSYS)
    }

    /// The files in a directory: readdir(3). Empty where that may not be read.
    fn files_in(&self, _directory: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Sleeps, in a bounded repetition: nanosleep(2).
    fn pause(&self, time: Duration);
}
