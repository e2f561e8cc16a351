//! The old counter: four bytes of shared memory in which older builds of an application count
//! their instances, kept right for as long as such builds run beside new ones.
//!
//! The segment that an old build makes has four bytes, but memory comes in pages: the four bytes
//! behind the count are there, zero, and nobody else's. In them stands how many of the count are
//! instances of ours. Both are written at once, so a kill leaves either the old or the new pair,
//! and whoever comes next puts right what the dead one is still counted for.

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
}

impl Count {
    /// Takes the pair apart. The sum is the old builds' `int`, which they may have counted down
    /// too often.
    fn of(word: u64) -> Self {
        let sum = (word as u32 as i32).max(0) as u32;
        let ours = (word >> 32) as u32;
        Self {
            old: sum.saturating_sub(ours),
            ours,
        }
    }

    fn word(self) -> u64 {
        let sum = self.old.saturating_add(self.ours).min(i32::MAX as u32);
        u64::from(self.ours) << 32 | u64::from(sum)
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

    #[test]
    fn old_builds_see_the_sum() {
        for (word, count) in [
            (0, Count { old: 0, ours: 0 }),
            (3, Count { old: 3, ours: 0 }),
            (2 << 32 | 5, Count { old: 3, ours: 2 }),
        ] {
            assert_eq!(Count::of(word), count);
            assert_eq!(count.word(), word);
        }
        // Counted down too often.
        assert_eq!(Count::of(0xffff_ffff), Count { old: 0, ours: 0 });
        assert_eq!(Count::of(4 << 32 | 1), Count { old: 0, ours: 4 });
        let huge = Count {
            old: u32::MAX,
            ours: 7,
        };
        assert_eq!(huge.word(), 7 << 32 | i32::MAX as u64);
    }
}
