//! What `/proc` tells about objects and processes that system calls keep from us.
//!
//! Everything is best effort, and what can't be read is left out. So it is for diagnosis, and in
//! decisions it only adds to what is known otherwise.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::super::FileStat;
use super::super::range_locks::MappedBy;

/// The other processes that `/proc` shows.
fn others() -> impl Iterator<Item = DirEntry> {
    let own = std::process::id().to_string();
    let is_other = move |entry: &DirEntry| {
        let name = entry.file_name();
        let first = name.as_encoded_bytes().first();
        first.is_some_and(u8::is_ascii_digit) && name != own.as_str()
    };
    let all = fs::read_dir("/proc").into_iter();
    all.flat_map(Iterator::flatten).filter(is_other)
}

/// Whether a process maps the file, as far as maps may be read.
pub fn is_mapped(file: &FileStat) -> bool {
    let (major, minor) = (
        nix::sys::stat::major(file.dev),
        nix::sys::stat::minor(file.dev),
    );
    // The columns of a line are separated by one space up to the inode number.
    let wanted = format!(" {major:02x}:{minor:02x} {} ", file.ino);
    others()
        .filter_map(|entry| fs::read(entry.path().join("maps")).ok())
        .any(|maps| String::from_utf8_lossy(&maps).contains(&wanted))
}

pub fn inodes(directory: &Path, prefix: &str) -> Vec<u64> {
    let starts_right = |entry: &DirEntry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(prefix.as_bytes())
    };
    fs::read_dir(directory)
        .map(|entries| {
            entries
                .flatten()
                .filter(starts_right)
                .map(|entry| entry.ino())
                .collect()
        })
        .unwrap_or_default()
}

/// The links `/proc/PID/fd/N` of processes of this user to a file that was unlinked from `path`.
pub fn deleted(path: &Path, uid: u32) -> Vec<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(" (deleted)");
    let descriptors = |process: &Path| -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(process.join("fd")) else {
            return Vec::new();
        };
        let leads_there = |link: &PathBuf| fs::read_link(link).is_ok_and(|target| target == *name);
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(leads_there)
            .collect()
    };
    processes()
        .filter(|entry| {
            entry
                .metadata()
                .is_ok_and(|status| [uid, 0].contains(&status.uid()))
        })
        .flat_map(|entry| descriptors(&entry.path()))
        .collect()
}

fn is_process(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
}

/// The directories of all processes.
fn processes() -> impl Iterator<Item = DirEntry> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter(is_process)
}

/// Those of the files that such processes have mapped. What may not be looked at, or has ended, has
/// none; an error is one that says nothing of a process, such as that no descriptor is left.
pub fn mapped(files: &[(u64, u64)], by: MappedBy) -> io::Result<Vec<(u64, u64)>> {
    let namespace = |process: &Path| fs::metadata(process.join("ns/mnt")).ok().map(|of| of.ino());
    let here = namespace(Path::new("/proc/thread-self"));
    let files: HashSet<(u64, u64)> = files.iter().copied().collect();
    let mut found = HashSet::new();
    for process in fs::read_dir("/proc")? {
        let process = process?;
        if !is_process(&process) {
            continue;
        }
        let owner = process.metadata().map(|status| status.uid());
        if !owner.is_ok_and(|owner| by.uid.is_none_or(|uid| owner == uid || owner == 0)) {
            continue;
        }
        let path = process.path();
        let same = here.is_some() && namespace(&path) == here;
        if !same && by.anywhere.is_none() {
            continue;
        }
        let maps = match fs::read(path.join("maps")) {
            Ok(maps) => maps,
            Err(error) => match error.raw_os_error() {
                Some(libc::EACCES | libc::EPERM | libc::ENOENT | libc::ESRCH) => continue,
                _ => return Err(error),
            },
        };
        let mapped = maps.split(|byte| *byte == b'\n').filter_map(mapped_file);
        let counts =
            |file: &(u64, u64)| files.contains(file) && (same || by.anywhere == Some(file.0));
        found.extend(mapped.filter(counts));
    }
    Ok(found.into_iter().collect())
}

/// Device and inode number in a line of `/proc/PID/maps`.
fn mapped_file(line: &[u8]) -> Option<(u64, u64)> {
    let mut fields = line.split(|byte| *byte == b' ').skip(3);
    let device = std::str::from_utf8(fields.next()?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let number = |digits| u32::from_str_radix(digits, 16).ok();
    let device = libc::makedev(number(major)?, number(minor)?);
    let ino = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    Some((device, ino))
}
