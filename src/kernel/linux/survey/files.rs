//! Directories of key files.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::super::{Linux, status};
use crate::kernel::survey::FoundFile;
use crate::kernel::{FileStat, Kernel as _};

/// stat(2): the file behind a link, as those of `/proc/PID/fd`.
pub fn follow(path: &Path) -> Option<FileStat> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    status(libc::AT_FDCWD, &path, 0).ok()
}

/// The file that a path leads to for a process in another mount namespace.
pub fn in_root_of(pid: i32, path: &Path) -> Option<FileStat> {
    let inside = path.strip_prefix("/").ok()?;
    Linux
        .lstat(&Path::new(&format!("/proc/{pid}/root")).join(inside))
        .ok()
}

/// The files of a directory whose names `wanted` takes, links not followed; nothing where it may
/// not be read.
pub fn directory(directory: &Path, wanted: impl Fn(&[u8]) -> bool) -> Vec<FoundFile> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<FoundFile> = entries
        .filter(|entry| wanted(entry.file_name().as_bytes()))
        .filter_map(|entry| {
            Some(FoundFile {
                path: entry.path(),
                stat: Linux.lstat(&entry.path()).ok()?,
                modified: entry.metadata().ok()?.mtime(),
                deleted: false,
            })
        })
        .collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}
