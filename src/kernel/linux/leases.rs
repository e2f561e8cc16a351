//! Leases: fcntl(2) `F_SETLEASE`, given only where nobody else has the file open.
//!
//! Whoever opens the file while somebody has a lease waits, and the kernel sends the lease's holder a
//! signal. That is none of the application's business: it is sent to this thread alone, which keeps
//! it blocked meanwhile, and takes it.

use std::mem::MaybeUninit;
use std::ptr;

use super::super::{Errno, Fd};
use super::check;

/// fcntl(2) of Linux that libc does not name, and its argument.
const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;
const F_OWNER_TID: libc::c_int = 0;

#[repr(C)]
struct Owner {
    kind: libc::c_int,
    pid: libc::pid_t,
}

/// A signal that is ignored unless somebody asks for it; the usual one, SIGIO, would end the
/// process.
const HARMLESS: libc::c_int = libc::SIGURG;

/// Takes a lease and gives it back: whether nobody else has the file open.
pub fn lease(fd: Fd) -> Result<(), Errno> {
    under_lease(fd, || ())
}

/// Runs `act` while whoever opens the file waits.
pub fn under_lease<T>(fd: Fd, act: impl FnOnce() -> T) -> Result<T, Errno> {
    let _silence = Silence::begin();
    // SAFETY: numbers, and a structure that lives through the call; the kernel checks the
    // descriptor.
    unsafe {
        let owner = Owner {
            kind: F_OWNER_TID,
            pid: libc::gettid(),
        };
        check(libc::fcntl(fd, F_SETOWN_EX, &raw const owner))?;
        check(libc::fcntl(fd, F_SETSIG, HARMLESS))?;
        check(libc::fcntl(fd, libc::F_SETLEASE, libc::F_WRLCK))?;
    }
    let done = act();
    // SAFETY: numbers only.
    check(unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) }).map(|_| done)
}

/// A time in which the signal does not reach this thread, and at whose end it is forgotten.
struct Silence {
    signal: libc::sigset_t,
    before: libc::sigset_t,
    /// One that was there already is somebody else's.
    pending: bool,
}

impl Silence {
    fn begin() -> Self {
        // SAFETY: each set is filled by the first call that gets it; the signal is a valid one.
        unsafe {
            let mut signal = MaybeUninit::uninit();
            libc::sigemptyset(signal.as_mut_ptr());
            libc::sigaddset(signal.as_mut_ptr(), HARMLESS);
            let signal = signal.assume_init();
            let mut before = MaybeUninit::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signal, before.as_mut_ptr());
            let mut pending = MaybeUninit::zeroed();
            libc::sigpending(pending.as_mut_ptr());
            Silence {
                signal,
                before: before.assume_init(),
                pending: libc::sigismember(pending.as_ptr(), HARMLESS) == 1,
            }
        }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: sets that `begin` filled, and a time that lives here.
        unsafe {
            if !self.pending {
                libc::sigtimedwait(&raw const self.signal, ptr::null_mut(), &raw const now);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut());
        }
    }
}
