//! Directories of key files.

use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, SYSFS_MAGIC, statfs};
use nix::unistd::{AccessFlags, UnlinkatFlags, eaccess, unlinkat};

use super::super::{Linux, status};
use crate::kernel::survey::FoundFile;
use crate::kernel::{Errno, FileStat, Kernel as _};

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

/// Whether the effective user of this thread can make files in a directory; the error says why
/// not.
pub fn may_make_files(directory: &Path) -> Result<(), Errno> {
    eaccess(directory, AccessFlags::W_OK | AccessFlags::X_OK)?;
    // Root may do anything, and still those take no files.
    let made_up = [PROC_SUPER_MAGIC, SYSFS_MAGIC].contains(&statfs(directory)?.filesystem_type());
    if made_up { Err(Errno::EPERM) } else { Ok(()) }
}

/// Removes a file if it is this very one.
///
/// The directory is held meanwhile: somebody who may rename it could otherwise lead us to a file
/// of the same name elsewhere.
pub fn unlink_same(path: &Path, stat: &FileStat) -> Result<(), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::EINVAL);
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(parent, flags, Mode::empty())?;
    let c_name = CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)?;
    let now = status(directory.as_raw_fd(), &c_name, libc::AT_SYMLINK_NOFOLLOW)?;
    if !now.same_file(stat) {
        return Err(Errno::ESTALE);
    }
    unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_the_very_file_is_removed() {
        let folder = std::env::temp_dir().join(format!("qshm-unlink-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.join(name));
        for path in [&one, &other] {
            fs::write(path, "").unwrap();
        }
        let stat = Linux.lstat(&one).unwrap();
        assert_eq!(unlink_same(&other, &stat), Err(Errno::ESTALE));
        unlink_same(&one, &stat).unwrap();
        assert_eq!(unlink_same(&one, &stat), Err(Errno::ENOENT));
        assert!(other.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
