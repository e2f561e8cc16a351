//! Files whose mode does not depend on the umask.

use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::super::{Errno, Fd, Kernel as _, Open};
use super::Linux;
use super::named::{above_standard, link};
use crate::notes;

/// The rights of a file's group.
const OF_GROUP: u32 = 0o070;

/// Gives a new key file the mode and group that its policy wants, as far as that is allowed. The
/// rights that are for another group than the file has are given to nobody.
pub(super) fn finish_shared(kernel: Linux, fd: Fd, mode: u32, group: Option<u32>) {
    let mode = match group {
        Some(gid) if !has_group(kernel, fd, gid) => {
            let text = format!("what is made stays the user's own: not a member of group {gid}");
            notes::warn(notes::QSHM, text);
            mode & !OF_GROUP
        }
        _ => mode,
    };
    let _ = kernel.fchmod(fd, mode);
}

/// Whether a file has this group, given to it now if it is allowed.
fn has_group(kernel: Linux, fd: Fd, gid: u32) -> bool {
    kernel.fchgrp(fd, gid).is_ok() || kernel.fstat(fd).is_ok_and(|now| now.gid == gid)
}

/// Makes a file that has a name only when `finish` has done its part, where the file system can
/// do that.
pub(super) fn new_file(
    kernel: Linux,
    path: &Path,
    mode: u32,
    finish: impl Fn(Fd) -> Result<(), Errno>,
) -> Result<Fd, Errno> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    // As far as the umask lets it, what the owner may is right from the start.
    match open(directory, flags, Mode::from_bits_truncate(mode & 0o700)) {
        Ok(fd) => {
            finish(fd.as_raw_fd())?;
            match link(&fd, path) {
                Ok(()) => return above_standard(fd),
                // The directory has gone, or there is no /proc to name the file by: the attempt
                // below tells which.
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        // Not on this file system.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    let fd = kernel.open(path, Open::New(mode))?;
    if let Err(errno) = finish(fd) {
        let _ = kernel.unlink(path);
        kernel.close(fd);
        return Err(errno);
    }
    Ok(fd)
}

/// Makes a key file.
pub(super) fn make(kernel: Linux, path: &Path, mode: u32, group: Option<u32>) -> Result<Fd, Errno> {
    new_file(kernel, path, mode, |fd| {
        finish_shared(kernel, fd, mode, group);
        Ok(())
    })
}
