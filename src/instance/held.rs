//! What is held, on one file or two, and how it comes along when paths lead to other files.

use super::file::{At, File, Kept, is_at};
use super::last::{last_place, open_last};
use super::name::Part;
use super::others::Files;
use super::place::Choice;
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

/// Writes on a file what people may want to know, and locks what goes with that.
pub type Describe<'a, K> = dyn Fn(At<'_, K>, &File<'_, K>) -> Result<(), Stop> + 'a;

/// What is held, for who moves to other files.
pub struct Moved<'a, K: RangeLocks> {
    pub part: Part,
    pub range: Range,
    /// What is locked as well in the last place by who has a better one.
    pub in_both: Option<Range>,
    pub write: &'a Describe<'a, K>,
}

/// Takes the same on the files that are there now, for who holds it already on `old` files; `None` if
/// there is nothing to do, or it is not to be had.
pub fn come_along<K: RangeLocks>(
    at: At<'_, K>,
    moved: &Moved<'_, K>,
    old: Held,
) -> Result<Option<Held>, Stop> {
    let part = moved.part;
    let there = |at: At<'_, K>, kept: Option<Kept>| {
        kept.is_some_and(|kept| is_at(at.kernel, &at.path(part), kept.file))
    };
    let last_alone = at.place.choice == Choice::Last;
    let better = (!last_alone && !there(at, old.better))
        .then(|| at.open_or_make(part))
        .transpose()?;
    let last = if last_alone {
        (!there(at, old.last))
            .then(|| at.open_or_make(part))
            .transpose()?
    } else {
        match last_place(at, true) {
            Ok(Some(last)) if !there(At { place: &last, ..at }, old.last) => open_last(at, part)?,
            _ => None,
        }
    };
    for file in better.iter().chain(&last) {
        if !file.lock(moved.range)? || !file.is_current() {
            return Ok(None);
        }
    }
    if let (Some(last), Some(in_both), false) = (&last, moved.in_both, last_alone) {
        last.lock(in_both)?;
    }
    for file in better.iter().chain(&last) {
        (moved.write)(at, file)?;
    }
    if better.is_none() && last.is_none() {
        return Ok(None);
    }
    // Nothing that is needed fails any more.
    Ok(Some(Held {
        better: better.map(File::keep).transpose()?.or(old.better),
        last: last.map(File::keep).transpose()?.or(old.last),
    }))
}
