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
use super::super::range_locks::{MappedBy, MappedFile};

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
pub fn mapped(files: &[MappedFile], by: MappedBy) -> io::Result<Vec<(u64, u64)>> {
    let namespace = |process: &Path| fs::metadata(process.join("ns/mnt")).ok().map(|of| of.ino());
    let here = namespace(Path::new("/proc/thread-self"));
    let files: HashSet<&MappedFile> = files.iter().collect();
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
        let maps = maps(&path)?;
        let mapped = maps.split(|byte| *byte == b'\n').filter_map(mapped_file);
        let counts = |file: &MappedFile| {
            let unnamed = MappedFile {
                name: None,
                ..*file
            };
            (files.contains(file) || files.contains(&unnamed))
                && (same || by.anywhere == Some(file.dev))
        };
        found.extend(mapped.filter(counts).map(|file| (file.dev, file.ino)));
    }
    Ok(found.into_iter().collect())
}

/// The maps of a process; empty where they may not be looked at, or it has ended. Of one whose first
/// thread has ended they are those of any other thread.
fn maps(process: &Path) -> io::Result<Vec<u8>> {
    let read = |path: PathBuf| match fs::read(path) {
        Err(error) => match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM | libc::ENOENT | libc::ESRCH) => Ok(Vec::new()),
            _ => Err(error),
        },
        maps => maps,
    };
    let maps = read(process.join("maps"))?;
    if !maps.is_empty() {
        return Ok(maps);
    }
    for thread in fs::read_dir(process.join("task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let maps = read(thread.path().join("maps"))?;
        if !maps.is_empty() {
            return Ok(maps);
        }
    }
    Ok(Vec::new())
}

/// The file in a line of `/proc/PID/maps`, if it is shared and nobody has access to it there.
fn mapped_file(line: &[u8]) -> Option<MappedFile> {
    let mut fields = line.splitn(6, |byte| *byte == b' ').skip(1);
    if fields.next()? != b"---s" {
        return None;
    }
    let device = std::str::from_utf8(fields.nth(1)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let number = |digits| u32::from_str_radix(digits, 16).ok();
    let dev = libc::makedev(number(major)?, number(minor)?);
    let ino = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let path = std::str::from_utf8(fields.next()?).unwrap_or_default();
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let name = path.rsplit_once('/').map(|(_, name)| name.to_owned());
    Some(MappedFile { dev, ino, name })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_keeps_a_file_is_mapped() {
        let line = |mode: &str, path: &str| {
            let line = format!("7f00-7f01 {mode} 00000000 00:1f 42                       {path}");
            mapped_file(line.as_bytes())
        };
        let file = MappedFile {
            dev: libc::makedev(0, 0x1f),
            ino: 42,
            name: Some("a b.user.0".to_owned()),
        };
        assert_eq!(line("---s", "/tmp/x y/a b.user.0").unwrap(), file);
        assert_eq!(line("---s", "/a b.user.0 (deleted)").unwrap(), file);
        for mode in ["r--s", "rw-s", "---p"] {
            assert_eq!(line(mode, "/tmp/a"), None);
        }
        assert_eq!(mapped_file(b"7f00-7f01 ---p 00000000 00:00 0 "), None);
    }
}
