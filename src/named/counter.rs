//! A counting semaphore whose counts survive a kill: what a process has acquired and not released
//! is given back when it dies (`accounts`).
//!
//! Most of them are used like a lock, one at a time: then the word says who has it, in the step that
//! takes it. Or as a signal, which one releases and another acquires: then release() is for whom the
//! word names, so that no account grows with each signal.

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
    if delta < 0 {
        lock::take_one(kernel, handle) || page.word().value() > 0 && page.add(delta).is_ok()
    } else {
        give(&page, kernel, handle, delta).is_ok()
    }
}

/// Adds `n`, first of all for what we have taken ourselves.
#[inline]
fn give<K: Kernel>(page: &Page<'_, K>, kernel: &K, handle: Handle, n: i32) -> Result<(), Errno> {
    if page.owed() == 0 {
        return give_by_word(kernel, handle, n);
    }
    if page.word().holder() != HeldBy::Slot(handle.slot()) {
        return page.add(n);
    }
    // What may fail comes first.
    if n > 1 {
        page.add(n - 1)?;
    }
    give_by_word(kernel, handle, 1)
}

/// The same for whom the word names, whoever that is. What is more is a signal.
#[inline]
fn give_by_word<K: Kernel>(kernel: &K, handle: Handle, n: i32) -> Result<(), Errno> {
    let given = change(kernel, handle.address(), |word| {
        let value = word.value().checked_add(n.unsigned_abs());
        let value = value.filter(|value| *value <= MOST)?;
        Some(word.with_value(value).with_holder(HeldBy::Unknown))
    });
    if given.ok_or(Errno::EOVERFLOW)?.has_waiters() {
        kernel.word_wake(handle.address(), n);
    }
    Ok(())
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
        if lock::take_one(kernel, handle) {
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
    let page = Page::new(kernel, handle, Some(inquiry));
    give(&page, kernel, handle, n)
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

/// Sets the value of a semaphore that nobody else uses, and forgets whoever waited or held it.
pub(super) fn set_alone<K: Kernel>(kernel: &K, handle: Handle, value: u32) {
    change(kernel, handle.address(), |word| {
        Some(Word(0).with_value(value).with_parity(word.parity()))
    });
}

/// Whether anything is to be given back when this user ends.
pub(super) fn owes<K: Kernel>(kernel: &K, handle: Handle) -> bool {
    lock::has_taken(kernel, handle)
}
