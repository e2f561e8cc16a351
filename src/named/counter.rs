//! A counting semaphore whose counts survive a kill: what a process has acquired is given back
//! when it dies, and what it has released is taken back (`accounts`).
//!
//! Most of them are used like a lock, one at a time: then the word says who has it, in the step that
//! takes it.

use crate::kernel::{Errno, Kernel, Wait};

use super::accounts::Page;
use super::handle::Handle;
use super::inquiry::Inquiry;
use super::lock::{self, change, nap, sleep};
use super::word::{HeldBy, MOST, Word};

/// `acquire()` or `release()` where that takes neither waiting nor clearing up.
#[inline]
pub(crate) fn try_add<K: Kernel>(kernel: &K, handle: Handle, delta: i32) -> bool {
    let page = Page::new(kernel, handle, None);
    add_by_word(kernel, handle, delta)
        || ((delta > 0 || page.word().value() > 0) && page.add(delta).is_ok())
}

/// The same where the word has room to say that we have one, or says so.
#[inline]
fn add_by_word<K: Kernel>(kernel: &K, handle: Handle, delta: i32) -> bool {
    match delta {
        -1 => lock::take_one(kernel, handle),
        // At the highest value the answer is an error.
        1 => Word(kernel.word(handle.address())).value() < MOST && lock::give_back(kernel, handle),
        _ => false,
    }
}

/// `acquire()`: takes one. `go_on` is asked now and then whether it still makes sense to wait.
pub(crate) fn acquire<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
    wait: Wait,
    mut go_on: impl FnMut() -> bool,
) -> Result<(), Errno> {
    let page = Page::new(kernel, handle, Some(inquiry));
    let begin = kernel.clock();
    loop {
        if add_by_word(kernel, handle, -1) {
            return Ok(());
        }
        if page.word().value() > 0 {
            match page.add(-1) {
                // Somebody was faster, or is stopped: there is no end to waiting here.
                Err(Errno::EAGAIN | Errno::EBUSY) => {}
                answer => return answer,
            }
        }
        if page.settle_the_dead() || lock::free_from_the_dead(kernel, handle, inquiry) {
            continue;
        }
        let nap = nap(kernel, begin, wait);
        if nap.is_zero() || !go_on() {
            return Err(Errno::EAGAIN);
        }
        sleep(kernel, page.address, nap);
    }
}

/// `release()`: adds `n`. `EOVERFLOW`: the value would pass the highest.
pub(crate) fn release<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
    n: i32,
) -> Result<(), Errno> {
    if add_by_word(kernel, handle, n) {
        return Ok(());
    }
    Page::new(kernel, handle, Some(inquiry)).add(n)
}

/// Takes one where the word names somebody else, and there is one all the same.
pub(super) fn take_counted<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
) -> Result<(), Errno> {
    let page = Page::new(kernel, handle, Some(inquiry));
    let word = page.word();
    if word.value() == 0 || word.holder() == HeldBy::Unknown {
        return Err(Errno::EAGAIN);
    }
    page.add(-1)
}

/// Gives back what the dead had acquired; says whether there was anything.
pub(super) fn settle_the_dead<K: Kernel>(kernel: &K, handle: Handle, inquiry: &Inquiry<K>) -> bool {
    Page::new(kernel, handle, Some(inquiry)).settle_the_dead()
}

/// Sets the value, and forgets who owes what.
pub(super) fn reset<K: Kernel>(kernel: &K, handle: Handle, inquiry: &Inquiry<K>, value: u32) {
    let page = Page::new(kernel, handle, Some(inquiry));
    let _ = page.reset(value);
    if value > 0 {
        kernel.word_wake(page.address, i32::MAX);
    }
}

/// Clears up after the dead user whose slot has become ours.
pub(super) fn take_over<K: Kernel>(kernel: &K, handle: Handle, inquiry: &Inquiry<K>) {
    Page::new(kernel, handle, Some(inquiry)).settle();
}

/// Gives back what all dead had. Nobody else uses the semaphore.
pub(super) fn settle_alone<K: Kernel>(kernel: &K, handle: Handle, inquiry: &Inquiry<K>) {
    Page::new(kernel, handle, Some(inquiry)).settle_all();
}

/// Sets the value of a semaphore that nobody else uses, if it is to be another, and forgets whoever
/// waited or held it.
pub(super) fn set_alone<K: Kernel>(kernel: &K, handle: Handle, value: Option<u32>) {
    change(kernel, handle.address(), |word| {
        let now = match word.holder() {
            HeldBy::Unknown => word.value().min(MOST),
            HeldBy::Slot(_) => word.given_back().value(),
        };
        let parity = word.parity();
        let free = Word(0).with_value(value.unwrap_or(now));
        Some(free.with_parity(parity))
    });
}

/// Whether anything is to be given back or taken back when this user ends.
pub(super) fn owes<K: Kernel>(kernel: &K, handle: Handle) -> bool {
    Page::new(kernel, handle, None).owes()
}
