//! POSIX objects of Qt 6.6 and later.
//!
//! Real Qt keeps the semaphore from before it opens a segment until it has mapped it. So the
//! semaphore is taken first, if it is free, and only then are the processes looked through.

use std::path::Path;

use super::{Left, Repair, name};
use crate::diagnosis::machine::{Entry, Machine};
use crate::kernel::linux::survey::{self, PosixLock};
use crate::kernel::{Errno, Fd, FileLock, FileStat, Kernel, Linux, Open, Wait};

/// Clears an entry.
pub(super) fn clear(machine: &Machine, entry: &Entry) -> Repair {
    let mut removed = Vec::new();
    let left = try_clear(machine, entry, &mut removed).err();
    Repair { removed, left }
}

fn try_clear(machine: &Machine, entry: &Entry, removed: &mut Vec<String>) -> Result<(), Left> {
    let segment = entry
        .segment
        .as_ref()
        .and_then(|segment| segment.file.as_deref());
    let semaphore = entry
        .semaphore
        .as_ref()
        .and_then(|semaphore| semaphore.file.as_deref());
    let _lock = semaphore.map(take).transpose()?;
    let files = [("segment", segment), ("semaphore", semaphore)];
    let opened: Vec<(&str, Opened)> = files
        .iter()
        .filter_map(|(what, path)| Some((*what, Opened::lock((*path)?).transpose()?)))
        .map(|(what, opened)| opened.map(|opened| (what, opened)))
        .collect::<Result<_, _>>()?;
    let now = machine.with_processes_of_now();
    for (_, file) in &opened {
        if now.is_file_used(&file.stat) {
            return Err(Left::InUse);
        }
    }
    for (what, file) in &opened {
        if !Linux
            .lstat(&file.path)
            .is_ok_and(|stat| stat.same_file(&file.stat))
        {
            return Err(Left::Changed);
        }
        match Linux.unlink(&file.path) {
            Ok(()) => removed.push(name(what, "", None, None, Some(&file.path))),
            Err(Errno::ENOENT) => {}
            Err(Errno::EPERM | Errno::EACCES) => return Err(Left::NeedsRoot),
            Err(errno) => return Err(Left::Failed(errno as i32)),
        }
    }
    Ok(())
}

/// Takes the semaphore. One that nobody gives back is taken as it is: whether its holder lives
/// is seen afterwards.
fn take(file: &Path) -> Result<Option<PosixLock>, Left> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name = name.strip_prefix("sem.").unwrap_or(name);
    match survey::lock_posix(&format!("/{name}")) {
        Ok(lock) => Ok(Some(lock)),
        Err(Errno::EACCES | Errno::EPERM) => Err(Left::NeedsRoot),
        Err(_) => Ok(None),
    }
}

/// A file of `/dev/shm`, locked as those are that use it with qshm.
struct Opened {
    path: std::path::PathBuf,
    fd: Fd,
    stat: FileStat,
}

impl Opened {
    /// `None`: it is gone.
    fn lock(path: &Path) -> Result<Option<Self>, Left> {
        let fd = match Linux.open(path, Open::Existing) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::EACCES | Errno::EPERM) => return Err(Left::NeedsRoot),
            Err(errno) => return Err(Left::Failed(errno as i32)),
        };
        let stat = match Linux.fstat(fd) {
            Ok(stat) => stat,
            Err(errno) => {
                Linux.close(fd);
                return Err(Left::Failed(errno as i32));
            }
        };
        let opened = Opened {
            path: path.to_owned(),
            fd,
            stat,
        };
        match Linux.flock(fd, FileLock::Exclusive, Wait::No) {
            Ok(()) => Ok(Some(opened)),
            Err(_) => Err(Left::InUse),
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        Linux.close(self.fd);
    }
}
