//! POSIX objects: the files behind shm_open(3) and sem_open(3), their locks, and words in memory
//! that processes share.

use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open as nix_open};
use nix::sys::stat::Mode;
use nix::unistd;
use once_cell::sync::Lazy;

use super::super::{Errno, Fd, FileLock, HELD, Kernel as _, NewObject, Wait};
use super::shared_file::finish_shared;
use super::{Linux, check};

fn access(write: bool) -> OFlag {
    let access = if write {
        OFlag::O_RDWR
    } else {
        OFlag::O_RDONLY
    };
    access | OFlag::O_CLOEXEC
}

pub fn open(path: &Path, write: bool) -> Result<Fd, Errno> {
    let flags = access(write) | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    above_standard(nix_open(path, flags, Mode::empty())?)
}

/// A descriptor that no program takes for its standard output: where that is closed, an open file
/// gets its number.
pub fn above_standard(fd: OwnedFd) -> Result<Fd, Errno> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd.into_raw_fd());
    }
    // SAFETY: numbers only; the kernel checks the descriptor, and gives a new one.
    check(unsafe {
        libc::fcntl(
            fd.as_raw_fd(),
            libc::F_DUPFD_CLOEXEC,
            libc::STDERR_FILENO + 1,
        )
    })
}

pub fn reopen(fd: Fd) -> Result<Fd, Errno> {
    let path = format!("/proc/self/fd/{fd}");
    let flags = access(true) | OFlag::O_NONBLOCK;
    above_standard(nix_open(path.as_str(), flags, Mode::empty())?)
}

pub fn make(kernel: Linux, path: &Path, new: &NewObject<'_>) -> Result<Fd, Errno> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    match nix_open(directory, access(true) | OFlag::O_TMPFILE, mode) {
        Ok(fd) => {
            finish(kernel, &fd, new)?;
            match link(&fd, path) {
                Ok(()) => above_standard(fd),
                // The directory has gone, or there is no /proc to name the file by: the attempt
                // below tells which.
                Err(Errno::ENOENT) => make_by_name(kernel, path, new),
                Err(errno) => Err(errno),
            }
        }
        // Not on this file system: others may see it unfinished for a moment, and clear it then.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => make_by_name(kernel, path, new),
        Err(errno) => Err(errno),
    }
}

/// Makes a file that has its name from the start.
fn make_by_name(kernel: Linux, path: &Path, new: &NewObject<'_>) -> Result<Fd, Errno> {
    let flags = access(true) | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
    let fd = nix_open(path, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    finish(kernel, &fd, new).inspect_err(|_| {
        let _ = unistd::unlink(path);
    })?;
    above_standard(fd)
}

/// Gives a file without a name one.
pub fn link(fd: &OwnedFd, path: &Path) -> Result<(), Errno> {
    match unistd::linkat(fd, "", AT_FDCWD, path, AtFlags::AT_EMPTY_PATH) {
        // Before Linux 6.10 that is for root alone.
        Err(Errno::ENOENT) => {
            let unnamed = format!("/proc/self/fd/{}", fd.as_raw_fd());
            let follow = AtFlags::AT_SYMLINK_FOLLOW;
            unistd::linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, path, follow)
        }
        answer => answer,
    }
}

