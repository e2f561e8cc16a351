//! The old counter: four bytes of shared memory in which older builds of an application count
//! their instances, kept right for as long as such builds run beside new ones.
//!
//! The segment that an old build makes has four bytes, but memory comes in pages: the four bytes
//! behind the count are there, zero, and nobody else's. In them stands how many of the count are
//! instances of ours, and what the count was when that was written. All is written at once, so a
//! kill leaves either the old or the new state, and whoever comes next puts right what the dead one
//! is still counted for.

use std::time::Duration;

use crate::identity::Identity;
use crate::kernel::RangeLocks;
use crate::key::Key;
use crate::options::OptionsUpdate;
use crate::shared_memory::{AccessMode, SharedMemory};

/// How long each lock is waited for: an old build that is stopped while it counts must not keep
/// a new one from starting.
const WAIT: Duration = Duration::from_secs(1);

/// How often it is tried again when the last of the others ends just then.
const TRIES: usize = 6;

/// The segment, attached.
#[derive(Debug)]
pub struct Counter<K: RangeLocks> {
    kernel: K,
    memory: SharedMemory<K>,
}

/// The size of the segment, an `int`.
const SIZE: usize = 4;

/// Why there is no counter, in one sentence, and the lowest number that no old build has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncounted {
    pub reason: String,
    pub lowest: u32,
}

/// What stands in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Instances of older builds, as they count themselves.
    pub old: u32,
    /// Of ours, when it was last put right.
    pub ours: u32,
    /// Whether an older build has counted since then, as far as the count tells.
    pub counted_since: bool,
}

/// How many of ours there can be, and up to where a count is remembered.
const MOST: u32 = 0xffff;

impl Count {
    /// Takes the pair apart. The sum is the old builds' `int`, which they may have counted down
    /// too often.
    fn of(word: u64) -> Self {
        let sum = (word as u32 as i32).max(0) as u32;
        let ours = (word >> 32) as u32 & MOST;
        Self {
            old: sum.saturating_sub(ours),
            ours,
            counted_since: sum >= MOST || (word >> 48) as u32 != sum,
        }
    }

    fn word(self) -> u64 {
        let ours = self.ours.min(MOST);
        let sum = self.old.saturating_add(ours).min(i32::MAX as u32);
        u64::from(sum.min(MOST)) << 48 | u64::from(ours) << 32 | u64::from(sum)
    }

    /// The lowest number for one more of ours, of which so many live: as an old build would, behind all
    /// who are there. One that came since somebody of ours was killed may have a number behind the
    /// dead one's.
    pub fn lowest(self, live: u32) -> u32 {
        match self.old {
            0 => 0,
            old if self.counted_since => old.saturating_add(live.max(self.ours)),
            old => old.saturating_add(live),
        }
    }
}

impl<K: RangeLocks> Counter<K> {
    /// Attaches; makes the segment if there is none.
    pub fn attach(kernel: &K, identity: Identity, key: &Key) -> Result<Self, Uncounted> {
        let memory = SharedMemory::with_kernel(kernel.clone(), Some(identity));
        memory.set_options(OptionsUpdate {
            lock_wait: Some(WAIT),
            ..OptionsUpdate::default()
        });
        memory.set_key(key.clone());
        for _ in 0..TRIES {
            let attached = memory.create(SIZE as i64, AccessMode::ReadWrite)
                || memory.attach(AccessMode::ReadWrite);
            if !attached {
                continue;
            }
            let size = memory.size();
            let counter = Self {
                kernel: kernel.clone(),
                memory,
            };
            if size == SIZE {
                return Ok(counter);
            }
            // What is behind the count is theirs.
            let count = (size > SIZE).then(|| counter.sum());
            return Err(Uncounted {
                reason: format!("the old counter has {size} bytes, not {SIZE}"),
                lowest: count.unwrap_or_default(),
            });
        }
        Err(Uncounted {
            reason: format!("the old counter can't be kept: {}", memory.error()),
            lowest: 0,
        })
    }

    /// The count as it stands, without the lock: all that have a number of the old builds' have a lower
    /// one, unless one of them has ended before.
    pub fn sum(&self) -> u32 {
        let word = self.kernel.shm_load(self.memory.data() as usize);
        (word as u32 as i32).max(0) as u32
    }

    /// Runs `act` under the segment's lock; `act` says how many instances of ours there are.
    /// `None`: the lock was not to be had, and `act` has not run.
    pub fn update<T>(&self, act: impl FnOnce(Count) -> (Option<u32>, T)) -> Option<T> {
        if !self.memory.try_lock(WAIT) {
            return None;
        }
        let address = self.memory.data() as usize;
        let before = Count::of(self.kernel.shm_load(address));
        let (ours, result) = act(before);
        if let Some(ours) = ours {
            self.kernel
                .shm_store(address, Count { ours, ..before }.word());
        }
        self.memory.unlock();
        Some(result)
    }

    /// What the lock said when it was not to be had.
    pub fn trouble(&self) -> String {
        let error = self.memory.error();
        format!("the old counter can't be kept: its lock is not to be had{error}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(old: u32, ours: u32, counted_since: bool) -> Count {
        Count {
            old,
            ours,
            counted_since,
        }
    }

    #[test]
    fn old_builds_see_the_sum() {
        for (word, count) in [
            (0, count(0, 0, false)),
            (3 << 48 | 3, count(3, 0, false)),
            (5 << 48 | 2 << 32 | 5, count(3, 2, false)),
        ] {
            assert_eq!(Count::of(word), count);
            assert_eq!(count.word(), word);
        }
        assert_eq!(Count::of(3), count(3, 0, true));
        // Counted down too often.
        assert_eq!(Count::of(0xffff_ffff), count(0, 0, false));
        assert_eq!(Count::of(5 << 48 | 4 << 32 | 1), count(0, 4, true));
        let huge = count(u32::MAX, 7, true);
        assert_eq!(huge.word(), 0xffff << 48 | 7 << 32 | i32::MAX as u64);
        assert!(Count::of(huge.word()).counted_since);
    }

    #[test]
    fn a_number_of_the_dead_is_free_unless_an_old_build_may_have_one_behind_it() {
        // One old build, and one of ours that was killed.
        assert_eq!(count(1, 1, false).lowest(0), 1);
        assert_eq!(count(2, 1, true).lowest(0), 3);
        assert_eq!(count(0, 1, true).lowest(0), 0);
    }
}
