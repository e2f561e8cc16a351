//! A counting semaphore whose counts survive a kill: what a process has acquired and not released
//! is given back when it dies, as System V does (`SEM_UNDO`, semop(2)). Not so what it has released:
//! System V takes that back, Qt's POSIX semaphores don't, and a process that releases and ends is a
//! signal to those who wait.
//!
//! Behind the 32 bytes of glibc the page has a table: for each slot, what its user has acquired less
//! what it has released, which is added to the value when it dies, if it is more than nothing. To change the value and the table as one, the user of a slot takes the
//! page's mutex, writes into a journal what the table is to be, and then changes the value together
//! with a bit, the parity, in one step. Whoever finds the mutex in the hands of the dead can tell by
//! that bit whether the step was made: if so the journal is carried out, else it is void.
//!
//! Processes of real Qt change the value alone, and nobody keeps an account of them.

use std::time::Duration;

use crate::kernel::{Errno, Fd, Kernel, Wait};

use super::handle::Handle;
use super::inquiry::Inquiry;
use super::lock::{self, NAP, count_waiter};
use super::semaphore::SIZE;
use super::slots;
use super::word::{MOST, Word};

/// Which slot has the mutex; 0 is free.
const MUTEX: usize = 64;
/// The journal: a slot, and what the table is to say of it.
const ENTRY: usize = 72;
/// Whether the journal counts, and the parity that makes it true.
const VALID: usize = 80;
/// The table, two slots in a word.
const TABLE: usize = 96;

/// How often to look for the mutex before asking whether its holder is dead.
const SPINS: usize = 100;

/// The pause between two such questions.
const PAUSE: Duration = Duration::from_micros(50);

/// How long the mutex of somebody who lives may be waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where to get a descriptor for asking about the slots of others, each time anew.
type Ask<'a> = &'a dyn Fn() -> Option<Fd>;

/// One semaphore, as seen by one of its users.
struct Page<'a, K: Kernel> {
    kernel: &'a K,
    address: usize,
    slot: u32,
    /// Without it, what can't be done at once is not done.
    ask: Option<Ask<'a>>,
}

impl<'a, K: Kernel> Page<'a, K> {
    fn new(kernel: &'a K, handle: Handle, ask: Option<Ask<'a>>) -> Self {
        Page {
            kernel,
            address: handle.address(),
            slot: handle.slot(),
            ask,
        }
    }

    fn word(&self) -> Word {
        Word(self.kernel.word(self.address))
    }

    fn get(&self, at: usize) -> u64 {
        self.kernel.word(self.address + at)
    }

    fn set(&self, at: usize, value: u64) {
        self.kernel.word_set(self.address + at, value);
    }

    /// The slots for which something is to be added when their users die, and what.
    fn all_owed(&self) -> Vec<(u32, i32)> {
        let words = self.kernel.words(self.address + TABLE, (SIZE - TABLE) / 8);
        let owed = words
            .into_iter()
            .flat_map(|word| [word as u32 as i32, (word >> 32) as u32 as i32]);
        (0..).zip(owed).filter(|(_, owed)| *owed != 0).collect()
    }

    /// What the user of a slot has acquired and not released.
    fn owed(&self, slot: u32) -> i32 {
        let (at, shift) = table_entry(slot);
        (self.get(at) >> shift) as u32 as i32
    }

    /// Under the mutex only: two slots share a word.
    fn set_owed(&self, slot: u32, owed: i32) {
        let (at, shift) = table_entry(slot);
        let others = self.get(at) & !(0xffff_ffff << shift);
        self.set(at, others | u64::from(owed as u32) << shift);
    }

    /// Runs `act` under the mutex, as the user of this slot.
    fn locked<T>(&self, act: impl FnOnce() -> T) -> Result<T, Errno> {
        let at = self.address + MUTEX;
        let begin = self.kernel.clock();
        let mut attempts = 0;
        while let Err(holder) = self.kernel.word_swap(at, 0, u64::from(self.slot)) {
            attempts += 1;
            if attempts < SPINS && self.kernel.spin() {
                continue;
            }
            if self.ask.is_none() {
                return Err(Errno::EAGAIN);
            }
            let holder = holder as u32;
            if holder != self.slot && self.free_mutex_of(holder) {
                continue;
            }
            if self.kernel.clock().saturating_sub(begin) > PATIENCE {
                return Err(Errno::EBUSY);
            }
            self.kernel.pause(PAUSE);
        }
        let done = act();
        self.kernel.word_set(at, 0);
        Ok(done)
    }