/// Gives a new file all that it needs.
fn finish(kernel: Linux, fd: &OwnedFd, new: &NewObject<'_>) -> Result<(), Errno> {
    let raw = fd.as_raw_fd();
    kernel.flock(raw, FileLock::Exclusive, Wait::No)?;
    let as_it_is = new.mode == 0o600 && new.group.is_none();
    if !as_it_is || kernel.fstat(raw)?.mode & 0o777 != new.mode {
        finish_shared(kernel, raw, new.mode, new.group);
    }
    if new.reserve {
        reserve(kernel, raw, new.size)?;
    } else {
        resize(raw, new.size)?;
    }
    let mut content = new.content;
    while !content.is_empty() {
        match unistd::write(fd, content) {
            Ok(0) => return Err(Errno::EIO),
            Ok(written) => content = content.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

pub fn read_start(fd: Fd, length: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; length];
    // SAFETY: the kernel writes at most `length` bytes into the vector, which has them.
    let read = unsafe { libc::pread(fd, bytes.as_mut_ptr().cast(), length, 0) };
    let read = usize::try_from(read).map_err(|_| Errno::last())?;
    bytes.truncate(read);
    Ok(bytes)
}

pub fn resize(fd: Fd, size: u64) -> Result<(), Errno> {
    let size = libc::off_t::try_from(size).map_err(|_| Errno::EFBIG)?;
    // SAFETY: numbers only; the kernel checks the descriptor.
    check(unsafe { libc::ftruncate(fd, size) }).map(drop)
}

/// How much memory is reserved at a time, in bytes: before Linux 6.12 a signal takes back what a
/// call has done so far.
const PIECE: libc::off_t = 1 << 20;

/// How many signals may come while memory is reserved. More is a machine on which nothing gets done.
const SIGNALS: usize = 10_000;

pub fn reserve(kernel: Linux, fd: Fd, size: u64) -> Result<(), Errno> {
    let length = libc::off_t::try_from(size).map_err(|_| Errno::EFBIG)?;
    let (mut begin, mut signals) = (0, 0);
    loop {
        let piece = PIECE.min(length - begin);
        // SAFETY: numbers only; the kernel checks the descriptor.
        match check(unsafe { libc::fallocate(fd, 0, begin, piece) }) {
            Ok(_) if begin + piece < length => begin += piece,
            Err(Errno::EINTR) if signals < SIGNALS => signals += 1,
            Ok(_) => return Ok(()),
            // Not on this file system.
            Err(Errno::EOPNOTSUPP) => break,
            Err(errno) => return Err(errno),
        }
    }
    if kernel.fstat(fd)?.size < size {
        resize(fd, size)?;
    }
    Ok(())
}

const BOTH: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;

fn result(address: *mut libc::c_void) -> Result<usize, Errno> {
    if address == libc::MAP_FAILED {
        Err(Errno::last())
    } else {
        Ok(address as usize)
    }
}

pub fn map(fd: Fd, size: usize, read_only: bool) -> Result<usize, Errno> {
    let access = if read_only { libc::PROT_READ } else { BOTH };
    // SAFETY: with a null address the kernel chooses a free place, so nothing is overwritten.
    result(unsafe { libc::mmap(ptr::null_mut(), size, access, libc::MAP_SHARED, fd, 0) })
}

pub fn hold(fd: Fd) -> Result<usize, Errno> {
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
    // SAFETY: a free place that the kernel chooses, to which nobody has access.
    result(unsafe { libc::mmap(ptr::null_mut(), HELD, libc::PROT_NONE, flags, fd, 0) })
}

pub fn map_own(fd: Fd, size: usize, at: Option<usize>) -> Result<usize, Errno> {
    let (address, fixed) = at.map_or((0, 0), |address| (address, libc::MAP_FIXED));
    let flags = libc::MAP_SHARED | fixed;
    // SAFETY: a free place that the kernel chooses, or what `retire` left for this: memory of
    // this size that nobody else has.
    let made =
        result(unsafe { libc::mmap(address as *mut libc::c_void, size, BOTH, flags, fd, 0) });
    let address = made?;
    // SAFETY: exactly the mapping that was just made.
    let own = unsafe { libc::madvise(address as *mut libc::c_void, size, libc::MADV_DONTFORK) };
    check(own)
        .map(|_| address)
        .inspect_err(|_| retire(address, size))
}

pub fn retire(address: usize, size: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: in the place of a mapping of this size that the caller has and gives up.
    let _ = unsafe { libc::mmap(address as *mut libc::c_void, size, BOTH, flags, -1, 0) };
}

pub fn unmap(address: usize, size: usize) {
    // SAFETY: whoever asked for the mapping gives it up here, as QSharedMemory::detach()
    // documents; in the process that made it, since a forked child may not have it.
    let _ = unsafe { libc::munmap(address as *mut libc::c_void, size) };
}

#[inline]
fn atomic(address: usize) -> &'static AtomicU64 {
    // SAFETY: the callers give an address inside a page that they have mapped for writing, a
    // multiple of eight, and don't keep the reference. Other processes change the word, which is
    // what an atomic is for; glibc does so with the same instructions.
    unsafe { &*(address as *const AtomicU64) }
}

#[inline]
pub fn word(address: usize) -> u64 {
    atomic(address).load(Ordering::Acquire)
}

#[inline]
pub fn word_swap(address: usize, old: u64, new: u64) -> Result<(), u64> {
    let swapped = atomic(address).compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire);
    swapped.map(drop)
}

#[inline]
pub fn word_set(address: usize, value: u64) {
    atomic(address).store(value, Ordering::Release);
}

/// The half of a word that a futex looks at.
fn low_half(address: usize) -> usize {
    if cfg!(target_endian = "big") {
        address + 4
    } else {
        address
    }
}

pub fn word_wait(address: usize, low: u32, time: Duration) {
    let time = libc::timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    // SAFETY: a mapped word, which the kernel only reads, and a time that lives here. Woken, timed
    // out or interrupted: the caller looks again.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            low_half(address),
            libc::FUTEX_WAIT,
            low,
            &raw const time,
        );
    }
}

pub fn clock() -> Duration {
    static BEGIN: Lazy<Instant> = Lazy::new(Instant::now);
    BEGIN.elapsed()
}

pub fn word_wake(address: usize, count: i32) {
    // SAFETY: an address, of which the kernel only takes the page.
    unsafe {
        libc::syscall(libc::SYS_futex, low_half(address), libc::FUTEX_WAKE, count);
    }
}
