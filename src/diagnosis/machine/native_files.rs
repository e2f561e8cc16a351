//! Files of any name, which keys of Qt 6.6 and later lead to: segment and semaphore have the same
//! file and the same key.

use std::collections::BTreeMap;
use std::path::Path;

use super::directories::DirectoryKind;
use super::entry::{Backend, Entry, QtVersions};
use super::guess::{self, KeyGuess};
use super::pairs::{draft, file_found};
use super::{Machine, judge, native};
use crate::diagnosis::objects::is_younger;
use crate::kernel::linux::survey;
use crate::kernel::survey::{FoundFile, SegmentRow, SemaphoreRow};
use crate::kernel::{IpcKey, Kernel as _, Linux};
use crate::key::ftok;

/// What the files of runtime directories lead to.
pub(super) fn entries(machine: &Machine) -> Vec<Entry> {
    let is_key_file = |file: &&FoundFile| {
        let name = file.path.file_name().and_then(|name| name.to_str());
        name.and_then(guess::parts).is_some()
    };
    let files = machine.files.iter().filter(|file| !is_key_file(file));
    files.flat_map(|file| of_file(machine, file)).collect()
}

/// What a file of any name leads to, with whatever project id.
fn of_file(machine: &Machine, file: &FoundFile) -> Vec<Entry> {
    let low = ftok(0, file.stat.dev, file.stat.ino);
    let owner = |uid: u32, creator: u32| [uid, creator].contains(&file.stat.uid);
    let segments = machine.segments.iter().filter(|row| {
        machine.key_of(row) & 0xff_ffff == low
            && owner(row.stat.perm.uid, row.stat.perm.cuid)
            && !is_younger(&file.stat, Some(row.stat.changed))
    });
    let semaphores = machine.semaphores.iter().filter(|row| {
        row.key & 0xff_ffff == low
            && row.count == 1
            && owner(row.perm.uid, row.perm.cuid)
            && !is_younger(&file.stat, Some(row.changed))
    });
    let mut pairs: BTreeMap<IpcKey, (Option<&SegmentRow>, Option<&SemaphoreRow>)> = BTreeMap::new();
    for row in segments {
        pairs.entry(machine.key_of(row)).or_default().0 = Some(row);
    }
    for row in semaphores {
        pairs.entry(row.key).or_default().1 = Some(row);
    }
    let entry =
        |(key, (segment, semaphore)): (IpcKey, (Option<&SegmentRow>, Option<&SemaphoreRow>))| {
            let project = (key as u32 >> 24) as u8;
            let path = file.path.to_string_lossy().into_owned();
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            let directory = file
                .path
                .parent()
                .map(|directory| machine.directory_of(directory));
            let key = match directory {
                // As platformSafeKey() makes it.
                Some((_, DirectoryKind::Runtime)) => KeyGuess::Known(name.into_owned()),
                _ => KeyGuess::Native(path.clone()),
            };
            let mut entry = draft(Backend::SystemV, key);
            entry.native_key = Some(match project {
                b'Q' => path,
                project => format!("systemv-{project}:{path}"),
            });
            entry.directory = directory;
            entry.qt = Some(QtVersions::Native(project));
            entry.segment = segment.map(|row| machine.segment_found(row));
            entry.semaphore = semaphore.map(|row| machine.semaphore_found(row));
            entry.users = segment
                .map(|row| machine.users_of_segment(row))
                .unwrap_or_default();
            entry.files = vec![file_found(file)];
            judge::judge(machine, &mut entry);
            entry
        };
    pairs
        .into_iter()
        .filter(|(key, _)| *key != 0)
        .map(entry)
        .collect()
}

/// What the file leads to that a native key names, wherever it is.
pub(super) fn of_key(machine: &Machine, key: &str) -> Vec<Entry> {
    let Some(path) = native::path(key) else {
        return Vec::new();
    };
    let Ok(stat) = Linux.lstat(&path) else {
        return Vec::new();
    };
    let parent = path.parent().unwrap_or(Path::new("/"));
    let found = survey::directory(parent, |name| {
        path.file_name()
            .is_some_and(|wanted| wanted.as_encoded_bytes() == name)
    });
    let file = found.into_iter().find(|file| file.stat.same_file(&stat));
    file.map(|file| of_file(machine, &file)).unwrap_or_default()
}