    /// Takes the mutex from a user who is dead, by becoming that user; says whether it did.
    fn free_mutex_of(&self, slot: u32) -> bool {
        let Some(fd) = self.ask.and_then(|ask| ask()) else {
            return false;
        };
        // A number that is no slot: not of ours.
        let real = slot < slots::COUNT;
        if real && slots::take(self.kernel, fd, slot).is_err() {
            return false;
        }
        self.free_mutex_as(slot);
        if real {
            slots::give_back(self.kernel, fd, slot);
        }
        true
    }

    /// Gives the mutex back for a dead user whose slot is ours now.
    fn free_mutex_as(&self, slot: u32) {
        let at = self.address + MUTEX;
        if self.kernel.word(at) == u64::from(slot) {
            self.finish();
            let _ = self.kernel.word_swap(at, u64::from(slot), 0);
        }
    }

    /// Gives back what the dead user of this slot, which is ours now, had acquired; says whether
    /// there was anything.
    fn settle(&self) -> bool {
        self.free_mutex_as(self.slot);
        if self.owed(self.slot) == 0 {
            return false;
        }
        let done = self.locked(|| {
            // Less than nothing: it has released more than it has acquired.
            let owed = self.owed(self.slot).max(0);
            self.change(owed, 0)
        });
        let Ok(Some(Ok(word))) = done else {
            return false;
        };
        if word.has_waiters() {
            self.kernel.word_wake(self.address, i32::MAX);
        }
        true
    }

    /// Carries out the journal, if it counts.
    fn finish(&self) {
        let valid = self.get(VALID);
        let slot = self.get(ENTRY) as u32;
        let made = valid != 0 && self.word().parity() == (valid & 1 == 1);
        if made && slot < slots::COUNT {
            self.set_owed(slot, (self.get(ENTRY) >> 32) as u32 as i32);
        }
        self.set(VALID, 0);
    }

    /// Changes the value by `delta` and the table as one, under the mutex. `None`: the value would
    /// be less than nothing.
    fn change(&self, delta: i32, owed: i32) -> Option<Result<Word, Errno>> {
        let mut word = self.word();
        let parity = !word.parity();
        self.set(ENTRY, u64::from(self.slot) | u64::from(owed as u32) << 32);
        self.set(VALID, 2 | u64::from(parity));
        let changed = loop {
            let value = i64::from(word.value()) + i64::from(delta);
            if value < 0 {
                break None;
            }
            if value > i64::from(MOST) {
                break Some(Err(Errno::EOVERFLOW));
            }
            let next = word.with_value(value as u32).with_parity(parity);
            match self.kernel.word_swap(self.address, word.0, next.0) {
                Ok(()) => break Some(Ok(next)),
                Err(now) => word = Word(now),
            }
        };
        if let Some(Ok(_)) = changed {
            self.set_owed(self.slot, owed);
        }
        self.set(VALID, 0);
        changed
    }

    /// Adds `delta`, on this slot's account. `EAGAIN`: there is not so much.
    fn add(&self, delta: i32) -> Result<(), Errno> {
        let changed = self.locked(|| {
            let owed = self.owed(self.slot).saturating_sub(delta);
            self.change(delta, owed)
        })?;
        let word = changed.ok_or(Errno::EAGAIN)??;
        if delta > 0 && word.has_waiters() {
            self.kernel.word_wake(self.address, delta);
        }
        Ok(())
    }

    /// Gives back what the dead had acquired; says whether there was anything.
    fn settle_the_dead(&self) -> bool {
        // Who died in the middle of an operation is not in the table yet.
        let holder = self.get(MUTEX) as u32;
        if holder != 0 && holder != self.slot {
            self.free_mutex_of(holder);
        }
        let mut settled = false;
        for (slot, _) in self.all_owed() {
            if slot == self.slot {
                continue;
            }
            let Some(fd) = self.ask.and_then(|ask| ask()) else {
                return false;
            };
            // Who has the byte of a slot is its user: we, for as long as this takes.
            if slots::take(self.kernel, fd, slot).is_err() {
                continue;
            }
            settled |= Page { slot, ..*self }.settle();
            slots::give_back(self.kernel, fd, slot);
        }
        settled
    }
}

fn table_entry(slot: u32) -> (usize, u32) {
    let slot = slot.min(slots::COUNT - 1);
    (TABLE + 8 * (slot as usize / 2), 32 * (slot % 2))
}

