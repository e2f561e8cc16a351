//! A number for who can have none that others know of.

use std::sync::{Mutex, PoisonError};

/// The first number that is never one of a registry's: private numbers are from here on, up to
/// the largest that an `int` holds.
pub const PRIVATE: u32 = 1 << 30;

/// A pid has at most 22 bits; so many numbers are left for the handles of a process.
const IN_PROCESS: u32 = 1 << 8;

/// The last of them is all those handles' for which no other is left, so it is never free.
const LAST: u64 = 1 << 63;

/// Which are in use, a bit for each. Of a forked child, those of its parent as well.
static IN_USE: Mutex<[u64; 4]> = Mutex::new([0, 0, 0, LAST]);

/// A number that no other process of this PID namespace has, and no other handle of this one
/// unless there are more than 255 such: those beyond have one number.
pub fn take(pid: i32) -> u32 {
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let free = in_use
        .iter()
        .position(|word| *word != u64::MAX)
        .and_then(|index| {
            let word = in_use.get_mut(index)?;
            let bit = word.trailing_ones();
            *word |= 1 << bit;
            Some(index as u32 * 64 + bit)
        });
    number(pid, free.unwrap_or(IN_PROCESS - 1))
}

/// Gives it back.
pub fn give_back(number: u32) {
    let handle = number % IN_PROCESS;
    if handle == IN_PROCESS - 1 {
        return;
    }
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(word) = in_use.get_mut(handle as usize / 64) {
        *word &= !(1 << (handle % 64));
    }
}

fn number(pid: i32, handle: u32) -> u32 {
    let pid = pid as u32 & ((1 << 22) - 1);
    PRIVATE | pid << 8 | handle
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
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
        assert_eq!(IN_USE.lock().unwrap()[3], u64::MAX);
        numbers.into_iter().for_each(give_back);
    }
}
