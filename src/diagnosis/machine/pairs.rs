//! Finding System V objects by their key files, and without.
//!
//! A key is half a device, a quarter of an inode number and a project id, so that a likeness may
//! be chance. An object that is older than the file is not the file's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::directories::DirectoryKind;
use super::entry::{Backend, Entry, FileFound, QtVersions, Remedy, State, Users};
use super::guess::{self, KeyGuess, Part};
use super::{Machine, judge};
use crate::kernel::linux::survey;
use crate::kernel::survey::{FoundFile, SegmentRow, SemaphoreRow};
use crate::kernel::{FileKind, IpcKey, Kernel as _, Linux};
use crate::key::generation::{crc_project_id, plain_project_id};
use crate::key::{self, ftok};
use crate::trouble::FileFault;

/// What makes a key of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Project {
    /// `Q`.
    Constant,
    /// A hash of the path: raw CRC-32C, where the processor has an instruction for it.
    Crc,
    /// A hash of the path by multiplication.
    Plain,
}

impl Project {
    const ALL: [Self; 3] = [Self::Constant, Self::Crc, Self::Plain];

    fn id(self, path: &Path) -> u8 {
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

/// Qt's System V objects.
pub(super) fn entries(machine: &Machine) -> Vec<Entry> {
    let mut entries = by_key_file(machine);
    entries.extend(by_runtime_file(machine));
    let orphans = orphans(machine, &entries, |key| {
        let device = (key >> 16) & 0xff;
        let project = (key as u32 >> 24) as u8;
        let mut directories = machine.directories.iter();
        project == b'Q' && directories.any(|directory| (directory.dev & 0xff) as i32 == device)
    });
    entries.extend(orphans);
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
    fn directory_of(&self, path: &Path) -> (PathBuf, DirectoryKind) {
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

/// Whether an object that was last changed then is not this file's, see
/// [`crate::key_file::KeyFile::is_younger_than`].
fn is_younger(file: &FoundFile, changed: i64) -> bool {
    file.stat.born.is_some_and(|born| changed + 1 < born)
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
        (!is_younger(file, row.stat.changed)).then_some(row)
    });
    let semaphore = files.semaphore.filter(plain).and_then(|file| {
        let row = machine.semaphore_of(project.key(file))?;
        (!is_younger(file, row.changed)).then_some(row)
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

/// Keys of Qt 6.6 and later: segment and semaphore have the same file, of any name.
fn by_runtime_file(machine: &Machine) -> Vec<Entry> {
    let is_key_file = |file: &&FoundFile| {
        let name = file.path.file_name().and_then(|name| name.to_str());
        name.and_then(guess::parts).is_some()
    };
    let files = machine.files.iter().filter(|file| !is_key_file(file));
    files
        .flat_map(|file| by_native_file(machine, file))
        .collect()
}

/// What a file of any name leads to, with whatever project id.
fn by_native_file(machine: &Machine, file: &FoundFile) -> Vec<Entry> {
    let low = ftok(0, file.stat.dev, file.stat.ino);
    let owner = |uid: u32, creator: u32| [uid, creator].contains(&file.stat.uid);
    let segments = machine.segments.iter().filter(|row| {
        machine.key_of(row) & 0xff_ffff == low
            && owner(row.stat.perm.uid, row.stat.perm.cuid)
            && !is_younger(file, row.stat.changed)
    });
    let semaphores = machine.semaphores.iter().filter(|row| {
        row.key & 0xff_ffff == low
            && row.count == 1
            && owner(row.perm.uid, row.perm.cuid)
            && !is_younger(file, row.changed)
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
                project => format!("systemv-{project:02x}:{path}"),
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

/// The file that a native key names, wherever it is.
pub(super) fn given_file(machine: &Machine, key: &str) -> Vec<Entry> {
    let Some(path) = super::native::path(key) else {
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
    file.map(|file| by_native_file(machine, &file))
        .unwrap_or_default()
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
/// those of its file in some temp directory.
pub(super) fn orphans_of(machine: &Machine, key: &str) -> Vec<Entry> {
    let Some(rest) = guess::rest_of_key(key) else {
        return Vec::new();
    };
    let known = entries(machine);
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
            for project in Project::ALL {
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

/// A key file as an entry has it.
fn file_found(file: &FoundFile) -> FileFound {
    let stat = &file.stat;
    FileFound {
        path: file.path.clone(),
        uid: stat.uid,
        gid: stat.gid,
        mode: stat.mode & 0o7777,
        kind: stat.kind,
        born: stat.born.unwrap_or(file.modified),
        deleted: file.deleted,
        fault: match stat.kind {
            FileKind::Link => Some(FileFault::Link),
            FileKind::Regular if stat.links > 1 => Some(FileFault::HardLinks),
            FileKind::Regular if stat.size > 0 => Some(FileFault::Foreign),
            FileKind::Regular => None,
            FileKind::Directory | FileKind::Other => Some(FileFault::NotPlain),
        },
    }
}
