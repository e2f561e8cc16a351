//! Forked children, for tests without Qt: how they begin and end, and how they tell each other that
//! something has happened.

#![allow(dead_code, unsafe_code)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

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

/// Waits for the end of a child, whose assertions held.
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

/// Tells the other end of a pair that something has happened.
pub fn say(mut to: &UnixStream) {
    to.write_all(b".").unwrap();
}

/// Waits for the other end of a pair.
pub fn hear(mut from: &UnixStream) {
    from.read_exact(&mut [0]).unwrap();
}
