//! Keys, objects and child processes for these tests.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use qshm::key::{KeyType, NativeKey};
use qshm::{ErrorKind, OpenMode, SharedMemory, SystemSemaphore};

/// A child of one test would be attached to what another has attached: they take turns.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key of the test's own.
pub fn key(name: &str) -> NativeKey {
    let name = format!("/qshm-posix-{name}-{}", std::process::id());
    NativeKey::new(KeyType::Posix, name.into(), false)
}

pub fn memory(key: &NativeKey) -> SharedMemory {
    let memory = SharedMemory::new();
    memory.set_native_ipc_key(key.clone());
    memory
}

pub fn semaphore(key: &NativeKey, initial: i32) -> SystemSemaphore {
    let semaphore = SystemSemaphore::new();
    semaphore.set_native_ipc_key(key.clone(), initial, OpenMode::Open);
    assert_eq!(semaphore.error().kind(), ErrorKind::NoError);
    semaphore
}

pub fn files(key: &NativeKey) -> [PathBuf; 2] {
    key.objects().unwrap().into()
}

pub fn assert_gone(key: &NativeKey) {
    for file in files(key) {
        assert!(!file.exists(), "{} is left", file.display());
    }
}

/// Runs `act` in a child, which ends without running anybody's destructors.
pub fn child(act: impl FnOnce()) -> Pid {
    // SAFETY: the child uses only what it made itself or inherited from the calling thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
            // SAFETY: ends the child at once.
            unsafe { nix::libc::_exit(i32::from(done.is_err())) }
        }
    }
}

pub fn ends_well(pid: Pid) {
    let end = waitpid(pid, None);
    assert!(matches!(end, Ok(WaitStatus::Exited(_, 0))), "{end:?}");
}

pub fn kill(pid: Pid) {
    // SAFETY: a child of ours that has not been waited for.
    assert_eq!(
        unsafe { nix::libc::kill(pid.as_raw(), nix::libc::SIGKILL) },
        0
    );
}

pub fn kill_and_wait(pid: Pid) {
    kill(pid);
    waitpid(pid, None).unwrap();
}

pub fn say(mut to: &UnixStream) {
    to.write_all(b".").unwrap();
}

pub fn hear(mut from: &UnixStream) {
    from.read_exact(&mut [0]).unwrap();
}
