//! A segment's lock: one step on the semaphore's word takes it, and says who has it.

use std::time::Duration;

use crate::kernel::{Kernel, Wait};

use super::counter;
use super::handle::Handle;
use super::inquiry::Inquiry;
use super::slots;
use super::word::{HeldBy, MOST, Word};

/// Where the pid of the last holder is, for people who wait: bytes of sem_t that glibc never
/// touches.
const LAST_PID: usize = 24;

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

/// Takes the lock from a holder who is dead.
fn take_from_the_dead<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
    pid: i32,
) -> Taken {
    let mine = HeldBy::Slot(handle.slot());
    if !replace_the_dead(kernel, handle, inquiry, |word| word.with_holder(mine)) {
        return Taken::Not;
    }
    kernel.word_set(handle.address() + LAST_PID, u64::from(pid.unsigned_abs()));
    Taken::FromTheDead
}

/// Gives the lock back for a holder who is dead; says whether there was one.
pub(super) fn free_from_the_dead<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
) -> bool {
    let freed = |word: Word| {
        let value = (word.value() + 1).min(MOST);
        word.with_value(value).with_holder(HeldBy::Unknown)
    };
    let done = replace_the_dead(kernel, handle, inquiry, freed);
    if done {
        kernel.word_wake(handle.address(), 1);
    }
    done
}

/// Changes the word that a dead holder left; says whether there was one.
fn replace_the_dead<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
    change: impl Fn(Word) -> Word,
) -> bool {
    let address = handle.address();
    let HeldBy::Slot(slot) = Word(kernel.word(address)).holder() else {
        return false;
    };
    if slot == handle.slot() {
        return false;
    }
    let Some(fd) = inquiry.fd() else { return false };
    // Who has the byte of a slot is its user: nobody else can become that while the word is
    // changed, take the lock, and be taken for the dead one. A number that is no slot is nobody's.
    let real = slot < slots::COUNT;
    if real && slots::take(kernel, fd, slot).is_err() {
        return false;
    }
    let mut word = Word(kernel.word(address));
    let mut done = false;
    while !done && word.holder() == HeldBy::Slot(slot) {
        match kernel.word_swap(address, word.0, change(word).0) {
            Ok(()) => done = true,
            Err(now) => word = Word(now),
        }
    }
    if real {
        slots::give_back(kernel, fd, slot);
    }
    done
}

/// Waits for the lock. `go_on` is asked now and then whether it still makes sense to.
pub(crate) fn take<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
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
        if taken == Taken::Not {
            taken = take_from_the_dead(kernel, handle, inquiry, pid);
        }
        // One who had it as a `QSystemSemaphore` of the same key.
        if taken == Taken::Not && counter::settle_the_dead(kernel, handle, inquiry) {
            continue;
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
