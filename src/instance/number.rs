//! Taking a number: the lowest whose lock is to be had.
//!
//! What is locked counts only when nobody can hold it on another file: see [`super::others`].

use std::num::NonZeroUsize;

use super::file::{At, File};
use super::name::{FILES, IN_FILE, Part};
use super::others::{Others, StillThere, leave_word, others, table};
use super::record::Record;
use super::stop::Stop;
use crate::kernel::RangeLocks;

/// A number that is held, until [`give_back`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Device and inode number of the file.
    pub file: (u64, u64),
    address: NonZeroUsize,
    /// What [`leave_word`] left.
    word: Option<NonZeroUsize>,
}

/// Frees the number.
pub fn give_back<K: RangeLocks>(kernel: &K, held: Held) {
    kernel.let_go(held.address.get());
    take_back(kernel, held.word);
}

fn take_back<K: RangeLocks>(kernel: &K, word: Option<NonZeroUsize>) {
    if let Some(word) = word {
        kernel.let_go(word.get());
    }
}

/// Takes the lowest free number from `lowest` on.
pub fn take<K: RangeLocks>(
    at: At<'_, K>,
    lowest: u32,
    record: &Record,
    still_there: StillThere<'_>,
) -> Result<(u32, Held), Stop> {
    for index in lowest / IN_FILE..FILES {
        let file = at.open_or_make(Part::Numbers(index))?;
        let first = index * IN_FILE;
        for number in first.max(lowest)..first + IN_FILE {
            if !file.lock(at.key.number(number))? {
                continue;
            }
            // Before others are looked for, so that of two at least one sees the other.
            let word = leave_word(at, number);
            match nobody_else(at, &file, number, still_there) {
                Ok(true) => return Ok((number, keep(at, file, number, record, word)?)),
                Ok(false) => file.unlock(at.key.number(number)),
                Err(stop) => {
                    take_back(at.kernel, word);
                    return Err(stop);
                }
            }
            take_back(at.kernel, word);
        }
        // Each of us locks one byte. Whoever locks more keeps everybody out.
        let holder = file.holder(at.key.numbers_of(index))?;
        if holder.is_some_and(|range| range.length > 1) {
            let path = file.path.display();
            return Err(Stop::because(format!(
                "somebody has locked {path} as a whole"
            )));
        }
    }
    Err(Stop::because("all numbers are taken".to_owned()))
}

/// Takes just this number, for who holds it on another file already; `None` if it is not to be
/// had.
pub fn take_again<K: RangeLocks>(
    at: At<'_, K>,
    number: u32,
    record: &Record,
) -> Result<Option<Held>, Stop> {
    let file = at.open_or_make(Part::Numbers(number / IN_FILE))?;
    if !file.lock(at.key.number(number))? || !file.is_current() {
        return Ok(None);
    }
    let word = leave_word(at, number);
    keep(at, file, number, record, word).map(Some)
}

/// Whether a number that is locked is nobody's on another file.
fn nobody_else<K: RangeLocks>(
    at: At<'_, K>,
    file: &File<'_, K>,
    number: u32,
    still_there: StillThere<'_>,
) -> Result<bool, Stop> {
    if others(at, file, still_there)? == Others::None {
        return Ok(true);
    }
    let this = at.key.number(number);
    let table = table(at, file, this, at.key.numbers_of(number / IN_FILE));
    if table.elsewhere.contains(&this) {
        return Ok(false);
    }
    file.describe(at, table.readable && table.elsewhere.is_empty());
    Ok(true)
}

fn keep<K: RangeLocks>(
    at: At<'_, K>,
    file: File<'_, K>,
    number: u32,
    record: &Record,
    word: Option<NonZeroUsize>,
) -> Result<Held, Stop> {
    file.write(Record::offset(number), &record.bytes());
    let stat = file.stat;
    match file.keep() {
        Ok(address) => Ok(Held {
            file: (stat.dev, stat.ino),
            address,
            word,
        }),
        Err(stop) => {
            take_back(at.kernel, word);
            Err(stop)
        }
    }
}
