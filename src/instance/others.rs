//! Whether somebody may hold the same lock on another file.
//!
//! What is locked counts only if it is on the file that the path leads to, which is looked at
//! after locking. And until a file is known to be the only one with locks of its registry (it is
//! *settled*), the kernel's table of all locks is asked after locking: whoever holds the same on a
//! file that was deleted, replaced, or is in another place is seen there, and of two who lock on
//! different files at the same time at least one sees the other.
//!
//! The table is not asked each time, since that costs some ten milliseconds: the kernel waits
//! until no processor is in the middle of a lock.

use super::file::{At, File};
use super::name::Part;
use super::place::{Choice, is_private};
use super::record::Header;
use super::stop::Stop;
use crate::kernel::{HeldRange, OpenDirect, Range, RangeLocks};

/// Says whether the place that was found is still the one that would be found.
pub type StillThere<'a> = &'a dyn Fn() -> bool;

/// Whether there may be others with locks of this registry, on another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    None,
    Perhaps,
}

/// Asks that after locking.
pub fn others<K: RangeLocks>(
    at: At<'_, K>,
    file: &File<'_, K>,
    still_there: StillThere<'_>,
) -> Result<Others, Stop> {
    if !file.is_current() || !still_there() {
        return Err(Stop::Again);
    }
    let known = at.place.settles() && file.is_settled() && !counted_elsewhere(at);
    Ok(if known { Others::None } else { Others::Perhaps })
}

/// Leaves word in the last place of all that one more of this registry is elsewhere: a lock, until
/// [`RangeLocks::let_go`] of the address. Those who count there then ask the table. Nothing where
/// that is not needed, or not possible: then nobody can count there either.
pub fn leave_word<K: RangeLocks>(at: At<'_, K>, number: u32) -> Option<usize> {
    let last = at.place.last()?;
    // It is checked when the file is opened, as whose it is.
    let _ = at.kernel.mkdir(&last.directory, 0o700);
    let stat = at.kernel.lstat(&last.directory).ok()?;
    if !at.numbering.uid().is_some_and(|uid| is_private(&stat, uid)) {
        return None;
    }
    let there = At { place: &last, ..at };
    let file = there.open_or_make(Part::Numbers(0)).ok()?;
    let all = at.key.elsewhere();
    let word = Range::new(all.start + u64::from(number), 1);
    let left = file.lock(word).ok()? && file.is_current();
    if left { file.keep().ok() } else { None }
}

/// Whether somebody has left word in this, the last place.
pub fn counted_elsewhere<K: RangeLocks>(at: At<'_, K>) -> bool {
    if at.place.choice != Choice::Last || at.numbering.uid().is_none() {
        return false;
    }
    match at.open(Part::Numbers(0), OpenDirect::Read) {
        Ok(Some(file)) => !matches!(file.holder(at.key.elsewhere()), Ok(None)),
        // Nobody has been here.
        Ok(None) => false,
        Err(_) => true,
    }
}

impl<K: RangeLocks> File<'_, K> {
    /// Whether it was found to be the only file with locks of its registry.
    pub fn is_settled(&self) -> bool {
        let here = (self.stat.dev, self.stat.ino);
        self.beginning()
            .is_some_and(|header| header.settled == here)
    }

    /// Whether all locks of the table are on this file. Some file systems show another device
    /// there than stat(2) does: then it is known only while there is one lock, our own.
    pub fn is_only_one(&self, held: &[HeldRange]) -> bool {
        let here = |held: &HeldRange| (held.dev, held.ino) == (self.stat.dev, self.stat.ino);
        held.len() == 1 || held.iter().all(here)
    }

    /// Writes the header: that the file is the only one, if it is, and what it is called.
    pub fn describe(&self, at: At<'_, K>, only: bool) {
        let settled = only && at.place.settles();
        if !settled && self.beginning().is_some() {
            return;
        }
        let header = Header {
            settled: if settled {
                (self.stat.dev, self.stat.ino)
            } else {
                (0, 0)
            },
            numbers: at.key.all_numbers().start,
            name: at.key.name().to_owned(),
        };
        self.write(0, &header.bytes());
    }

    fn beginning(&self) -> Option<Header> {
        Header::parse(&self.read(0, 32))
    }
}
