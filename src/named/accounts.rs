//! Who has taken how much from a semaphore, so that it comes back when a process dies, as with
//! System V (`SEM_UNDO`, semop(2)). Not so what a process has released beyond that: System V takes
//! it back, Qt's POSIX semaphores don't, and who releases and ends has given a signal.
//!
//! Behind the 32 bytes of glibc the page has a table: for each slot, what is to be added to the
//! value when its user dies. To change the value and the table as one, the user of a slot takes the
//! page's mutex, writes into a journal what the table is to be, and then changes the value together
//! with a bit, the parity, in one step. Whoever finds the mutex in the hands of the dead can tell by
//! that bit whether the step was made: if so the journal is carried out, else it is void. The word
//! itself has room for one who has taken one, which needs none of this.
//!
//! What must hold, at every step and wherever a kill may come:
//!
//! - **The sum stays.** The value, and one if the word names a slot, and what the table has for all
//!   slots (with the journal carried out if the parity says so) are together what they were. Only
//!   who sets the value, a release() of what nobody is named to have, and processes of real Qt, of
//!   whom nobody keeps an account, change it.
//! - **Each account has one owner**: the user of the slot, whose mapping keeps the slot's byte
//!   locked, or, when that has died, who has that byte locked in its stead. What belongs to the dead
//!   is only touched by who has become the owner first and has then looked whether it is there:
//!   nobody who lives can have got the slot meanwhile. Who starts with a slot is its owner before
//!   anybody can see its number, and settles what it finds there first.
//! - **Nobody waits for the dead alone.** Who is to be woken may be killed, and so may who was to
//!   wake: no sleep is longer than a nap, and after each the accounts of all are looked at.
//!
//! So of those between lock() and unlock() at most one is named by the word, the dead keep nobody
//! out for longer than a nap, and nothing is given back twice. (`tests/simulation` looks at the
//! sum after each step.)

use std::time::Duration;

use crate::kernel::{Errno, Kernel};

use super::handle::Handle;
use super::inquiry::Inquiry;
use super::lock;
use super::semaphore::SIZE;
use super::slots;
use super::word::{HeldBy, MOST, Word};

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

/// One semaphore, as seen by the owner of one of its accounts.
#[derive(Debug)]
pub(super) struct Page<'a, K: Kernel> {
    kernel: &'a K,
    pub address: usize,
    slot: u32,
    inquiry: Option<&'a Inquiry<K>>,
}

impl<'a, K: Kernel> Page<'a, K> {
    /// Without an inquiry, what can't be done at once is not done.
    #[inline]
    pub fn new(kernel: &'a K, handle: Handle, inquiry: Option<&'a Inquiry<K>>) -> Self {
        Page {
            kernel,
            address: handle.address(),
            slot: handle.slot(),
            inquiry,
        }
    }

    /// The same page, for another account that is ours as well.
    fn of(&self, slot: u32) -> Self {
        Page { slot, ..*self }
    }

    #[inline]
    pub fn word(&self) -> Word {
        Word(self.kernel.word(self.address))
    }

    fn get(&self, at: usize) -> u64 {
        self.kernel.word(self.address + at)
    }

    fn set(&self, at: usize, value: u64) {
        self.kernel.word_set(self.address + at, value);
    }

    /// Whether we have taken more than we have given back, by the word or by the table.
    #[inline]
    pub fn has_taken(&self) -> bool {
        self.word().holder() == HeldBy::Slot(self.slot) || self.owed() > 0
    }

    /// The slots for which something is to be added when their users die, and what.
    fn all_owed(&self) -> Vec<(u32, i32)> {
        let words = self.kernel.words(self.address + TABLE, (SIZE - TABLE) / 8);
        let owed = words
            .into_iter()
            .flat_map(|word| [word as u32 as i32, (word >> 32) as u32 as i32]);
        (0..).zip(owed).filter(|(_, owed)| *owed != 0).collect()
    }

    /// What is to be added when we die.
    #[inline]
    pub fn owed(&self) -> i32 {
        let (at, shift) = table_entry(self.slot);
        (self.get(at) >> shift) as u32 as i32
    }

    /// Under the mutex only: two slots share a word.
    fn set_owed(&self, slot: u32, owed: i32) {
        let (at, shift) = table_entry(slot);
        let others = self.get(at) & !(0xffff_ffff << shift);
        self.set(at, others | u64::from(owed as u32) << shift);
    }

