//! The signal for whoever has a lease that somebody else's open(2) breaks: the application never
//! hears of it.
//!
//! It can only come while a lease is held. It is sent to this thread alone, which holds it back for
//! as long and takes it then. It is SIGURG: the usual one, SIGIO, would end the process if it got
//! through, and that one is ignored where the application has no use for it.

use std::mem::MaybeUninit;
use std::ptr;

use super::super::{Errno, Fd};
use super::check;

const SIGNAL: libc::c_int = libc::SIGURG;

// fcntl(2) of Linux that libc does not name.
const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;
const F_OWNER_TID: libc::c_int = 0;

/// How the kernel marks the signal of a lease, see sigaction(2). An urgent message at a socket has
/// another mark.
const POLL_MSG: libc::c_int = 3;

/// `struct f_owner_ex`, see fcntl(2).
#[repr(C)]
struct Owner {
    kind: libc::c_int,
    pid: libc::pid_t,
}

/// While this lives, a lease of a file may be taken and broken, and nobody is told.
pub(super) struct Unheard {
    mask: libc::sigset_t,
    /// One of the application's own waits to be delivered; they can't be told apart any more.
    pending: bool,
}

impl Unheard {
    pub(super) fn of(fd: Fd) -> Result<Self, Errno> {
        // SAFETY: numbers only.
        let thread = unsafe { libc::gettid() };
        let owner = Owner {
            kind: F_OWNER_TID,
            pid: thread,
        };
        // SAFETY: the kernel reads `owner`, which lives here, and checks the descriptor.
        unsafe {
            check(libc::fcntl(fd, F_SETOWN_EX, &raw const owner))?;
            check(libc::fcntl(fd, F_SETSIG, SIGNAL))?;
        }
        let (signal, mut mask, mut pending) = (set(), set(), set());
        // SAFETY: reads one set and writes two others, all of which live here.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signal, &raw mut mask);
            // Only one that was blocked can have been there before.
            let pending = libc::sigismember(&raw const mask, SIGNAL) == 1
                && libc::sigpending(&raw mut pending) == 0
                && libc::sigismember(&raw const pending, SIGNAL) == 1;
            Ok(Self { mask, pending })
        }
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let signal = set();
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut told = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: reads a set and a time and writes what it tells of the signal, all of which live
        // here; a zeroed siginfo_t is a valid one.
        unsafe {
            if !self.pending
                && libc::sigtimedwait(&raw const signal, told.as_mut_ptr(), &raw const at_once)
                    == SIGNAL
                && told.assume_init().si_code != POLL_MSG
            {
                // Somebody else's, of this very moment.
                libc::kill(libc::getpid(), SIGNAL);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask, ptr::null_mut());
        }
    }
}

/// The set of this one signal.
fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call makes a set of the memory, the second adds to it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), SIGNAL);
        set.assume_init()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::ffi::{CStr, CString};
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::leases::lease;
    use super::*;

    /// How many signals have reached the process.
    static HEARD: AtomicU32 = AtomicU32::new(0);

    extern "C" fn hear(_: libc::c_int) {
        HEARD.fetch_add(1, Ordering::Relaxed);
    }

    const BROKEN: u32 = 20;

    /// Opens a file until it has broken as many leases, and ends.
    fn open_again_and_again(name: &CStr) -> ! {
        let mut broken = 0;
        while broken < BROKEN {
            // SAFETY: a name that ends with a NUL and lives on; a descriptor of this process.
            unsafe {
                let fd = libc::open(name.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK);
                broken += u32::from(fd < 0);
                libc::close(fd);
            }
        }
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(0) }
    }

    /// Takes leases until all have been broken, as a process of its own: other tests are sent the
    /// same signal. What is wrong; 0: nothing.
    fn take_again_and_again(fd: Fd, opener: libc::pid_t) -> i32 {
        // SAFETY: the handler only counts.
        unsafe { libc::signal(SIGNAL, hear as *const () as libc::sighandler_t) };
        let mut taken = 0;
        // SAFETY: only asks whether the process is there.
        while taken < BROKEN || unsafe { libc::kill(opener, 0) } == 0 {
            taken += u32::from(lease(fd).is_ok());
        }
        if HEARD.load(Ordering::Relaxed) > 0 {
            return 1;
        }
        // What is sent to the application is heard.
        // SAFETY: a signal with a handler, to this thread.
        unsafe { libc::raise(SIGNAL) };
        if HEARD.load(Ordering::Relaxed) == 1 {
            0
        } else {
            2
        }
    }

    #[test]
    fn who_breaks_a_lease_is_not_heard() {
        let path = std::env::temp_dir().join(format!("qshm-lease-{}", std::process::id()));
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        let (mut end, mut status) = (0, -1);
        // SAFETY: the children make system calls alone, and end by one; they are waited for.
        unsafe {
            let opener = libc::fork();
            if opener == 0 {
                open_again_and_again(&name);
            }
            let taker = libc::fork();
            if taker == 0 {
                libc::_exit(take_again_and_again(file.as_raw_fd(), opener));
            }
            libc::waitpid(opener, &raw mut end, 0);
            libc::waitpid(taker, &raw mut status, 0);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!((end, libc::WEXITSTATUS(status)), (0, 0));
    }
}
