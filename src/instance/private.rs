//! A number for who can have none that others know of.

use std::sync::atomic::{AtomicU64, Ordering};

/// The first number that is never one of a registry's: private numbers are from here on, up to
/// the largest that an `int` holds.
pub const PRIVATE: u32 = 1 << 30;

/// A pid has at most 22 bits; so many numbers are left for the handles of a process.
const IN_PROCESS: u32 = 1 << 8;

/// The last of them is all those handles' for which no other is left, so it is never free.
const LAST: u64 = 1 << 63;

/// Which are in use, a bit for each. Of a forked child, those of its parent as well; it must not find
/// them locked.
static IN_USE: [AtomicU64; 4] = [
    AtomicU64::new(0),
    AtomicU64::new(0),
    AtomicU64::new(0),
    AtomicU64::new(LAST),
];

/// A number that no other process of this PID namespace has, and no other handle of this one
/// unless there are more than 255 such: those beyond have one number.
pub fn take(pid: i32) -> u32 {
    let with_one_more = |bits: u64| (bits != u64::MAX).then(|| bits | 1 << bits.trailing_ones());
    let free = IN_USE.iter().zip(0..).find_map(|(word, index)| {
        let before = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, with_one_more);
        before.ok().map(|bits| index * 64 + bits.trailing_ones())
    });
    number(pid, free.unwrap_or(IN_PROCESS - 1))
}

/// Gives it back.
pub fn give_back(number: u32) {
    let handle = number % IN_PROCESS;
    if handle == IN_PROCESS - 1 {
        return;
    }
    if let Some(word) = IN_USE.get(handle as usize / 64) {
        word.fetch_and(!(1 << (handle % 64)), Ordering::AcqRel);
    }
}

fn number(pid: i32, handle: u32) -> u32 {
    let pid = pid as u32 & ((1 << 22) - 1);
    PRIVATE | pid << 8 | handle
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_a_process_have_different_numbers() {
        let numbers: Vec<u32> = (0..257).map(|_| take(4_194_303)).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 256);
        assert_eq!(numbers[255], numbers[256]);
        assert!(
            numbers
                .iter()
                .all(|number| (PRIVATE..=i32::MAX as u32).contains(number))
        );
        give_back(numbers[7]);
        assert_eq!(take(4_194_303), numbers[7]);
        // One that several have is not free when one of them ends.
        give_back(numbers[255]);
        assert_eq!(IN_USE[3].load(Ordering::Relaxed), u64::MAX);
        numbers.into_iter().for_each(give_back);
    }
}
