//! Signals of one thread, held back for a moment: rt_sigprocmask(2).

use std::marker::PhantomData;
use std::mem::size_of;
use std::ptr;

use libc::{c_int, c_long, c_ulong};

/// The kernel's own set: 64 signals, as everywhere but on MIPS, where it refuses so short a one.
type Set = [c_ulong; 64 / c_ulong::BITS as usize];

/// No signal reaches this thread until this is dropped.
///
/// The raw system call, since glibc's leaves out the two that are its own: with one of them
/// setuid(2) and its like make every thread change its ids.
pub(super) struct HeldBack {
    before: Set,
    /// The mask is a thread's.
    _thread: PhantomData<*const ()>,
}

/// Those that come of what the thread itself does. Where they are held back the kernel ends the
/// process without asking its handler.
const OWN: [c_int; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
];

impl HeldBack {
    pub(super) fn all() -> Self {
        let mut all = Set::default().map(|_| c_ulong::MAX);
        if let Some(first) = all.first_mut() {
            // All of them are among the first 32.
            *first = OWN
                .iter()
                .fold(*first, |set, signal| set & !(1 << (signal - 1)));
        }
        let mut before = Set::default();
        change(libc::SIG_BLOCK, &all, Some(&mut before));
        Self {
            before,
            _thread: PhantomData,
        }
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        change(libc::SIG_SETMASK, &self.before, None);
    }
}

fn change(how: c_int, set: &Set, before: Option<&mut Set>) {
    let before = before.map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: reads one set and writes another, if there is one, both of the length that is given.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            c_long::from(how),
            ptr::from_ref(set),
            before,
            size_of::<Set>(),
        );
    }
}
