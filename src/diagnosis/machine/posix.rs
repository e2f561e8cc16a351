//! POSIX segments and semaphores of Qt 6.6 and later: files of `/dev/shm`.
//!
//! Their names are the application's own, so that only some can be told from what others keep
//! there: those of keys that were set in the old way, and those that a process with Qt uses.

use std::path::Path;

use super::Machine;
use super::directories::DirectoryKind;
use super::entry::{
    Backend, Doubt, Entry, Holder, QtVersions, Remedy, SegmentFound, SemaphoreFound, State, Users,
};
use super::guess::{self, KeyGuess, Part};
use super::judge::in_the_way;
use super::native;
use super::pairs::draft;
use super::users::perm_of;
use crate::kernel::survey::PosixRow;
use crate::key::{SEGMENT_PREFIX, SEMAPHORE_PREFIX};

/// How glibc names the file of a semaphore.
const SEMAPHORE: &str = "sem.";

fn name_of(row: &PosixRow) -> Option<&str> {
    row.file.path.file_name()?.to_str()
}

fn directory_of(row: &PosixRow) -> &Path {
    row.file.path.parent().unwrap_or(Path::new("/"))
}

fn find<'a>(machine: &'a Machine, directory: &Path, name: &str) -> Option<&'a PosixRow> {
    let mut rows = machine.posix.iter();
    rows.find(|row| name_of(row) == Some(name) && directory_of(row) == directory)
}

/// The user whose place aside a directory is.
fn aside(directory: &Path) -> Option<u32> {
    let name = directory.file_name()?.to_str()?;
    crate::identity::numeric_id(name.strip_prefix("qshm-")?)
}

/// The name of the semaphore that belongs to a segment, without the slash of both.
fn semaphore_name(segment: &str) -> String {
    match guess::parts(segment) {
        Some((Part::Segment, rest)) => format!("{SEMAPHORE_PREFIX}{rest}"),
        _ => segment.to_owned(),
    }
}

/// Whether an object is Qt's by its name, or of one of these names of segments.
pub(super) fn concerns(path: &Path, named: &[String]) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let name = name.strip_prefix(SEMAPHORE).unwrap_or(name);
    let is_aside = path
        .parent()
        .is_some_and(|directory| aside(directory).is_some());
    is_aside || guess::parts(name).is_some() || named.iter().any(|named| named == name)
}

/// Those that are known to be Qt's; of a key, those of that key, whosoever they are.
pub(super) fn entries(machine: &Machine, key: Option<&str>) -> Vec<Entry> {
    let wanted = key.map(native::posix_names);
    let mut names: Vec<(&Path, String)> = Vec::new();
    for row in &machine.posix {
        let Some(name) = name_of(row) else { continue };
        // By the name of the segment, whether there is one or not.
        let segment = match name.strip_prefix(SEMAPHORE) {
            Some(semaphore) => match guess::parts(semaphore) {
                Some((Part::Semaphore, rest)) => format!("{SEGMENT_PREFIX}{rest}"),
                _ => semaphore.to_owned(),
            },
            None => name.to_owned(),
        };
        let is_wanted = wanted.as_ref().is_none_or(|names| names.contains(&segment));
        let found = (directory_of(row), segment);
        if is_wanted && !names.contains(&found) {
            names.push(found);
        }
    }
    let entries = names
        .iter()
        .filter_map(|(directory, name)| entry(machine, directory, name));
    entries
        .filter(|entry| key.is_some() || is_qts(entry))
        .collect()
}

/// Whether it can be told that an entry is Qt's.
fn is_qts(entry: &Entry) -> bool {
    let name = entry.native_key.as_deref().unwrap_or_default();
    // Only qshm makes a place aside.
    entry.directory.is_some()
        || guess::parts(name.trim_start_matches('/')).is_some()
        || !entry.users.qt.is_empty() && entry.semaphore.is_some()
}

fn entry(machine: &Machine, directory: &Path, name: &str) -> Option<Entry> {
    let segment = find(machine, directory, name);
    let semaphore = format!("{SEMAPHORE}{}", semaphore_name(name));
    let semaphore = find(machine, directory, &semaphore);
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
    entry.directory = aside(directory).map(|uid| (directory.into(), DirectoryKind::Aside(uid)));
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
        // Who is inside is known of qshm's own. Else, if somebody who has it is stopped, that is
        // the one to name.
        let mut seen = entry.users.seen.iter();
        let last = semaphore.last_pid;
        let holder = match last {
            Some(pid) => seen.find(|(process, _)| process.pid == pid),
            None => seen.find(|(_, stopped)| *stopped),
        };
        if let (Some(0), Some((process, stopped))) = (semaphore.value, holder) {
            semaphore.holder = Some(Holder {
                process: process.clone(),
                stopped: *stopped,
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
        last_pid: row.last_pid,
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