/// `acquire()` or `release()` where that takes neither waiting nor clearing up.
#[inline]
pub(crate) fn try_add<K: Kernel>(kernel: &K, handle: Handle, delta: i32) -> bool {
    let page = Page::new(kernel, handle, None);
    (delta > 0 || page.word().value() > 0) && page.add(delta).is_ok()
}

/// `acquire()`: takes one. `go_on` is asked now and then whether it still makes sense to wait.
pub(crate) fn acquire<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
    wait: Wait,
    mut go_on: impl FnMut() -> bool,
) -> Result<(), Errno> {
    let ask = || inquiry.fd();
    let page = Page::new(kernel, handle, Some(&ask));
    let begin = kernel.clock();
    loop {
        if page.word().value() > 0 {
            match page.add(-1) {
                Err(Errno::EAGAIN) => {}
                answer => return answer,
            }
        }
        // Or one who had it as the lock of a `QSharedMemory` of the same key.
        if page.settle_the_dead() || lock::free_from_the_dead(kernel, handle, inquiry) {
            continue;
        }
        let nap = match wait {
            Wait::No => Duration::ZERO,
            Wait::AtMost(time) => {
                let spent = kernel.clock().saturating_sub(begin);
                time.saturating_sub(spent).min(NAP)
            }
            Wait::Forever => NAP,
        };
        if nap.is_zero() || !go_on() {
            return Err(Errno::EAGAIN);
        }
        let counted = count_waiter(kernel, page.address, Word::with_waiter);
        kernel.word_wait(page.address, 0, nap);
        if counted {
            count_waiter(kernel, page.address, |word| Some(word.without_waiter()));
        }
    }
}

/// `release()`: adds `n`. `EOVERFLOW`: the value would pass the highest.
pub(crate) fn release<K: Kernel>(
    kernel: &K,
    handle: Handle,
    inquiry: &Inquiry<K>,
    n: i32,
) -> Result<(), Errno> {
    Page::new(kernel, handle, Some(&|| inquiry.fd())).add(n)
}

/// Gives back what the dead had acquired; says whether there was anything.
pub(super) fn settle_the_dead<K: Kernel>(kernel: &K, handle: Handle, inquiry: &Inquiry<K>) -> bool {
    Page::new(kernel, handle, Some(&|| inquiry.fd())).settle_the_dead()
}

/// Sets the value, and forgets who owes what.
pub(super) fn reset<K: Kernel>(kernel: &K, handle: Handle, fd: Fd, value: u32) {
    let ask = || Some(fd);
    let page = Page::new(kernel, handle, Some(&ask));
    let _ = page.locked(|| {
        for (slot, _) in page.all_owed() {
            page.set_owed(slot, 0);
        }
        count_waiter(kernel, page.address, |word| Some(word.with_value(value)));
    });
    if value > 0 {
        kernel.word_wake(page.address, i32::MAX);
    }
}

/// Clears up after the dead user whose slot has become ours.
pub(super) fn take_over<K: Kernel>(kernel: &K, handle: Handle, fd: Fd) {
    Page::new(kernel, handle, Some(&|| Some(fd))).settle();
}

/// Gives back what all dead had. Nobody else uses the semaphore. What can't be so, bytes that nobody
/// of ours wrote, is forgotten.
///
/// Each step is as safe from a kill as those of the living: to add up first and write then would
/// lose, or count twice, what was added up.
pub(super) fn settle_alone<K: Kernel>(kernel: &K, handle: Handle, fd: Fd) {
    let ask = || Some(fd);
    let page = Page::new(kernel, handle, Some(&ask));
    if page.get(MUTEX) != 0 {
        page.finish();
        page.set(MUTEX, 0);
    }
    page.settle();
    page.settle_the_dead();
    for (slot, _) in page.all_owed() {
        page.set_owed(slot, 0);
    }
}

/// Sets the value of a semaphore that nobody else uses, and forgets whoever waited or held it.
pub(super) fn set_alone<K: Kernel>(kernel: &K, handle: Handle, value: u32) {
    count_waiter(kernel, handle.address(), |word| {
        Some(Word(0).with_value(value).with_parity(word.parity()))
    });
}

/// Whether anything is to be given back when this user ends.
pub(super) fn owes<K: Kernel>(kernel: &K, handle: Handle) -> bool {
    let page = Page::new(kernel, handle, None);
    page.owed(page.slot) > 0
}
