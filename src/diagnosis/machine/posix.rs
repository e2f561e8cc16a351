//! POSIX segments and semaphores of Qt 6.6 and later: files of `/dev/shm`.
//!
//! Their names are the application's own, so that only some can be told from what others keep
//! there: those of keys that were set in the old way, and those that a process with Qt uses.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Machine;
use super::directories::DirectoryKind;
use super::entry::{Backend, Doubt, Entry, QtVersions, Remedy};
use super::guess::{self, KeyGuess, Part};
use super::judge::{in_the_way, keeps};
use super::native;
use super::pairs::draft;
use crate::diagnosis::objects::{SegmentFound, SemaphoreFound, State};
use crate::kernel::Linux;
use crate::kernel::linux::survey;
use crate::kernel::survey::FoundFile;
use crate::key::{SEGMENT_PREFIX, SEMAPHORE_PREFIX};
use crate::named::{self, Seen};

/// How glibc names the file of a semaphore.
const SEMAPHORE: &str = "sem.";

/// Of more files than this it is not asked who has them open, unless they are known to be Qt's.
const MANY: usize = 2000;

/// A file of `/dev/shm`: a segment or a semaphore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PosixRow {
    /// The file.
    pub file: FoundFile,
    /// What it says, and whether anybody has it.
    pub seen: Seen,
}

/// Looks at all of them. Whether somebody has one is asked only of those that are Qt's by their
/// name, or look like it, or of these names of segments.
pub(super) fn look(named: &[String]) -> Vec<PosixRow> {
    let files = survey::shared_files();
    let paths: HashSet<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    let rows = files.into_iter().enumerate().map(|(index, file)| {
        let name = file.path.file_name().and_then(|name| name.to_str());
        let semaphore = name.and_then(|name| name.strip_prefix(SEMAPHORE));
        let other = match (semaphore, name) {
            (Some(name), _) => Some(name.to_owned()),
            (None, Some(name)) => Some(format!("{SEMAPHORE}{name}")),
            (None, None) => None,
        };
        let paired = other.is_some_and(|name| paths.contains(&file.path.with_file_name(name)));
        let ask = paired && index < MANY || concerns(&file.path, named);
        let seen = named::look_at(&Linux, &file.path, semaphore.is_some(), ask);
        PosixRow { file, seen }
    });
    rows.collect()
}

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

/// Whether it is an object of one of these names of segments.
pub(super) fn is_of(path: &Path, segments: &[String]) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| {
        let of = |segment: &String| {
            name == segment || name.strip_prefix(SEMAPHORE) == Some(&semaphore_name(segment))
        };
        segments.iter().any(of)
    })
}

/// Whether an object is Qt's by its name, or of one of these names of segments.
fn concerns(path: &Path, named: &[String]) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let name = name.strip_prefix(SEMAPHORE).unwrap_or(name);
    let is_aside = path
        .parent()
        .is_some_and(|directory| aside(directory).is_some());
    is_aside || guess::parts(name).is_some() || named.iter().any(|named| named == name)
}

/// Those that are Qt's or look like it; of a key, those of that key, whosoever they are.
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
        .filter(|entry| key.is_some() || entry.certain || is_pair(machine, entry))
        .collect()
}

/// Whether it looks like Qt's: a segment and a semaphore of one name.
fn is_pair(machine: &Machine, entry: &Entry) -> bool {
    let semaphore = entry
        .semaphore
        .as_ref()
        .and_then(|found| found.file.as_ref());
    let mut rows = machine.posix.iter();
    let row = rows.find(|row| Some(&row.file.path) == semaphore);
    entry.segment.is_some() && row.is_some_and(|row| has_size_of_semaphore(&row.file))
}

/// Of glibc's, or of qshm's, which is a page.
fn has_size_of_semaphore(file: &FoundFile) -> bool {
    [size_of::<libc::sem_t>() as u64, named::PAGE as u64].contains(&file.stat.size)
}

impl Machine {
    /// Files of `/dev/shm` of which nothing tells whether they are Qt's: what is left of a run of
    /// Qt 6.6 or later that ended well is a segment alone, with a name of the application's choice.
    /// Not those that are known to be somebody else's.
    pub fn perhaps_qts(&self) -> Vec<&FoundFile> {
        let entries = entries(self, None);
        let objects = |entry: &Entry| {
            let segment = entry.segment.as_ref().and_then(|found| found.file.clone());
            let semaphore = entry
                .semaphore
                .as_ref()
                .and_then(|found| found.file.clone());
            [segment, semaphore]
        };
        let known: Vec<PathBuf> = entries.iter().flat_map(objects).flatten().collect();
        let rows = self.posix.iter().filter(|row| {
            let name = name_of(row).unwrap_or(".");
            let semaphore = name.starts_with(SEMAPHORE);
            let size = if semaphore {
                has_size_of_semaphore(&row.file)
            } else {
                row.file.stat.size > 0
            };
            size && !name.starts_with('.')
                && directory_of(row).ends_with("shm")
                && !known.contains(&row.file.path)
        });
        let files = rows.map(|row| &row.file);
        files
            .filter(|file| {
                let users = self.users_of_file(&file.stat);
                users.seen.is_empty() || !users.qt.is_empty()
            })
            .collect()
    }
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
    let rows = [segment, semaphore];
    for row in rows.into_iter().flatten() {
        entry.users.join(machine.users_of_file(&row.file.stat));
    }
    let in_use: Vec<Option<bool>> = rows.iter().flatten().map(|row| row.seen.in_use).collect();
    entry.users.settle(&in_use);
    entry.users.unclear &= !machine.sees_everything;
    entry.segment = segment.map(|row| {
        let FoundFile { path, stat, .. } = &row.file;
        let mut found = SegmentFound::posix(path.clone(), stat, Some(row.file.modified));
        found.attached = entry.users.count();
        found
    });
    entry.semaphore = semaphore.map(|row| {
        let FoundFile { path, stat, .. } = &row.file;
        let modified = Some(row.file.modified);
        SemaphoreFound::posix(path.clone(), stat, modified, &row.seen, &entry.users)
    });
    entry.state = State::of(
        entry.segment.as_ref(),
        entry.semaphore.as_ref(),
        &entry.users,
    );
    entry.certain = is_qts(&entry);
    entry.in_the_way = in_the_way(machine, &entry);
    entry.remedy = remedy(machine, &entry);
    Some(entry)
}

fn remedy(machine: &Machine, entry: &Entry) -> Remedy {
    let perms = [
        entry.segment.as_ref().map(|segment| segment.perm.as_ref()),
        entry.semaphore.as_ref().map(|found| found.perm.as_ref()),
    ];
    let permitted = perms
        .into_iter()
        .flatten()
        .all(|perm| machine.viewer.may_remove(perm));
    match entry.state {
        State::Live => Remedy::InUse,
        State::Unclear if permitted => Remedy::InDoubt(Doubt::Hidden),
        State::Unclear => Remedy::NeedsRoot,
        State::Leftover if keeps() => Remedy::InDoubt(Doubt::Keep),
        _ if !permitted => Remedy::NeedsRoot,
        _ if entry.certain => Remedy::Remove,
        _ => Remedy::IfNamed,
    }
}
