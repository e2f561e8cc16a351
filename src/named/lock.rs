//! A segment's lock: one step on the semaphore's word takes it, and says who has it.

use std::time::Duration;

use crate::kernel::{Fd, Kernel, Wait};

use super::handle::Handle;
use super::slots;
use super::word::{HeldBy, MOST, Word};

/// Where the pid of the last holder is, for people who wait: bytes of sem_t that glibc never
/// touches.
pub(super) const LAST_PID: usize = 24;

/// How long a waiter sleeps before it looks whether whom it waits for has died. Nobody wakes it
/// then: the kernel knows nothing of who holds the lock.
pub(super) const NAP: Duration = Duration::from_millis(20);

/// What an attempt to take the lock came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// We have it now.
    Now,
    /// We have it, from one who died inside.
    FromTheDead,
    /// We had it already.
    Already,
    /// Somebody has it.
    Not,
}

/// Takes the lock if it is free.
#[inline]
pub(crate) fn try_take<K: Kernel>(kernel: &K, handle: Handle, pid: i32) -> Taken {
    let address = handle.address();
    let mine = HeldBy::Slot(handle.slot());
    let mut word = Word(kernel.word(address));
    loop {
        if word.holder() == mine {
            return Taken::Already;
        }
        let Some(left) = word.value().checked_sub(1) else {
            return Taken::Not;
        };
        match kernel.word_swap(address, word.0, word.with_value(left).with_holder(mine).0) {
            Ok(()) => {
                kernel.word_set(address + LAST_PID, u64::from(pid.unsigned_abs()));
                return Taken::Now;
            }
            Err(now) => word = Word(now),
        }
    }
}

/// Takes the lock from a holder who is dead. `fd`: an open file of the semaphore.
fn take_from_the_dead<K: Kernel>(kernel: &K, handle: Handle, fd: Fd, pid: i32) -> Taken {
    let address = handle.address();
    let word = Word(kernel.word(address));
    let HeldBy::Slot(slot) = word.holder() else {
        return Taken::Not;
    };
    if slot == handle.slot() || !slots::is_gone(kernel, fd, slot) {
        return Taken::Not;
    }
    let taken = word.with_holder(HeldBy::Slot(handle.slot()));
    if kernel.word_swap(address, word.0, taken.0).is_err() {
        return Taken::Not;
    }
    kernel.word_set(address + LAST_PID, u64::from(pid.unsigned_abs()));
    Taken::FromTheDead
}

/// Waits for the lock. `go_on` is asked now and then whether it still makes sense to.
pub(crate) fn take<K: Kernel>(
    kernel: &K,
    handle: Handle,
    fd: Option<Fd>,
    pid: i32,
    wait: Wait,
    mut go_on: impl FnMut() -> bool,
) -> Taken {
    let address = handle.address();
    let begin = kernel.clock();
    let left = || match wait {
        Wait::No => Duration::ZERO,
        Wait::AtMost(time) => {
            let spent = kernel.clock().saturating_sub(begin);
            time.saturating_sub(spent)
        }
        Wait::Forever => NAP,
    };
    loop {
        let mut taken = try_take(kernel, handle, pid);
        if let (Taken::Not, Some(fd)) = (taken, fd) {
            taken = take_from_the_dead(kernel, handle, fd, pid);
        }
        let nap = left().min(NAP);
        if taken != Taken::Not || nap.is_zero() || !go_on() {
            return taken;
        }
        let counted = count_waiter(kernel, address, Word::with_waiter);
        kernel.word_wait(address, 0, nap);
        if counted {
            count_waiter(kernel, address, |word| Some(word.without_waiter()));
        }
    }
}

/// Changes the number of waiters; says whether it did.
pub(super) fn count_waiter<K: Kernel>(
    kernel: &K,
    address: usize,
    change: impl Fn(Word) -> Option<Word>,
) -> bool {
    let mut word = Word(kernel.word(address));
    loop {
        let Some(changed) = change(word) else {
            return false;
        };
        match kernel.word_swap(address, word.0, changed.0) {
            Ok(()) => return true,
            Err(now) => word = Word(now),
        }
    }
}

/// Gives the lock back; says whether we had it.
#[inline]
pub(crate) fn give_back<K: Kernel>(kernel: &K, handle: Handle) -> bool {
    let address = handle.address();
    let mut word = Word(kernel.word(address));
    loop {
        if word.holder() != HeldBy::Slot(handle.slot()) {
            return false;
        }
        let value = (word.value() + 1).min(MOST);
        let free = word.with_value(value).with_holder(HeldBy::Unknown);
        match kernel.word_swap(address, word.0, free.0) {
            Ok(()) => {
                if word.has_waiters() {
                    kernel.word_wake(address, 1);
                }
                return true;
            }
            Err(now) => word = Word(now),
        }
    }
}

/// The pid of who took the lock last.
pub(crate) fn last_pid<K: Kernel>(kernel: &K, handle: Handle) -> u32 {
    kernel.word(handle.address() + LAST_PID) as u32
}
