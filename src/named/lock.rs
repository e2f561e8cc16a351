//! A segment's lock: one step on the semaphore's word takes it, and says who has it.
//!
//! What must hold, and why it does, is said in `accounts`.

use std::time::Duration;

use crate::kernel::{Kernel, Wait};

use super::accounts::Page;
use super::counter;
use super::handle::Handle;
use super::inquiry::Inquiry;
use super::word::{HeldBy, Word};

/// Where the pid of the last holder is, for people who wait: bytes of sem_t that glibc never
/// touches.
pub(super) const LAST_PID: usize = 24;

/// How long a waiter sleeps before it looks whether whom it waits for has died. Nobody wakes it
/// then: the kernel knows nothing of who holds the lock.
const NAP: Duration = Duration::from_millis(20);

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
    if has_taken(kernel, handle) {
        return Taken::Already;
    }
    if take_one(kernel, handle) {
        kernel.word_set(handle.address() + LAST_PID, u64::from(pid.unsigned_abs()));
        return Taken::Now;
    }
    Taken::Not
}

/// Takes one from the value, if there is one and the word names nobody.
#[inline]
pub(super) fn take_one<K: Kernel>(kernel: &K, handle: Handle) -> bool {
    change(kernel, handle.address(), |word| {
        word.taken_by(handle.slot())
    })
    .is_some()
}

/// Changes the word, unless `to` says `None`; what it is then.
#[inline]
pub(super) fn change<K: Kernel>(
    kernel: &K,
    address: usize,
    to: impl Fn(Word) -> Option<Word>,
) -> Option<Word> {
    let mut word = Word(kernel.word(address));
    loop {
        let changed = to(word)?;
        match kernel.word_swap(address, word.0, changed.0) {
            Ok(()) => return Some(changed),
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
    if replace_the_dead(kernel, handle, inquiry, |word| word.with_holder(mine)).is_none() {
        return Taken::Not;
    }
    kernel.word_set(handle.address() + LAST_PID, u64::from(pid.unsigned_abs()));
    Taken::FromTheDead
}

/// Gives back what the dead user had whom the word names; says whether there was one.
pub(super) fn free_from_the_dead<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
) -> bool {
    let freed = replace_the_dead(kernel, handle, inquiry, Word::given_back);
    if freed.is_some_and(Word::has_waiters) {
        kernel.word_wake(handle.address(), 1);
    }
    freed.is_some()
}

/// Changes a word that names a dead user, as that user.
fn replace_the_dead<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
    to: impl Fn(Word) -> Word,
) -> Option<Word> {
    let address = handle.address();
    let dead = match Word(kernel.word(address)).holder() {
        HeldBy::Slot(slot) if slot != handle.slot() => slot,
        _ => return None,
    };
    let is_his = |word: Word| word.holder() == HeldBy::Slot(dead);
    let changed = inquiry.stand_in(dead, || {
        change(kernel, address, |word| is_his(word).then(|| to(word)))
    });
    changed.flatten()
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
    let begin = kernel.clock();
    loop {
        let mut taken = try_take(kernel, handle, pid);
        if taken == Taken::Not {
            taken = take_from_the_dead(kernel, handle, inquiry, pid);
        }
        // Somebody's release() let one more in than the word can name.
        if taken == Taken::Not && counter::take_counted(kernel, handle, inquiry).is_ok() {
            taken = Taken::Now;
        }
        // One who had it as a `QSystemSemaphore` of the same key.
        if taken == Taken::Not && counter::settle_the_dead(kernel, handle, inquiry) {
            continue;
        }
        let nap = nap(kernel, begin, wait);
        if taken != Taken::Not || nap.is_zero() || !go_on() {
            return taken;
        }
        sleep(kernel, handle.address(), nap);
    }
}

/// How long to sleep before one looks again; not at all when the time is over.
pub(super) fn nap<K: Kernel>(kernel: &K, begin: Duration, wait: Wait) -> Duration {
    match wait {
        Wait::No => Duration::ZERO,
        Wait::AtMost(time) => {
            let spent = kernel.clock().saturating_sub(begin);
            time.saturating_sub(spent).min(NAP)
        }
        Wait::Forever => NAP,
    }
}

/// Sleeps until somebody gives back, or for so long.
pub(super) fn sleep<K: Kernel>(kernel: &K, address: usize, nap: Duration) {
    let counted = change(kernel, address, Word::with_waiter).is_some();
    kernel.word_wait(address, 0, nap);
    if counted {
        change(kernel, address, |word| Some(word.without_waiter()));
    }
}

/// Gives back the one that the word says we have; says whether it does.
#[inline]
pub(crate) fn give_back<K: Kernel>(kernel: &K, handle: Handle) -> bool {
    let mine = HeldBy::Slot(handle.slot());
    let is_mine = |word: Word| word.holder() == mine;
    let given = change(kernel, handle.address(), |word| {
        is_mine(word).then(|| word.given_back())
    });
    let Some(word) = given else { return false };
    if word.has_waiters() {
        kernel.word_wake(handle.address(), 1);
    }
    true
}

/// Whether we have the lock, by the word or on our account.
pub(crate) fn has_taken<K: Kernel>(kernel: &K, handle: Handle) -> bool {
    Page::new(kernel, handle, None).has_taken()
}

/// The pid of who took the lock last.
pub(crate) fn last_pid<K: Kernel>(kernel: &K, handle: Handle) -> u32 {
    kernel.word(handle.address() + LAST_PID) as u32
}
