//! Finding System V objects by the key files that Qt names.
//!
//! A key is half a device, a quarter of an inode number and a project id, so that a likeness may
//! be chance. An object that is older than the file is not the file's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::directories::DirectoryKind;
use super::entry::{Backend, Entry, QtVersions, Remedy};
use super::guess::{self, KeyGuess, Part};
use super::{Machine, judge, native_files, orphans};
use crate::diagnosis::objects::{FileFound, State, Users, is_younger};
use crate::kernel::linux::survey;
use crate::kernel::survey::{FoundFile, SegmentRow, SemaphoreRow};
use crate::kernel::{FileKind, IpcKey};
use crate::key::generation::{crc_project_id, plain_project_id};
use crate::key::{self, ftok};
use crate::trouble::FileFault;

/// What makes a key of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Project {
    /// `Q`.
    Constant,
    /// A hash of the path: raw CRC-32C, where the processor has an instruction for it.
    Crc,
    /// A hash of the path by multiplication.
    Plain,
}

impl Project {
    pub const ALL: [Self; 3] = [Self::Constant, Self::Crc, Self::Plain];

    pub fn id(self, path: &Path) -> u8 {
        match self {
            Self::Constant => b'Q',
            Self::Crc => crc_project_id(path),
            Self::Plain => plain_project_id(path),
        }
    }

    fn key(self, file: &FoundFile) -> IpcKey {
        ftok(self.id(&file.path), file.stat.dev, file.stat.ino)
    }

    fn versions(self) -> QtVersions {
        match self {
            Self::Constant => QtVersions::Constant,
            Self::Crc | Self::Plain => QtVersions::Hashed,
        }
    }
}

/// The key files of one key in one directory.
#[derive(Clone, Debug, Default)]
struct Files<'a> {
    segment: Option<&'a FoundFile>,
    semaphore: Option<&'a FoundFile>,
}

/// An entry to be judged yet.
pub(super) fn draft(backend: Backend, key: KeyGuess) -> Entry {
    Entry {
        backend,
        key,
        native_key: None,
        directory: None,
        qt: None,
        segment: None,
        semaphore: None,
        files: Vec::new(),
        users: Users::default(),
        state: State::FileAlone,
        in_the_way: false,
        remedy: Remedy::InUse,
    }
}

/// Qt's System V objects, with key files and without.
pub(super) fn entries(machine: &Machine) -> Vec<Entry> {
    let mut entries = by_key_file(machine);
    entries.extend(native_files::entries(machine));
    entries.extend(orphans::of_any_key(machine, &entries));
    entries
}

/// Takes the key files by pairs, and finds what each pair leads to.
fn by_key_file(machine: &Machine) -> Vec<Entry> {
    let mut groups: BTreeMap<(PathBuf, String, usize), Files<'_>> = BTreeMap::new();
    for file in &machine.files {
        let name = file.path.file_name().and_then(|name| name.to_str());
        let Some((part, rest)) = name.and_then(guess::parts) else {
            continue;
        };
        let directory = file.path.parent().unwrap_or(Path::new("/")).to_owned();
        // Of deleted ones there can be several.
        for turn in usize::from(file.deleted).. {
            let files = groups
                .entry((directory.clone(), rest.to_owned(), turn))
                .or_default();
            let slot = match part {
                Part::Segment => &mut files.segment,
                Part::Semaphore => &mut files.semaphore,
            };
            match slot {
                None => {
                    *slot = Some(file);
                    break;
                }
                Some(known) if known.stat.same_file(&file.stat) => break,
                Some(_) => {}
            }
        }
    }
    let mut entries: Vec<Entry> = Vec::new();
    for ((directory, rest, _), files) in &groups {
        let mut found: Vec<Entry> = Vec::new();
        for project in Project::ALL {
            if let Some(entry) = pair(machine, files, project) {
                if !found.iter().any(|known| known.is_same(&entry)) {
                    found.push(entry);
                }
            }
        }
        let all = [files.segment, files.semaphore];
        let deleted = all.iter().flatten().any(|file| file.deleted);
        if found.is_empty() && !deleted {
            found.push(draft(Backend::SystemV, KeyGuess::Unknown));
        }
        for mut entry in found {
            entry.key = guess::guess(rest);
            let name = format!("{}{rest}", key::SEGMENT_PREFIX);
            entry.native_key = Some(directory.join(name).to_string_lossy().into_owned());
            entry.directory = Some(machine.directory_of(directory));
            entry.files = all.iter().flatten().map(|file| file_found(file)).collect();
            judge::judge(machine, &mut entry);
            entries.push(entry);
        }
    }
    entries
}

impl Machine {
    pub(super) fn directory_of(&self, path: &Path) -> (PathBuf, DirectoryKind) {
        let known = self
            .directories
            .iter()
            .find(|directory| directory.path == path);
        (
            path.to_owned(),
            known.map_or(DirectoryKind::Temp, |directory| directory.kind),
        )
    }

    /// The segment that a key leads to, or one that was removed while processes use it.
    fn segment_of(&self, key: IpcKey) -> Option<&SegmentRow> {
        let mut rows = self.segments.iter();
        rows.find(|row| row.key == key && !row.stat.removed)
            .or_else(|| {
                self.segments
                    .iter()
                    .find(|row| row.stat.removed && self.key_of(row) == key)
            })
            .filter(|_| key != 0)
    }

    fn semaphore_of(&self, key: IpcKey) -> Option<&SemaphoreRow> {
        let mut rows = self.semaphores.iter();
        rows.find(|row| row.key == key && row.count == 1 && key != 0)
    }
}

/// Whether a `key_t` is one that some Qt makes of this file.
pub(super) fn is_key_of_file(file: &FoundFile, key: IpcKey) -> bool {
    Project::ALL.iter().any(|project| project.key(file) == key)
}

/// What a pair of key files leads to with this project id.
fn pair(machine: &Machine, files: &Files<'_>, project: Project) -> Option<Entry> {
    let plain = |file: &&FoundFile| file.stat.kind == FileKind::Regular;
    let segment = files.segment.filter(plain).and_then(|file| {
        let row = machine.segment_of(project.key(file))?;
        (!is_younger(&file.stat, Some(row.stat.changed))).then_some(row)
    });
    let semaphore = files.semaphore.filter(plain).and_then(|file| {
        let row = machine.semaphore_of(project.key(file))?;
        (!is_younger(&file.stat, Some(row.changed))).then_some(row)
    });
    if segment.is_none() && semaphore.is_none() {
        return None;
    }
    let mut entry = draft(Backend::SystemV, KeyGuess::Unknown);
    entry.qt = Some(project.versions());
    entry.segment = segment.map(|row| machine.segment_found(row));
    entry.semaphore = semaphore.map(|row| machine.semaphore_found(row));
    entry.users = segment
        .map(|row| machine.users_of_segment(row))
        .unwrap_or_default();
    Some(entry)
}

/// A key file as an entry has it. Qt's are empty: another is somebody's.
pub(super) fn file_found(file: &FoundFile) -> FileFound {
    let stat = &file.stat;
    let filled = stat.kind == FileKind::Regular && stat.size > 0;
    let found = FileFound::of(&file.path, stat);
    FileFound {
        born: stat.born.unwrap_or(file.modified),
        deleted: file.deleted,
        leads_nowhere: stat.kind == FileKind::Link && survey::follow(&file.path).is_none(),
        fault: found.fault.or(filled.then_some(FileFault::Foreign)),
        ..found
    }
}
