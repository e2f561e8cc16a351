//! Who is there: the numbers whose locks are held, and what their holders wrote of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::unistd::{Uid, User};

use super::file::{At, File};
use super::last::last_place;
use super::name::{FILES, IN_FILE, Part};
use super::others::held;
use super::place::Place;
use super::record::{HEADER, RECORD, Record};
use super::stop::Stop;
use crate::kernel::{OpenDirect, Range, RangeLocks};

/// When somebody may have joined at the latest, in seconds since 1970: in 2242. C++ counts time in
/// nanoseconds, in 63 bits.
const LATEST: u64 = 1 << 33;

/// An instance that is running.
///
/// The number is the kernel's word: its lock is held. The rest is what the instance wrote about
/// itself, for people, and is missing where it could not write, or somebody else wrote nonsense.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its number.
    pub number: u32,
    /// Its process; `None` too if it runs in another PID namespace.
    pub pid: Option<i32>,
    /// The effective user that it runs as.
    pub uid: Option<u32>,
    /// The path of its executable, or the end of it; empty if it is not known.
    pub program: String,
    /// When it joined.
    pub since: Option<SystemTime>,
}

impl Peer {
    /// The name of its user, else the uid in digits; empty if that is not known. Asks the user
    /// database, which may take its time.
    pub fn user(&self) -> String {
        let Some(uid) = self.uid else {
            return String::new();
        };
        let found = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        found.map_or_else(|| uid.to_string(), |user| user.name)
    }

    fn new<K: RangeLocks>(kernel: &K, number: u32, record: Option<Record>) -> Self {
        let pid_namespace = kernel.pid_namespace();
        // Who can't write is not who had the number before.
        let is_holders =
            |record: &Record| record.pid_namespace != pid_namespace || kernel.is_alive(record.pid);
        let Some(record) = record.filter(is_holders) else {
            return Peer {
                number,
                ..Peer::default()
            };
        };
        let here = record.pid_namespace == pid_namespace;
        Self {
            number,
            pid: here.then_some(record.pid),
            uid: Some(record.uid),
            program: record.program,
            since: (record.since <= LATEST).then(|| UNIX_EPOCH + Duration::from_secs(record.since)),
        }
    }
}

/// The numbers that are held.
pub fn numbers<K: RangeLocks>(at: At<'_, K>) -> Result<BTreeSet<u32>, Stop> {
    let mut all = BTreeSet::new();
    walk(at, |_, numbers| all.extend(numbers))?;
    Ok(all)
}

/// All who are there.
pub fn peers<K: RangeLocks>(at: At<'_, K>) -> Result<Vec<Peer>, Stop> {
    let mut all = BTreeMap::new();
    walk(at, |file, numbers| {
        let bytes = match file {
            Some(file) if !numbers.is_empty() => file.read(0, HEADER + IN_FILE as usize * RECORD),
            _ => Vec::new(),
        };
        for number in numbers {
            let record = file.and_then(|_| record_in(&bytes, number));
            all.entry(number)
                .or_insert_with(|| Peer::new(at.kernel, number, record));
        }
    })?;
    Ok(all.into_values().collect())
}

/// The holder of a number, with as much as is known.
pub fn peer<K: RangeLocks>(at: At<'_, K>, number: u32) -> Peer {
    let bytes = at
        .open(Part::Numbers(number / IN_FILE), OpenDirect::Read)
        .ok()
        .flatten()
        .map(|file| file.read(Record::offset(number), RECORD));
    let record = bytes.and_then(|bytes| Record::parse(&bytes));
    Peer::new(at.kernel, number, record)
}

pub fn record_in(file: &[u8], number: u32) -> Option<Record> {
    let at = Record::offset(number) as usize;
    let bytes = file.get(at..)?;
    Record::parse(bytes.get(..RECORD).unwrap_or(bytes))
}

/// Looks at every file, and at last, where a file may not be the only one of its numbers, at the
/// kernel's table.
fn walk<K: RangeLocks>(
    at: At<'_, K>,
    mut found: impl FnMut(Option<&File<'_, K>>, Vec<u32>),
) -> Result<(), Stop> {
    let mut known = Vec::new();
    let mut all_known = walk_files(at, at.place, &mut known, &mut found)?;
    if at.place.has_last {
        let last = last_place(at, false).and_then(|last| match last {
            Some(last) => {
                let there = At { place: &last, ..at };
                walk_files(there, at.place, &mut known, &mut found)
            }
            None => Ok(false),
        });
        match last {
            Ok(settled) => all_known &= settled,
            // Those who are there are met in the table.
            Err(Stop::Because(_)) => all_known = false,
            Err(stop) => return Err(stop),
        }
    }
    if !all_known {
        let held = held(at, at.key.all_numbers(), &known)?;
        let numbers = held.iter().filter_map(|lock| at.key.number_at(lock.start));
        found(None, numbers.collect());
    }
    Ok(())
}

/// The files in one place. Whether all that there are, are known to be the only ones to who is in
/// `place`.
fn walk_files<K: RangeLocks>(
    at: At<'_, K>,
    place: &Place,
    known: &mut Vec<(u64, u64)>,
    found: &mut impl FnMut(Option<&File<'_, K>>, Vec<u32>),
) -> Result<bool, Stop> {
    let mut all_known = true;
    let (mut missing, mut filled) = (0, false);
    for index in 0..FILES {
        let Some(file) = at.open(Part::Numbers(index), OpenDirect::Read)? else {
            // Where all numbers before it were taken once, it was there once, and who is on it may
            // still be.
            all_known &= index > 0 && !filled;
            missing += 1;
            // One may have been deleted, and those behind it not.
            if missing > 1 {
                break;
            }
            continue;
        };
        // The last number's record makes a file so long, and it is never shortened.
        filled = file.stat.size >= (HEADER + IN_FILE as usize * RECORD) as u64;
        known.push(file.id());
        let mut held = Vec::new();
        held_in(&file, at.key.numbers_of(index), &mut held)?;
        // A file without a lock was never one of those that others may be hidden behind, or
        // it will be looked at by the next who locks.
        all_known = all_known && file.is_settled(place);
        let numbers = held
            .iter()
            .filter_map(|range| at.key.number_at(range.start));
        found(Some(&file), numbers.collect());
    }
    Ok(all_known)
}

/// The locks of one byte each within a range. The kernel names any one of them, which leaves what
/// is before it and what is behind it: as many questions as there are locks, and at most one more
/// for each gap.
fn held_in<K: RangeLocks>(
    file: &File<'_, K>,
    range: Range,
    held: &mut Vec<Range>,
) -> Result<(), Stop> {
    let mut open = vec![range];
    while let Some(range) = open.pop() {
        let Some(holder) = file.holder(range)? else {
            continue;
        };
        if holder.start > range.start {
            open.push(Range::new(range.start, holder.start - range.start));
        }
        if holder.end() < range.end() {
            open.push(Range::new(holder.end(), range.end() - holder.end()));
        }
        // Longer ones are not ours.
        if holder.length == 1 {
            held.push(holder);
        }
    }
    Ok(())
}
