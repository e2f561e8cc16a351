//! Files whose mode does not depend on the umask.

use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd;

use super::super::{Errno, Fd, Kernel as _, Open};
use super::Linux;

/// Gives a new key file the mode and group that its policy wants.
pub(super) fn finish_shared(kernel: Linux, fd: Fd, mode: u32, group: Option<u32>) {
    if let Some(gid) = group {
        let _ = kernel.fchgrp(fd, gid);
    }
    let _ = kernel.fchmod(fd, mode);
}

pub(super) fn make(kernel: Linux, path: &Path, mode: u32, group: Option<u32>) -> Result<Fd, Errno> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    // As far as the umask lets it, what the owner may is right from the start.
    let fd = match open(directory, flags, Mode::from_bits_truncate(mode & 0o700)) {
        Ok(fd) => fd,
        // Not on this file system.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {
            let fd = kernel.open(path, Open::New(mode))?;
            finish_shared(kernel, fd, mode, group);
            return Ok(fd);
        }
        Err(errno) => return Err(errno),
    };
    finish_shared(kernel, fd.as_raw_fd(), mode, group);
    let unnamed = format!("/proc/self/fd/{}", fd.as_raw_fd());
    unistd::linkat(
        AT_FDCWD,
        unnamed.as_str(),
        AT_FDCWD,
        path,
        AtFlags::AT_SYMLINK_FOLLOW,
    )?;
    Ok(fd.into_raw_fd())
}
