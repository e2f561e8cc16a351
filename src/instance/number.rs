//! Taking a number: the lowest whose lock is to be had.
//!
//! What is locked counts only when nobody can hold it on another file: see [`super::others`].

use std::collections::BTreeSet;

use super::file::{At, File, Kept, is_at};
use super::name::{FILES, IN_FILE, Part};
use super::others::{Files, Others, StillThere, held, last_place, open_last};
use super::place::Choice;
use super::record::Record;
use super::stop::Stop;
use crate::kernel::{Range, RangeLocks};

/// A number that is held, or a claim, until [`give_back`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// In a better place than the last.
    better: Option<Kept>,
    /// In the last place.
    last: Option<Kept>,
}

impl Held {
    /// Keeps the files on which it is locked.
    pub fn keep<K: RangeLocks>(at: At<'_, K>, files: Files<'_, K>) -> Result<Self, Stop> {
        let here = files.here.keep()?;
        if at.place.choice == Choice::Last {
            return Ok(Self {
                better: None,
                last: Some(here),
            });
        }
        match files.last.map(File::keep).transpose() {
            Ok(last) => Ok(Self {
                better: Some(here),
                last,
            }),
            Err(stop) => {
                here.let_go(at.kernel);
                Err(stop)
            }
        }
    }
}

/// Frees it.
pub fn give_back<K: RangeLocks>(kernel: &K, held: Held) {
    for kept in [held.better, held.last].into_iter().flatten() {
        kept.let_go(kernel);
    }
}

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
            if !nobody_else(at, &files, number, still_there, &mut taken)? {
                files.unlock(this);
                continue;
            }
            if let Some(last) = &files.last {
                // Only from now on is it known to be in both.
                last.lock(in_both(at, number))?;
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

/// What is locked in the last place by who has a number there and in a better place.
fn in_both<K: RangeLocks>(at: At<'_, K>, number: u32) -> Range {
    Range::new(at.key.in_both().start + u64::from(number), 1)
}

/// Takes just this number on the files that are there now, for who holds it already on `old`
/// files; `None` if there is nothing to do, or it is not to be had.
pub fn take_again<K: RangeLocks>(
    at: At<'_, K>,
    number: u32,
    record: &Record,
    old: Held,
) -> Result<Option<Held>, Stop> {
    let part = Part::Numbers(number / IN_FILE);
    let there = |at: At<'_, K>, kept: Option<Kept>| {
        kept.is_some_and(|kept| is_at(at.kernel, &at.path(part), kept.file))
    };
    let last_alone = at.place.choice == Choice::Last;
    let mut files = Vec::new();
    let better = !last_alone && !there(at, old.better);
    if better {
        files.push(at.open_or_make(part)?);
    }
    let missing = if last_alone {
        !there(at, old.last)
    } else {
        let last = last_place(at, true).ok().flatten();
        last.is_some_and(|last| !there(At { place: &last, ..at }, old.last))
    };
    if missing && last_alone {
        files.push(at.open_or_make(part)?);
    } else if missing {
        files.extend(open_last(at, part)?);
    }
    if files.is_empty() {
        return Ok(None);
    }
    for file in &files {
        if !file.lock(at.key.number(number))? || !file.is_current() {
            return Ok(None);
        }
    }
    let mut new = old;
    for (index, file) in files.into_iter().enumerate() {
        let for_better = better && index == 0;
        if !for_better && !last_alone {
            file.lock(in_both(at, number))?;
        }
        file.write(Record::offset(number), &record.bytes());
        // From here on nothing that is needed fails.
        let kept = Some(file.keep()?);
        *if for_better {
            &mut new.better
        } else {
            &mut new.last
        } = kept;
    }
    Ok(Some(new))
}

/// Frees what was held and is not any more.
pub fn give_back_old<K: RangeLocks>(kernel: &K, old: Held, new: Held) {
    give_back(
        kernel,
        Held {
            better: old.better.filter(|_| old.better != new.better),
            last: old.last.filter(|_| old.last != new.last),
        },
    );
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
        number.is_some_and(|number| matches!(last.holder(in_both(at, number)), Ok(Some(_))))
    });
    Ok(true)
}
