//! The system calls of Linux.
//!
//! `unsafe` stands here because System V IPC, flock(2) by descriptor and the per-thread forms of
//! setresuid(2) have no safe wrapper in nix. Every function is one call and the conversion of
//! its answer.
#![allow(unsafe_code)]

mod as_user;
mod fork_window;
mod keeping;
mod lock_table;
mod named;
mod pid;
mod proc;
mod range_locks;
mod shared_file;
mod status;
#[cfg(feature = "machine")]
pub(crate) mod survey;
mod system_v;
mod waiting;

use std::ffi::CStr;
use std::os::fd::IntoRawFd;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::NixPath as _;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::{FchmodatFlags, Mode};
use nix::unistd::{self, AccessFlags};

use super::{
    Errno, Fd, FileLock, FileStat, IpcId, IpcKey, IpcPerm, Kernel, NewObject, Open, Process,
    SemStat, ShmStat, Wait,
};

use as_user::AsUser;
use status::status;
use waiting::asked_again;

/// The running kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

/// Whether the process runs with more rights than whoever started it (`AT_SECURE`, getauxval(3)),
/// so that its environment is not to be trusted.
pub fn at_secure() -> bool {
    // SAFETY: getauxval only looks a number up and accepts any argument.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Turns the C convention of -1 and `errno` into a result.
fn check(answer: libc::c_int) -> Result<libc::c_int, Errno> {
    Errno::result(answer)
}

impl Kernel for Linux {
    fn getpid(&self) -> i32 {
        pid::current()
    }

    fn geteuid(&self) -> u32 {
        unistd::geteuid().as_raw()
    }

    fn getegid(&self) -> u32 {
        unistd::getegid().as_raw()
    }

    fn is_alive(&self, pid: i32) -> bool {
        // SAFETY: signal 0 only asks; any pid is accepted.
        pid > 0 && check(unsafe { libc::kill(pid, 0) }) != Err(Errno::ESRCH)
    }

    fn as_user<T>(&self, uid: u32, gid: u32, act: impl FnOnce() -> T) -> Result<T, Errno> {
        // A child that is forked meanwhile would be another user, and find a lock taken for ever.
        fork_window::without_fork(|| {
            let _back = AsUser::become_user(uid, gid)?;
            Ok(act())
        })
    }

    fn open(&self, path: &Path, how: Open) -> Result<Fd, Errno> {
        let common = OFlag::O_RDONLY
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY
            | OFlag::O_CLOEXEC;
        let fd = match how {
            Open::Existing => open(path, common, Mode::empty()),
            Open::New(mode) => open(
                path,
                common | OFlag::O_CREAT | OFlag::O_EXCL,
                Mode::from_bits_truncate(mode),
            ),
        }?;
        Ok(fd.into_raw_fd())
    }

    fn open_new_shared(&self, path: &Path, mode: u32, group: Option<u32>) -> Result<Fd, Errno> {
        shared_file::make(*self, path, mode, group)
    }

    fn reopen(&self, fd: Fd) -> Result<Fd, Errno> {
        let path = format!("/proc/self/fd/{fd}");
        let again = open(
            path.as_str(),
            OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        Ok(again.into_raw_fd())
    }

    fn close(&self, fd: Fd) {
        let _ = unistd::close(fd);
    }

    fn fstat(&self, fd: Fd) -> Result<FileStat, Errno> {
        status(fd, c"", libc::AT_EMPTY_PATH)
    }

    fn lstat(&self, path: &Path) -> Result<FileStat, Errno> {
        path.with_nix_path(|path| status(libc::AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW))?
    }

    fn fchmod(&self, fd: Fd, mode: u32) -> Result<(), Errno> {
        // SAFETY: two numbers; the kernel checks the descriptor.
        check(unsafe { libc::fchmod(fd, mode) }).map(drop)
    }

    fn chmod(&self, path: &Path, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_bits_truncate(mode);
        nix::sys::stat::fchmodat(AT_FDCWD, path, mode, FchmodatFlags::FollowSymlink)
    }

    fn fchgrp(&self, fd: Fd, gid: u32) -> Result<(), Errno> {
        // SAFETY: three numbers; the kernel checks the descriptor. -1 leaves the owner.
        check(unsafe { libc::fchown(fd, u32::MAX, gid) }).map(drop)
    }

    fn flock(&self, fd: Fd, lock: FileLock, wait: Wait) -> Result<(), Errno> {
        let operation = match lock {
            FileLock::Shared => libc::LOCK_SH,
            FileLock::Exclusive => libc::LOCK_EX,
            FileLock::Unlock => libc::LOCK_UN,
        };
        // SAFETY: two numbers; the kernel checks the descriptor.
        let ask = |flags| check(unsafe { libc::flock(fd, operation | flags) }).map(drop);
        match wait {
            Wait::No => ask(libc::LOCK_NB),
            Wait::Forever => loop {
                match ask(0) {
                    Err(Errno::EINTR) => {}
                    answer => return answer,
                }
            },
            Wait::AtMost(_) => asked_again(wait, || ask(libc::LOCK_NB)),
        }
    }

    fn unlink(&self, path: &Path) -> Result<(), Errno> {
        unistd::unlink(path)
    }

    fn mkdir(&self, path: &Path, mode: u32) -> Result<(), Errno> {
        unistd::mkdir(path, Mode::from_bits_truncate(mode))
    }

    fn rmdir(&self, path: &Path) -> Result<(), Errno> {
        path.with_nix_path(|path: &CStr| {
            // SAFETY: `path` ends with a NUL and lives through the call.
            check(unsafe { libc::rmdir(path.as_ptr()) })
        })?
        .map(drop)
    }

    fn may_write(&self, directory: &Path) -> bool {
        let directory = if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        };
        let mode = AccessFlags::W_OK | AccessFlags::X_OK;
        unistd::faccessat(AT_FDCWD, directory, mode, AtFlags::AT_EACCESS).is_ok()
    }

    fn shm_find(&self, key: IpcKey) -> Result<IpcId, Errno> {
        system_v::shm_find(key)
    }

    fn shm_create(&self, key: IpcKey, size: usize, mode: u32) -> Result<IpcId, Errno> {
        system_v::shm_create(key, size, mode)
    }

    fn shm_stat(&self, id: IpcId) -> Result<ShmStat, Errno> {
        system_v::shm_stat(id)
    }

    fn shm_set(&self, id: IpcId, uid: u32, gid: u32, mode: u32) -> Result<(), Errno> {
        system_v::shm_set(id, uid, gid, mode)
    }

    fn shm_remove(&self, id: IpcId) -> Result<(), Errno> {
        system_v::shm_remove(id)
    }

    fn shm_attach(&self, id: IpcId, read_only: bool) -> Result<usize, Errno> {
        system_v::shm_attach(id, read_only)
    }

    fn shm_detach(&self, address: usize) -> Result<(), Errno> {
        system_v::shm_detach(address)
    }

    fn shm_clear(&self, address: usize, size: usize) {
        system_v::shm_clear(address, size);
    }

    fn sem_find(&self, key: IpcKey) -> Result<IpcId, Errno> {
        system_v::sem_find(key)
    }

    fn sem_create(&self, key: IpcKey, mode: u32) -> Result<IpcId, Errno> {
        system_v::sem_create(key, mode)
    }

    fn sem_limit_reached(&self) -> bool {
        system_v::sem_limit_reached()
    }

    fn sem_stat(&self, id: IpcId) -> Result<SemStat, Errno> {
        system_v::sem_stat(id)
    }

    fn sem_set(&self, id: IpcId, uid: u32, gid: u32, mode: u32) -> Result<(), Errno> {
        system_v::sem_set(id, uid, gid, mode)
    }

    fn sem_remove(&self, id: IpcId) -> Result<(), Errno> {
        system_v::sem_remove(id)
    }

    fn sem_value(&self, id: IpcId) -> Result<i32, Errno> {
        system_v::sem_get(id, libc::GETVAL)
    }

    fn sem_waiting(&self, id: IpcId) -> Result<i32, Errno> {
        system_v::sem_get(id, libc::GETNCNT)
    }

    fn sem_last_pid(&self, id: IpcId) -> Result<i32, Errno> {
        system_v::sem_get(id, libc::GETPID)
    }

    fn sem_was_used(&self, id: IpcId) -> Result<bool, Errno> {
        system_v::sem_was_used(id)
    }

    fn sem_set_value(&self, id: IpcId, value: i32) -> Result<(), Errno> {
        system_v::sem_set_value(id, value)
    }

    fn sem_op(&self, id: IpcId, delta: i16, wait: Wait) -> Result<(), Errno> {
        system_v::sem_op(id, delta, wait)
    }

    fn range_lock(
        &self,
        fd: Fd,
        range: (u64, u64),
        lock: FileLock,
        wait: Wait,
    ) -> Result<(), Errno> {
        asked_again(wait, || named::range_lock(fd, range, lock))
    }

    fn range_locked(&self, fd: Fd, range: (u64, u64)) -> Result<Option<u64>, Errno> {
        named::range_locked(fd, range)
    }

    fn named_open(&self, path: &Path, write: bool) -> Result<Fd, Errno> {
        named::open(path, write)
    }

    fn named_open_locked(&self, path: &Path, write: bool, wait: Wait) -> Result<Fd, Errno> {
        let attempt = || {
            let fd = named::open(path, write)?;
            self.flock(fd, FileLock::Exclusive, Wait::No)
                .inspect_err(|_| self.close(fd))?;
            Ok(fd)
        };
        asked_again(wait, attempt)
    }

    fn named_make(&self, path: &Path, new: &NewObject<'_>) -> Result<Fd, Errno> {
        named::make(*self, path, new)
    }

    fn named_alone(&self, fd: Fd, wait: Wait) -> Result<bool, Errno> {
        match asked_again(wait, || named::lease(fd)) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    fn is_open_elsewhere(&self, file: &FileStat) -> bool {
        proc::is_open_elsewhere(file)
    }

    fn is_mapped(&self, file: &FileStat) -> bool {
        proc::is_mapped(file)
    }

    fn named_resize(&self, fd: Fd, size: u64) -> Result<(), Errno> {
        named::resize(fd, size)
    }

    fn map(&self, fd: Fd, size: usize, read_only: bool) -> Result<usize, Errno> {
        named::map(fd, size, read_only)
    }

    fn map_own(&self, fd: Fd, size: usize, at: Option<usize>) -> Result<usize, Errno> {
        named::map_own(fd, size, at)
    }

    fn retire(&self, address: usize, size: usize) {
        named::retire(address, size);
    }

    fn unmap(&self, address: usize, size: usize) {
        named::unmap(address, size);
    }

    fn word(&self, address: usize) -> u64 {
        named::word(address)
    }

    fn word_swap(&self, address: usize, old: u64, new: u64) -> Result<(), u64> {
        named::word_swap(address, old, new)
    }

    fn word_set(&self, address: usize, value: u64) {
        named::word_set(address, value);
    }

    fn word_wait(&self, address: usize, low: u32, time: Duration) {
        named::word_wait(address, low, time);
    }

    fn clock(&self) -> Duration {
        named::clock()
    }

    fn spin(&self) -> bool {
        std::hint::spin_loop();
        true
    }

    fn word_wake(&self, address: usize, count: i32) {
        named::word_wake(address, count);
    }

    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs() as i64)
    }

    fn shm_keys(&self) -> Vec<IpcKey> {
        system_v::shm_keys()
    }

    fn sem_keys(&self) -> Vec<IpcKey> {
        system_v::sem_keys()
    }

    fn inodes(&self, directory: &Path, prefix: &str) -> Vec<u64> {
        proc::inodes(directory, prefix)
    }

    fn open_deleted(&self, path: &Path, uid: u32) -> Option<Fd> {
        proc::deleted(path, uid).into_iter().find_map(|link| {
            let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            open(&link, flags, Mode::empty())
                .ok()
                .map(IntoRawFd::into_raw_fd)
        })
    }

    fn shm_peek(&self, id: IpcId) -> Option<ShmStat> {
        proc::shm_peek(id)
    }

    fn sem_peek(&self, id: IpcId) -> Option<IpcPerm> {
        proc::sem_peek(id)
    }

    fn attached_processes(&self, id: IpcId) -> Vec<Process> {
        proc::attached_processes(id)
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
