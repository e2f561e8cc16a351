//! The system calls of Linux.
//!
//! `unsafe` stands here because System V IPC, flock(2) by descriptor and the per-thread forms of
//! setresuid(2) have no safe wrapper in nix. Every function is one call and the conversion of
//! its answer.
#![allow(unsafe_code)]

mod as_user;
mod cancelling;
mod files;
mod flocks;
mod fork_window;
mod keeping;
mod lease_signal;
mod leases;
mod lock_table;
mod locks;
mod named;
mod openers;
mod pid;
mod proc;
mod process;
mod range_locks;
mod shared_file;
mod signals;
mod status;
#[cfg(feature = "machine")]
pub(crate) mod survey;
mod system_v;
mod sysvipc;
mod waiting;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::NixPath as _;
use nix::sys::stat::Mode;
use nix::unistd;

use super::{
    Errno, Evidence, Fd, FileLock, FileStat, IpcId, IpcKey, Kernel, NewObject, Open, OwnSlot,
    Process, Range, SemStat, SemaphoreRow, ShmStat, Wait,
};

use as_user::AsUser;
pub(crate) use cancelling::Uncancelled;
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

    fn fork_mark(&self) -> u32 {
        pid::fork_mark()
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
        let _back = AsUser::become_user(uid, gid)?;
        Ok(act())
    }

    fn open(&self, path: &Path, how: Open) -> Result<Fd, Errno> {
        files::open(path, how)
    }

    fn open_new_shared(&self, path: &Path, mode: u32, group: Option<u32>) -> Result<Fd, Errno> {
        shared_file::make(*self, path, mode, group)
    }

    fn reopen(&self, fd: Fd) -> Result<Fd, Errno> {
        files::reopen(fd)
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
        files::fchmod(fd, mode)
    }

    fn chmod(&self, path: &Path, mode: u32) -> Result<(), Errno> {
        files::chmod(path, mode)
    }

    fn fchgrp(&self, fd: Fd, gid: u32) -> Result<(), Errno> {
        files::fchgrp(fd, gid)
    }

    fn flock(&self, fd: Fd, lock: FileLock, wait: Wait) -> Result<(), Errno> {
        locks::flock(fd, lock, wait)
    }

    fn unlink(&self, path: &Path) -> Result<(), Errno> {
        unistd::unlink(path)
    }

    fn mkdir(&self, path: &Path, mode: u32) -> Result<(), Errno> {
        unistd::mkdir(path, Mode::from_bits_truncate(mode))
    }

    fn rmdir(&self, path: &Path) -> Result<(), Errno> {
        files::rmdir(path)
    }

    fn may_write(&self, directory: &Path) -> bool {
        files::may_write(directory)
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

    fn shm_load(&self, address: usize) -> u64 {
        system_v::shm_load(address)
    }

    fn shm_store(&self, address: usize, value: u64) {
        system_v::shm_store(address, value);
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

    fn range_lock(&self, fd: Fd, range: Range, lock: FileLock, wait: Wait) -> Result<(), Errno> {
        asked_again(wait, || locks::range_lock(fd, range, lock))
    }

    fn range_holder(&self, fd: Fd, range: Range) -> Result<Option<Range>, Errno> {
        locks::range_holder(fd, range)
    }

    fn named_open(&self, path: &Path, write: bool) -> Result<Fd, Errno> {
        named::open(path, write)
    }

    fn named_reopen(&self, fd: Fd) -> Result<Fd, Errno> {
        named::reopen(fd)
    }

    fn announce(&self, path: &Path) -> Result<Fd, Errno> {
        openers::announce(path)
    }

    fn named_open_locked(
        &self,
        path: &Path,
        write: bool,
        known: bool,
        wait: Wait,
    ) -> Result<Fd, Errno> {
        openers::open_locked(*self, path, write, known, wait)
    }

    fn named_close(&self, fd: Fd) {
        let _ = self.flock(fd, FileLock::Unlock, Wait::No);
        self.close(fd);
    }

    fn named_make(&self, path: &Path, new: &NewObject<'_>) -> Result<Fd, Errno> {
        named::make(*self, path, new)
    }

    fn named_alone(&self, fd: Fd, path: &Path, wait: Wait) -> Result<bool, Errno> {
        openers::alone(fd, path, wait)
    }

    fn named_unlink(&self, fd: Fd, path: &Path) -> Result<(), Errno> {
        openers::unlink(fd, path)
    }

    fn is_mapped(&self, file: &FileStat) -> bool {
        proc::is_mapped(file)
    }

    fn named_reserve(&self, fd: Fd, size: u64) -> Result<(), Errno> {
        named::reserve(*self, fd, size)
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

    fn hold(&self, fd: Fd) -> Result<usize, Errno> {
        named::hold(fd)
    }

    fn unmap(&self, address: usize, size: usize) {
        named::unmap(address, size);
    }

    fn own_slots(&self) -> &Mutex<Vec<OwnSlot>> {
        static SLOTS: Mutex<Vec<OwnSlot>> = Mutex::new(Vec::new());
        &SLOTS
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
        files::open_deleted(path, uid)
    }

    fn read_start(&self, fd: Fd, length: usize) -> Result<Vec<u8>, Errno> {
        named::read_start(fd, length)
    }

    fn without_fork<T>(&self, act: impl FnOnce() -> T) -> T {
        fork_window::without_fork(act)
    }

    fn files_in(&self, directory: &Path) -> Vec<PathBuf> {
        files::files_in(directory)
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl Evidence for Linux {
    fn shm_peek(&self, id: IpcId) -> Option<ShmStat> {
        sysvipc::segment(id).map(|row| row.stat)
    }

    fn sem_peek(&self, id: IpcId) -> Option<SemaphoreRow> {
        sysvipc::semaphore(id)
    }

    fn attached_processes(&self, id: IpcId) -> Vec<Process> {
        process::attached(id)
    }

    fn processes_of_file(&self, file: &FileStat) -> Vec<Process> {
        process::having(file)
    }

    fn process(&self, pid: i32) -> Option<Process> {
        process::of(pid)
    }

    fn flock_holders(&self, file: &FileStat) -> Vec<Process> {
        flocks::holders(file)
    }
}
