//! Taking a number: the lowest whose lock is to be had.
//!
//! What is locked counts only when nobody can hold it on another file: see [`super::others`].

use std::collections::BTreeSet;

use super::file::At;
use super::held::{Describe, Held, Moved};
use super::name::{FILES, IN_FILE, Part};
use super::others::{Files, Others, StillThere, held};
use super::record::Record;
use super::stop::Stop;
use crate::kernel::{Range, RangeLocks};

/// Takes the lowest free number from `lowest` on.
pub fn take<K: RangeLocks>(
    at: At<'_, K>,
    lowest: u32,
    record: &Record,
    still_there: StillThere<'_>,
) -> Result<(u32, Held), Stop> {
    // What the table has shown to be others', so that it need not be asked for each number.
    let mut taken = BTreeSet::new();
    for index in lowest / IN_FILE..FILES {
        let first = index * IN_FILE;
        let numbers = first.max(lowest)..first + IN_FILE;
        if numbers
            .clone()
            .all(|number| taken.contains(&at.key.number(number)))
        {
            continue;
        }
        let files = Files::open(at, Part::Numbers(index))?;
        for number in numbers {
            let this = at.key.number(number);
            if taken.contains(&this) || !files.lock(this)? {
                continue;
            }
            if let Some(last) = &files.last {
                // At once: until then nobody can take a file for the only one.
                last.lock(at.key.in_both(number))?;
            }
            if !nobody_else(at, &files, number, still_there, &mut taken)? {
                files.unlock(this);
                if let Some(last) = &files.last {
                    last.unlock(at.key.in_both(number));
                }
                continue;
            }
            for file in files.each() {
                file.write(Record::offset(number), &record.bytes());
            }
            return Ok((number, Held::keep(at, files)?));
        }
        // Each of us locks one byte. Whoever locks more keeps everybody out.
        for file in files.each() {
            let holder = file.holder(at.key.numbers_of(index))?;
            if holder.is_some_and(|range| range.length > 1) {
                let path = file.path.display();
                return Err(Stop::because(format!(
                    "somebody has locked {path} as a whole"
                )));
            }
        }
    }
    Err(Stop::because("all numbers are taken".to_owned()))
}

/// What a number is held by, for who moves to other files.
pub fn moved<'a, K: RangeLocks>(
    at: At<'_, K>,
    number: u32,
    write: &'a Describe<'a, K>,
) -> Moved<'a, K> {
    Moved {
        part: Part::Numbers(number / IN_FILE),
        range: at.key.number(number),
        in_both: Some(at.key.in_both(number)),
        write,
    }
}

/// Whether a number that is locked is nobody's on another file.
fn nobody_else<K: RangeLocks>(
    at: At<'_, K>,
    files: &Files<'_, K>,
    number: u32,
    still_there: StillThere<'_>,
    taken: &mut BTreeSet<Range>,
) -> Result<bool, Stop> {
    if files.others(at, still_there)? == Others::None {
        return Ok(true);
    }
    let this = at.key.number(number);
    let table = files.table(at, &[this, this], at.key.numbers_of(number / IN_FILE))?;
    // Who has moved since the table was read, and is not on the old file any more: as long as the paths
    // lead here, it moves to the very lock that is held here.
    files.others(at, still_there)?;
    if table.elsewhere.contains(&this) {
        if taken.is_empty() {
            // All at once, since the table takes its time where there is much in it.
            taken.extend(held(at, at.key.all_numbers(), &[])?);
        }
        taken.extend(table.elsewhere);
        return Ok(false);
    }
    files.describe(at, &table, |last, range| {
        let number = at.key.number_at(range.start);
        number.is_some_and(|number| matches!(last.holder(at.key.in_both(number)), Ok(Some(_))))
    });
    Ok(true)
}
