//! Whether somebody may hold the same lock on another file.
//!
//! Whoever counts in a better place than the last one has the same locks in the last one, too,
//! where that is to be had: so two who find different places, since their environments differ or
//! a runtime directory comes and goes, meet there.
//!
//! What is locked counts only if it is on the files that the paths lead to, which is looked at
//! after locking. And until these are known to be the only ones with locks of their registry (they
//! are *settled*), the kernel's table of all locks is asked after locking: whoever holds the same
//! on a file that was deleted or replaced is seen there, and of two who lock on different files at
//! the same time at least one sees the other.
//!
//! The table is not asked each time, since that costs some ten milliseconds: the kernel waits
//! until no processor is in the middle of a lock.

use std::path::Path;

use super::file::{At, File};
use super::last::open_last;
use super::name::{IN_FILE, Part};
use super::place::{Choice, Place, SHARED, first};
use super::record::{BEGINNING, Header};
use super::stop::Stop;
use crate::kernel::{Errno, HeldRange, MappedBy, MappedFile, Range, RangeLocks};

/// Says whether the place that was found is still the one that would be found.
pub type StillThere<'a> = &'a dyn Fn() -> bool;

/// How often the table is read when those who are counted move.
const LOOKS: usize = 3;

/// Whether there may be others with locks of this registry, on another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    None,
    Perhaps,
}

/// The file of the place that was found, and the one in the last place.
pub struct Files<'a, K: RangeLocks> {
    pub here: File<'a, K>,
    pub last: Option<File<'a, K>>,
}

impl<'a, K: RangeLocks> Files<'a, K> {
    pub fn open(at: At<'a, K>, part: Part) -> Result<Self, Stop> {
        Ok(Self {
            here: at.open_or_make(part)?,
            last: open_last(at, part)?,
        })
    }

    /// Both.
    pub fn each(&self) -> impl Iterator<Item = &File<'a, K>> {
        std::iter::once(&self.here).chain(&self.last)
    }

    /// Locks on both; false, and on neither, if somebody else has some of it locked.
    pub fn lock(&self, range: Range) -> Result<bool, Stop> {
        if !self.here.lock(range)? {
            return Ok(false);
        }
        let Some(last) = &self.last else {
            return Ok(true);
        };
        let locked = last.lock(range)?;
        if !locked {
            self.here.unlock(range);
        }
        Ok(locked)
    }

    pub fn unlock(&self, range: Range) {
        self.each().for_each(|file| file.unlock(range));
    }

    /// Asks, after locking, whether there may be others.
    pub fn others(&self, at: At<'_, K>, still_there: StillThere<'_>) -> Result<Others, Stop> {
        if !self.each().all(File::is_current) || !still_there() {
            return Err(Stop::Again);
        }
        // Without the last place, those who are in that alone are met in the table only.
        let all_there = self.last.is_some() || !at.place.has_last;
        let known = all_there && self.each().all(|file| file.is_settled(at.place));
        Ok(if known { Others::None } else { Others::Perhaps })
    }

    /// Asks the table: this process has locked `mine` on each of the files, within `all`.
    pub fn table(&self, at: At<'_, K>, mine: &[Range], all: Range) -> Result<Table, Stop> {
        let held = read_table(at, all)?;
        let mut known = Vec::new();
        for (file, mine) in self.each().zip(mine) {
            // Some file systems have another device in the table than stat(2) says.
            let own = held
                .iter()
                .filter(|held| held.ino == file.stat.ino && held.range == *mine)
                .max_by_key(|held| held.dev == file.stat.dev);
            let Some(own) = own else {
                return Ok(Table::default());
            };
            known.push(((own.dev, own.ino), *mine));
        }
        let of = |id: (u64, u64), mine: Range| {
            let there = held.iter().filter(move |held| (held.dev, held.ino) == id);
            there
                .map(|held| held.range)
                .filter(move |range| *range != mine)
        };
        let unknown = |held: &&HeldRange| !known.iter().any(|(id, _)| *id == (held.dev, held.ino));
        let unknown: Vec<HeldRange> = held.iter().filter(unknown).copied().collect();
        let (elsewhere, all_explained) = ours(at, &unknown)?;
        let mut on_files = known.iter().map(|(id, mine)| of(*id, *mine).collect());
        Ok(Table {
            elsewhere,
            all_explained,
            here: on_files.next().unwrap_or_default(),
            last: on_files.next().unwrap_or_default(),
        })
    }

    /// Writes the headers: of each file, whether it is the only one with locks besides the other.
    /// `in_both` says whether a lock in the last place is known to be one of somebody who has one
    /// in a better place, too.
    pub fn describe(
        &self,
        at: At<'_, K>,
        table: &Table,
        in_both: impl Fn(&File<'a, K>, &Range) -> bool,
    ) {
        let Some(last) = &self.last else {
            // In the last place alone, whoever has the same in a better one has it here.
            let alone = at.place.choice == Choice::Last;
            let here = |range: &Range| alone && in_both(&self.here, range);
            let only = table.all_explained && table.elsewhere.iter().all(here);
            return self.here.describe(at, only && at.place.settles());
        };
        let both = |range: &Range| in_both(last, range);
        let nobody = table.elsewhere.is_empty();
        let only_here = table.all_explained && nobody && table.last.iter().all(both);
        self.here.describe(at, only_here && at.place.settles());
        let better = table.elsewhere.iter().chain(&table.here).all(both);
        last.describe(at, table.all_explained && better);
    }
}

/// What the table says of a range of which this process has locked a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Locks on other files.
    pub elsewhere: Vec<Range>,
    /// Those of others on the file of the place that was found, and on the one in the last place.
    here: Vec<Range>,
    last: Vec<Range>,
    /// Whether the lock of this process was seen, without which nobody can be, since there is no
    /// `/proc`; and of all others whose they are. What this process can't explain, such as locks of
    /// another namespace, may be one that counts for the next.
    all_explained: bool,
}