    /// Runs `act` under the mutex.
    ///
    /// # Errors
    /// `EAGAIN`: it is not to be had at once. `EBUSY`: somebody who lives has had it for all the
    /// time; a process that is stopped, say.
    fn locked<T>(&self, act: impl FnOnce() -> T) -> Result<T, Errno> {
        let at = self.address + MUTEX;
        let mut begin = None;
        let mut attempts = 0;
        while let Err(holder) = self.kernel.word_swap(at, 0, u64::from(self.slot)) {
            attempts += 1;
            if attempts < SPINS && self.kernel.spin() {
                continue;
            }
            let inquiry = self.inquiry.ok_or(Errno::EAGAIN)?;
            let holder = holder as u32;
            if holder != self.slot && self.free_mutex_of(inquiry, holder) {
                continue;
            }
            let begin = *begin.get_or_insert_with(|| self.kernel.clock());
            if self.kernel.clock().saturating_sub(begin) > PATIENCE {
                return Err(Errno::EBUSY);
            }
            self.kernel.pause(PAUSE);
        }
        let done = act();
        self.kernel.word_set(at, 0);
        Ok(done)
    }

    /// Takes the mutex from a user who is dead; says whether it did.
    fn free_mutex_of(&self, inquiry: &Inquiry<K>, slot: u32) -> bool {
        let freed = inquiry.stand_in(slot, || self.of(slot).free_own_mutex());
        freed.is_some()
    }

    /// Gives the mutex back that the dead user had whose account is ours now.
    fn free_own_mutex(&self) {
        let slot = u64::from(self.slot);
        if self.get(MUTEX) == slot {
            self.finish();
            let _ = self.kernel.word_swap(self.address + MUTEX, slot, 0);
        }
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

    /// Adds `delta` to the value, on our account.
    ///
    /// # Errors
    /// `EAGAIN`: there is not so much. `EOVERFLOW`: the value would pass the highest. `EBUSY`: see
    /// [`locked`](Self::locked).
    pub fn add(&self, delta: i32) -> Result<(), Errno> {
        let changed = self.locked(|| {
            let owed = self.owed().saturating_sub(delta);
            self.change(delta, owed.max(0))
        })?;
        let word = changed.ok_or(Errno::EAGAIN)??;
        if delta > 0 && word.has_waiters() {
            self.kernel.word_wake(self.address, delta);
        }
        Ok(())
    }

    /// Clears our account, under the mutex: as far as the value can take it, as the kernel does
    /// with `SEM_UNDO`. Less than nothing is what nobody of ours wrote.
    fn clear(&self) -> Option<Result<Word, Errno>> {
        let room = MOST.saturating_sub(self.word().value());
        let owed = self.owed().max(0).unsigned_abs();
        self.change(owed.min(room) as i32, 0)
    }

    /// Gives back what the dead user had acquired whose account is ours now; says whether there was
    /// anything.
    pub fn settle(&self) -> bool {
        self.free_own_mutex();
        if self.owed() == 0 {
            return false;
        }
        let Ok(Some(Ok(word))) = self.locked(|| self.clear()) else {
            return false;
        };
        if word.has_waiters() {
            self.kernel.word_wake(self.address, i32::MAX);
        }
        true
    }

    /// Gives back what the dead had acquired; says whether there was anything.
    pub fn settle_the_dead(&self) -> bool {
        let Some(inquiry) = self.inquiry else {
            return false;
        };
        // Who died in the middle of an operation is not in the table yet.
        let holder = self.get(MUTEX) as u32;
        if holder != 0 && holder != self.slot {
            self.free_mutex_of(inquiry, holder);
        }
        let mut settled = false;
        for (slot, _) in self.all_owed() {
            if slot != self.slot {
                let done = inquiry.stand_in(slot, || self.of(slot).settle());
                settled |= done.unwrap_or(false);
            }
        }
        settled
    }

    /// Sets the value, and forgets who has taken what. Who is killed in the middle has let all give
    /// back what they have: each step keeps the sum, but for the last.
    pub fn reset(&self, value: u32) -> Result<(), Errno> {
        self.locked(|| {
            for (slot, _) in self.all_owed() {
                let _ = self.of(slot).clear();
                self.set_owed(slot, 0);
            }
            lock::change(self.kernel, self.address, |word| {
                Some(word.with_holder(HeldBy::Unknown).with_value(value))
            });
        })
    }

    /// Clears the accounts of all, where nobody else has one. What can't be so, bytes that nobody of
    /// ours wrote, is forgotten.
    ///
    /// Each step is as safe from a kill as those of the living: to add up first and write then would
    /// lose, or count twice, what was added up.
    pub fn settle_all(&self) {
        if self.get(MUTEX) != 0 {
            self.finish();
            self.set(MUTEX, 0);
        }
        self.settle();
        self.settle_the_dead();
        for (slot, _) in self.all_owed() {
            self.set_owed(slot, 0);
        }
    }
}

fn table_entry(slot: u32) -> (usize, u32) {
    let slot = slot.min(slots::COUNT - 1);
    (TABLE + 8 * (slot as usize / 2), 32 * (slot % 2))
}
