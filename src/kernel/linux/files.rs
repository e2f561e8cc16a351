//! Files and directories: open(2) and what goes with it.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use nix::NixPath as _;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open as nix_open};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{self, AccessFlags};

use super::super::{Errno, Fd, Open};
use super::named::above_standard;
use super::{check, proc};

pub fn open(path: &Path, how: Open) -> Result<Fd, Errno> {
    let common = OFlag::O_RDONLY
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_CLOEXEC;
    let fd = match how {
        Open::Existing => nix_open(path, common, Mode::empty()),
        Open::New(mode) => nix_open(
            path,
            common | OFlag::O_CREAT | OFlag::O_EXCL,
            Mode::from_bits_truncate(mode),
        ),
    }?;
    above_standard(fd)
}

/// Opens what a link in `/proc` leads to.
fn open_link(link: &Path) -> Result<Fd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    above_standard(nix_open(link, flags, Mode::empty())?)
}

pub fn reopen(fd: Fd) -> Result<Fd, Errno> {
    open_link(Path::new(&format!("/proc/self/fd/{fd}")))
}

pub fn open_deleted(path: &Path, uid: u32) -> Option<Fd> {
    let mut links = proc::deleted(path, uid).into_iter();
    links.find_map(|link| open_link(&link).ok())
}

pub fn fchmod(fd: Fd, mode: u32) -> Result<(), Errno> {
    // SAFETY: two numbers; the kernel checks the descriptor.
    check(unsafe { libc::fchmod(fd, mode) }).map(drop)
}

pub fn chmod(path: &Path, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_bits_truncate(mode);
    fchmodat(AT_FDCWD, path, mode, FchmodatFlags::FollowSymlink)
}

pub fn fchgrp(fd: Fd, gid: u32) -> Result<(), Errno> {
    // SAFETY: three numbers; the kernel checks the descriptor. -1 leaves the owner.
    check(unsafe { libc::fchown(fd, u32::MAX, gid) }).map(drop)
}

pub fn rmdir(path: &Path) -> Result<(), Errno> {
    path.with_nix_path(|path: &CStr| {
        // SAFETY: `path` ends with a NUL and lives through the call.
        check(unsafe { libc::rmdir(path.as_ptr()) })
    })?
    .map(drop)
}

pub fn may_write(directory: &Path) -> bool {
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let mode = AccessFlags::W_OK | AccessFlags::X_OK;
    unistd::faccessat(AT_FDCWD, directory, mode, AtFlags::AT_EACCESS).is_ok()
}

pub fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
