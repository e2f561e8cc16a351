//! POSIX segments and semaphores of Qt 6.6 and later: files of `/dev/shm`.
//!
//! Their names are the application's own, so that only some can be told from what others keep
//! there: those of keys that were set in the old way, and those that a process with Qt uses.

use super::Machine;
use super::entry::{
    Backend, Doubt, Entry, Holder, QtVersions, Remedy, SegmentFound, SemaphoreFound, State, Users,
};
use super::guess::{self, KeyGuess, Part};
use super::judge::in_the_way;
use super::native;
use super::pairs::draft;
use super::users::perm_of;
use crate::kernel::survey::PosixRow;
use crate::key::SEMAPHORE_PREFIX;

/// How glibc names the file of a semaphore.
const SEMAPHORE: &str = "sem.";

fn name_of(row: &PosixRow) -> Option<&str> {
    row.file.path.file_name()?.to_str()
}

fn find<'a>(machine: &'a Machine, name: &str) -> Option<&'a PosixRow> {
    machine.posix.iter().find(|row| name_of(row) == Some(name))
}

/// The name of the semaphore that belongs to a segment, without the slash of both.
fn semaphore_name(segment: &str) -> String {
    match guess::parts(segment) {
        Some((Part::Segment, rest)) => format!("{SEMAPHORE_PREFIX}{rest}"),
        _ => segment.to_owned(),
    }
}

/// Those that are known to be Qt's; of a key, those of that key, whosoever they are.
pub(super) fn entries(machine: &Machine, key: Option<&str>) -> Vec<Entry> {
    let mut names: Vec<String> = Vec::new();
    match key {
        Some(key) => names.extend(native::posix_names(key)),
        None => {
            for name in machine.posix.iter().filter_map(name_of) {
                // By the name of the segment, whether there is one or not.
                let segment = match name.strip_prefix(SEMAPHORE) {
                    Some(semaphore) => match guess::parts(semaphore) {
                        Some((Part::Semaphore, rest)) => {
                            format!("{}{rest}", crate::key::SEGMENT_PREFIX)
                        }
                        _ => semaphore.to_owned(),
                    },
                    None => name.to_owned(),
                };
                if !names.contains(&segment) {
                    names.push(segment);
                }
            }
        }
    }
    let entries = names.iter().filter_map(|name| entry(machine, name));
    entries
        .filter(|entry| key.is_some() || is_qts(entry))
        .collect()
}

/// Whether it can be told that an entry is Qt's.
fn is_qts(entry: &Entry) -> bool {
    let name = entry.native_key.as_deref().unwrap_or_default();
    guess::parts(name.trim_start_matches('/')).is_some()
        || !entry.users.qt.is_empty() && entry.semaphore.is_some()
}

fn entry(machine: &Machine, name: &str) -> Option<Entry> {
    let segment = find(machine, name);
    let semaphore = find(machine, &format!("{SEMAPHORE}{}", semaphore_name(name)));
    if segment.is_none() && semaphore.is_none() {
        return None;
    }
    let key = match guess::parts(name) {
        Some((_, rest)) => guess::guess(rest),
        // As platformSafeKey() makes it.
        None => KeyGuess::Known(name.to_owned()),
    };
    let mut entry = draft(Backend::Posix, key);
    entry.native_key = Some(format!("/{name}"));
    entry.qt = Some(QtVersions::Posix);
    entry.segment = segment.map(segment_found);
    entry.semaphore = semaphore.map(semaphore_found);
    for row in [segment, semaphore].into_iter().flatten() {
        join(&mut entry.users, machine.users_of_file(&row.file.stat));
    }
    let rows = [segment, semaphore];
    let in_use = |wanted| rows.iter().flatten().any(|row| row.in_use == wanted);
    if let Some(segment) = &mut entry.segment {
        segment.attached = entry.users.seen.len() as u64;
    }
    if entry.users.seen.is_empty() && in_use(Some(true)) {
        entry.users.hidden = 1;
    }
    entry.state = match entry.segment {
        _ if !entry.users.seen.is_empty() || entry.users.hidden > 0 => State::Live,
        _ if in_use(None) && !machine.sees_everything => State::Unclear,
        Some(_) => State::Leftover,
        None => State::SemaphoreAlone,
    };
    if let Some(semaphore) = &mut entry.semaphore {
        // Who is inside is not to be known; but if one is stopped, that is the one to name.
        let stopped = entry.users.seen.iter().find(|(_, stopped)| *stopped);
        if let (Some(0), Some((process, _))) = (semaphore.value, stopped) {
            semaphore.holder = Some(Holder {
                process: process.clone(),
                stopped: true,
            });
        }
    }
    entry.in_the_way = in_the_way(machine, &entry);
    entry.remedy = remedy(machine, &entry);
    Some(entry)
}

fn join(users: &mut Users, others: Users) {
    for one in others.seen {
        if !users.seen.iter().any(|known| known.0.pid == one.0.pid) {
            users.seen.push(one);
        }
    }
    for version in others.qt {
        if !users.qt.contains(&version) {
            users.qt.push(version);
        }
    }
}

fn segment_found(row: &PosixRow) -> SegmentFound {
    let file = &row.file;
    SegmentFound {
        key: None,
        id: None,
        file: Some(file.path.clone()),
        perm: perm_of(file),
        size: file.stat.size,
        attached: 0,
        last_pid: None,
        changed: file.stat.born.unwrap_or(file.modified),
        removed: false,
    }
}

fn semaphore_found(row: &PosixRow) -> SemaphoreFound {
    let file = &row.file;
    SemaphoreFound {
        key: None,
        id: None,
        file: Some(file.path.clone()),
        perm: perm_of(file),
        value: row.value,
        last_pid: None,
        waiting: None,
        changed: file.stat.born.unwrap_or(file.modified),
        holder: None,
    }
}

fn remedy(machine: &Machine, entry: &Entry) -> Remedy {
    let perms = [
        entry.segment.as_ref().map(|segment| &segment.perm),
        entry.semaphore.as_ref().map(|semaphore| &semaphore.perm),
    ];
    let permitted = perms
        .iter()
        .flatten()
        .all(|perm| machine.viewer.may_remove(perm));
    match entry.state {
        State::Live => Remedy::InUse,
        State::Unclear if permitted => Remedy::InDoubt(Doubt::Hidden),
        State::Unclear => Remedy::NeedsRoot,
        _ if !permitted => Remedy::NeedsRoot,
        _ if is_qts(entry) => Remedy::Remove,
        _ => Remedy::IfNamed,
    }
}
