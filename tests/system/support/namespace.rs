//! System V objects and a `/dev/shm` of its own for the calling thread and what it starts.

// The calls are not in the standard library, and nix would need features more for the sake of
// the tests alone.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

/// The calling thread's IPC namespace is a new, empty one until this is dropped, and so is its
/// `/dev/shm`. Children that the thread starts, and threads that it starts, are born into it; so is
/// a look into `/proc/sysvipc`.
pub struct Namespace {
    before: [(File, i32); 2],
}

impl Namespace {
    pub fn enter() -> io::Result<Self> {
        let before = [
            (File::open("/proc/thread-self/ns/ipc")?, libc::CLONE_NEWIPC),
            (File::open("/proc/thread-self/ns/mnt")?, libc::CLONE_NEWNS),
        ];
        // SAFETY: changes nothing but the calling thread's namespaces.
        check(unsafe { libc::unshare(libc::CLONE_NEWIPC | libc::CLONE_NEWNS) })?;
        let namespace = Self { before };
        // SAFETY: strings that live for ever; what is mounted is so in the new namespace alone.
        unsafe {
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let none = ptr::null();
            check(libc::mount(none, c"/".as_ptr(), none, private, none.cast()))?;
            let (tmpfs, mode) = (c"tmpfs".as_ptr(), c"mode=1777".as_ptr());
            check(libc::mount(
                tmpfs,
                c"/dev/shm".as_ptr(),
                tmpfs,
                0,
                mode.cast(),
            ))?;
        }
        Ok(namespace)
    }
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for (before, kind) in &self.before {
            // SAFETY: the descriptor is open, and the kernel checks what it is.
            unsafe { libc::setns(before.as_raw_fd(), *kind) };
        }
    }
}
