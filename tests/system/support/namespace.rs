//! A private System V namespace for the calling thread and what it starts.

// The two calls are not in the standard library, and nix would need a feature
// more for the sake of the tests alone.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// The calling thread's IPC namespace is a new, empty one until this is
/// dropped. Children that the thread starts, and threads that it starts, are
/// born into it; so is a look into `/proc/sysvipc`.
pub struct Namespace {
    before: File,
}

impl Namespace {
    pub fn enter() -> io::Result<Self> {
        let before = File::open("/proc/thread-self/ns/ipc")?;
        // SAFETY: changes nothing but the calling thread's IPC namespace.
        if unsafe { libc::unshare(libc::CLONE_NEWIPC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { before })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // SAFETY: the descriptor is open, and the kernel checks what it is.
        unsafe { libc::setns(self.before.as_raw_fd(), libc::CLONE_NEWIPC) };
    }
}