/// The locks of this registry that the table shows within a range, on whichever file; `known` are those
/// that paths lead to.
pub fn held<K: RangeLocks>(
    at: At<'_, K>,
    range: Range,
    known: &[(u64, u64)],
) -> Result<Vec<Range>, Stop> {
    let is_known = |held: &HeldRange| known.contains(&(held.dev, held.ino));
    let mut all = Vec::new();
    let mut before = read_table(at, range)?;
    for _ in 0..LOOKS {
        let (on_known, elsewhere): (Vec<_>, Vec<_>) = before.iter().copied().partition(is_known);
        all.extend(on_known.iter().map(|held| held.range));
        if elsewhere.is_empty() {
            break;
        }
        all.extend(ours(at, &elsewhere)?.0);
        // Who has moved since, and is not mapped any more where it was before, has a new lock.
        let now = read_table(at, range)?;
        if now.iter().all(|held| before.contains(held)) {
            break;
        }
        before = now;
    }
    Ok(all)
}

fn read_table<K: RangeLocks>(at: At<'_, K>, range: Range) -> Result<Vec<HeldRange>, Stop> {
    match at.kernel.held_ranges(range) {
        // There is no table.
        Err(Errno::ENOENT) => Ok(Vec::new()),
        held => held.map_err(|errno| Stop::failed("reading", Path::new("/proc/locks"), errno)),
    }
}

/// Those that count here, and whether it is known of the rest that they do not.
///
/// Whoever can guess a name can lock the same on a file of his own, and the same user may run the same
/// program in a container, which has its own files: both show in the same table. So a lock counts if a
/// process of the registry's user, or of root, of this mount namespace has the file mapped, as all who
/// hold locks do. The user's runtime directory is nobody else's: a process that has a file of it
/// mapped may have another namespace. What all users share is for whoever can write there.
///
/// Of a file on a device where a registry may be, somebody else may see what this process may not look
/// at. Other devices are those of containers.
fn ours<K: RangeLocks>(at: At<'_, K>, held: &[HeldRange]) -> Result<(Vec<Range>, bool), Stop> {
    if held.is_empty() {
        return Ok((Vec::new(), true));
    }
    let device = |path: &Path| at.kernel.lstat(path).ok().map(|stat| stat.dev);
    let places = super::place::all(at.numbering, at.surroundings);
    let there = places.iter().map(|path| path.ancestors().find_map(device));
    let devices: Vec<u64> = there.flatten().collect();
    let uid = at.numbering.uid();
    let counts_at_once = |held: &&HeldRange| uid.is_none() && devices.contains(&held.dev);
    let file = |held: &HeldRange| {
        let number = at.key.number_at(held.range.start);
        let part = number.map_or(Part::Claims, |number| Part::Numbers(number / IN_FILE));
        MappedFile {
            dev: held.dev,
            ino: held.ino,
            // The files of the machine are there, too, which strangers may lock.
            name: (device(Path::new(SHARED)) == Some(held.dev)).then(|| at.key.file(part)),
        }
    };
    let elsewhere = held.iter().filter(|held| !counts_at_once(held));
    let mut files: Vec<MappedFile> = elsewhere.map(file).collect();
    files.sort_unstable();
    files.dedup();
    let runtime = uid.and_then(|uid| device(first(uid).parent()?));
    let by = MappedBy {
        uid,
        anywhere: runtime.filter(|dev| Some(*dev) != device(Path::new("/tmp"))),
    };
    let mapped = if files.is_empty() {
        Vec::new()
    } else {
        let mapped = at.kernel.mapped(&files, by);
        mapped.map_err(|errno| Stop::failed("looking into", Path::new("/proc"), errno))?
    };
    let counts = |held: &&HeldRange| counts_at_once(held) || mapped.contains(&(held.dev, held.ino));
    let (ours, rest): (Vec<&HeldRange>, Vec<&HeldRange>) = held.iter().partition(counts);
    let explained = !rest.iter().any(|held| devices.contains(&held.dev));
    Ok((ours.into_iter().map(|held| held.range).collect(), explained))
}

impl<K: RangeLocks> File<'_, K> {
    /// Whether it was found to be the only file with locks of its registry; for who is in the last
    /// place alone, when there was the same in place of a better one as now.
    pub fn is_settled(&self, place: &Place) -> bool {
        let alone = place.choice == Choice::Last;
        let as_now = |header: &Header| !alone || place.instead == Some(header.instead);
        place.settles()
            && self
                .beginning()
                .is_some_and(|header| header.settled == self.version() && as_now(&header))
    }

    /// Writes the header: that the file is the only one, if it is, and what it is called.
    fn describe(&self, at: At<'_, K>, settled: bool) {
        let before = self.beginning();
        if !settled && before.is_some() {
            return;
        }
        let still = before.filter(|before| before.settled == self.version());
        let header = Header {
            settled: if settled { self.version() } else { (0, 0, 0) },
            // What others need to know stays true when somebody in a better place has looked.
            instead: at
                .place
                .instead
                .or(still.map(|before| before.instead))
                .unwrap_or_default(),
            numbers: at.key.all_numbers().start,
            name: at.key.name().to_owned(),
        };
        self.write(0, &header.bytes());
    }

    /// What tells it from any other, also from one that gets its inode number later.
    fn version(&self) -> (u64, u64, u64) {
        let born = self.stat.born.unwrap_or_default();
        (self.stat.dev, self.stat.ino, born as u64)
    }

    fn beginning(&self) -> Option<Header> {
        Header::parse(&self.read(0, BEGINNING))
    }
}
