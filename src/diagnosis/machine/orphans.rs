//! Objects whose key files are gone: only the first bytes of their keys tell that they may be
//! Qt's, or a key's.

use super::directories::DirectoryKind;
use super::entry::{Backend, Entry, QtVersions};
use super::guess::{self, KeyGuess};
use super::pairs::{self, Project, draft};
use super::{Machine, judge};
use crate::kernel::IpcKey;
use crate::key::{self, ftok};

/// Those that some key may have, by the constant project id and the device of a directory with
/// key files.
pub(super) fn of_any_key(machine: &Machine, known: &[Entry]) -> Vec<Entry> {
    orphans(machine, known, |key| {
        let device = (key >> 16) & 0xff;
        let project = (key as u32 >> 24) as u8;
        let mut directories = machine.directories.iter();
        project == b'Q' && directories.any(|directory| (directory.dev & 0xff) as i32 == device)
    })
}

/// Objects without a key file whose keys are `wanted`.
fn orphans(machine: &Machine, known: &[Entry], wanted: impl Fn(IpcKey) -> bool) -> Vec<Entry> {
    let has_segment = |id: i32| {
        let mut segments = known.iter().filter_map(|entry| entry.segment.as_ref());
        segments.any(|segment| segment.id == Some(id))
    };
    let has_semaphore = |id: i32| {
        let mut semaphores = known.iter().filter_map(|entry| entry.semaphore.as_ref());
        semaphores.any(|semaphore| semaphore.id == Some(id))
    };
    let mut found: Vec<Entry> = Vec::new();
    for row in &machine.segments {
        let key = machine.key_of(row);
        if key != 0 && wanted(key) && !has_segment(row.id) {
            let mut entry = draft(Backend::SystemV, KeyGuess::Unknown);
            entry.qt = Some(versions_of(key));
            entry.segment = Some(machine.segment_found(row));
            entry.users = machine.users_of_segment(row);
            found.push(entry);
        }
    }
    for row in &machine.semaphores {
        if row.key == 0 || row.count != 1 || !wanted(row.key) || has_semaphore(row.id) {
            continue;
        }
        let semaphore = machine.semaphore_found(row);
        // Of Qt 6.6 and later both can have one key.
        let same_key = |entry: &&mut Entry| {
            let segment = entry.segment.as_ref();
            entry.semaphore.is_none() && segment.is_some_and(|s| s.key == Some(row.key))
        };
        if let Some(entry) = found.iter_mut().find(same_key) {
            entry.semaphore = Some(semaphore);
            continue;
        }
        let mut entry = draft(Backend::SystemV, KeyGuess::Unknown);
        entry.qt = Some(versions_of(row.key));
        entry.semaphore = Some(semaphore);
        found.push(entry);
    }
    for entry in &mut found {
        entry.certain = false;
        judge::judge(machine, entry);
    }
    found
}

fn versions_of(key: IpcKey) -> QtVersions {
    if key as u32 >> 24 == u32::from(b'Q') {
        QtVersions::Constant
    } else {
        QtVersions::Hashed
    }
}

/// Objects that may be a key's although its key files are gone: their project id and device are
/// those of its file in some temp directory. The constant project id says little: where the key
/// has objects (`found`), such ones are left out.
pub(super) fn of_key(machine: &Machine, key: &str, found: bool) -> Vec<Entry> {
    let Some(rest) = guess::rest_of_key(key) else {
        return Vec::new();
    };
    let known = pairs::entries(machine);
    let accounted: Vec<Entry> = known
        .into_iter()
        .filter(|entry| !entry.files.is_empty())
        .collect();
    let mut prefixes = Vec::new();
    for directory in &machine.directories {
        if directory.kind == DirectoryKind::Runtime {
            continue;
        }
        for prefix in [key::SEGMENT_PREFIX, key::SEMAPHORE_PREFIX] {
            let path = directory.path.join(format!("{prefix}{rest}"));
            for project in Project::ALL.into_iter().skip(usize::from(found)) {
                let low = ftok(project.id(&path), directory.dev, 0);
                prefixes.push((prefix == key::SEGMENT_PREFIX, low));
            }
        }
    }
    let mut found = orphans(machine, &accounted, |key| {
        prefixes.iter().any(|(_, prefix)| key & !0xffff == *prefix)
    });
    // A segment with a semaphore's project id is somebody else's, and the other way round.
    found.retain(|entry| {
        let fits = |key: Option<IpcKey>, segment: bool| {
            key.is_none_or(|key| prefixes.contains(&(segment, key & !0xffff)))
        };
        fits(entry.segment.as_ref().and_then(|s| s.key), true)
            && fits(entry.semaphore.as_ref().and_then(|s| s.key), false)
    });
    found
}
