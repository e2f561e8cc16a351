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

use std::num::NonZeroUsize;
use std::path::PathBuf;

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
pub fn leave_word<K: RangeLocks>(at: At<'_, K>, number: u32) -> Option<NonZeroUsize> {
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

/// What the table says of a range of which this process has locked a part on this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Locks on other files.
    pub elsewhere: Vec<Range>,
    /// Whether the lock of this process was seen. If not, nobody can be: there is no `/proc`.
    pub readable: bool,
}

/// Asks the table: `mine` is what this process has locked on the file, within `all`.
pub fn table<K: RangeLocks>(at: At<'_, K>, file: &File<'_, K>, mine: Range, all: Range) -> Table {
    let held = at.kernel.held_ranges(all).unwrap_or_default();
    // Some file systems have another device in the table than stat(2) says.
    let own = |held: &&HeldRange| held.ino == file.stat.ino && held.range == mine;
    let device = held
        .iter()
        .filter(own)
        .map(|held| held.dev)
        .max_by_key(|dev| *dev == file.stat.dev);
    let Some(device) = device else {
        return Table::default();
    };
    let elsewhere = held
        .into_iter()
        .filter(|held| (held.dev, held.ino) != (device, file.stat.ino));
    Table {
        elsewhere: ours(at, Some(device), elsewhere.collect()),
        readable: true,
    }
}

/// The locks of this registry that the table shows within a range, on whichever file.
pub fn held<K: RangeLocks>(at: At<'_, K>, range: Range) -> Vec<Range> {
    let held = at.kernel.held_ranges(range).unwrap_or_default();
    ours(at, None, held)
}

/// Those that count here. The same user may run the same program in a container, which has its
/// own files, and shows in the same table: so a lock counts if it is on the file system of a
/// directory in which the registry may be; or, as one that has been unmounted, on a file that a
/// process of this mount namespace has mapped.
fn ours<K: RangeLocks>(at: At<'_, K>, device: Option<u64>, held: Vec<HeldRange>) -> Vec<Range> {
    if held.is_empty() {
        return Vec::new();
    }
    let directories = super::place::all(at.numbering, at.surroundings);
    let device_of = |directory: PathBuf| {
        let parent = directory.parent().map(|parent| at.kernel.lstat(parent));
        let stat = at.kernel.lstat(&directory).ok().or(parent?.ok());
        stat.map(|stat| stat.dev)
    };
    let mut devices: Vec<u64> = directories.into_iter().filter_map(device_of).collect();
    devices.extend(device);
    let strange: Vec<(u64, u64)> = held
        .iter()
        .filter(|held| !devices.contains(&held.dev))
        .map(|held| (held.dev, held.ino))
        .collect();
    let mapped = if strange.is_empty() {
        Vec::new()
    } else {
        at.kernel.mapped(&strange)
    };
    held.into_iter()
        .filter(|held| devices.contains(&held.dev) || mapped.contains(&(held.dev, held.ino)))
        .map(|held| held.range)
        .collect()
}

impl<K: RangeLocks> File<'_, K> {
    /// Whether it was found to be the only file with locks of its registry.
    pub fn is_settled(&self) -> bool {
        let here = (self.stat.dev, self.stat.ino);
        self.beginning()
            .is_some_and(|header| header.settled == here)
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
