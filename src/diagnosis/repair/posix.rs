//! POSIX objects of Qt 6.6 and later.
//!
//! Who has a file open or mapped keeps us from getting a lease of it; who comes while we have one
//! waits. So nothing is removed that somebody has, and nobody is left with what was removed.

use std::path::Path;

use super::{Left, Repair};
use crate::diagnosis::machine::{DirectoryKind, Entry, State};
use crate::kernel::linux::survey::Lease;
use crate::kernel::{Errno, Kernel as _, Linux};

/// Clears an entry.
pub(super) fn clear(entry: &Entry) -> Repair {
    let mut removed = Vec::new();
    let left = try_clear(entry, &mut removed).err();
    if let Some((directory, DirectoryKind::Aside(_))) = &entry.directory {
        // If it was the last.
        let _ = Linux.rmdir(directory);
    }
    Repair { removed, left }
}

fn try_clear(entry: &Entry, removed: &mut Vec<String>) -> Result<(), Left> {
    let segment = entry
        .segment
        .as_ref()
        .and_then(|segment| segment.file.as_deref());
    let semaphore = entry
        .semaphore
        .as_ref()
        .and_then(|semaphore| semaphore.file.as_deref());
    if entry.state == State::Live {
        return Err(Left::InUse);
    }
    // Both before one is removed: who has either has a use for the other.
    let segment = segment.map(lease).transpose()?.flatten();
    let semaphore = semaphore.map(lease).transpose()?.flatten();
    // The segment first: a segment without its semaphore gets a new one, but nobody finds out
    // what a semaphore without a segment is for.
    for (what, lease) in [("segment", segment), ("semaphore", semaphore)] {
        let Some((path, lease)) = lease else { continue };
        match lease.remove() {
            Ok(()) => removed.push(format!("{what} {}", path.display())),
            Err(Errno::ENOENT | Errno::ESTALE) => return Err(Left::Changed),
            Err(errno) => return Err(why(errno)),
        }
    }
    Ok(())
}

/// `None`: it is gone.
fn lease(path: &Path) -> Result<Option<(&Path, Lease)>, Left> {
    match Lease::take(path) {
        Ok(lease) => Ok(Some((path, lease))),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(why(errno)),
    }
}

fn why(errno: Errno) -> Left {
    match errno {
        Errno::EAGAIN => Left::InUse,
        Errno::EACCES | Errno::EPERM => Left::NeedsRoot,
        errno => Left::Failed(errno as i32),
    }
}
