//! Whether a mapping keeps an open file description, and with it the locks, on a file system.
//!
//! On one that is stacked on another it may not: overlayfs, on which containers are, maps the file
//! of the layer below, and the description on top ends with its descriptor. So it is tried.

use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statfs::statfs;

use super::super::{FileLock, FileStat, Kernel as _, Range, RangeLocks as _, Wait};
use super::Linux;

/// What is known, by device and inode number of the directory; not more than a process may need.
static KNOWN: Mutex<Vec<((u64, u64), bool)>> = Mutex::new(Vec::new());
const MOST: usize = 16;

/// Overlayfs, FUSE (whose files may be passed through to another file system), eCryptfs, aufs: see
/// statfs(2).
const STACKED: [i64; 4] = [0x794c_7630, 0x6573_5546, 0xf15f, 0x6175_6673];

/// Whether mappings of files in this directory do.
pub fn keeps(directory: &Path, stat: &FileStat) -> bool {
    let id = (stat.dev, stat.ino);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, keeps)) = known.iter().find(|(other, _)| *other == id) {
        return *keeps;
    }
    match tried(directory) {
        Some(keeps) => {
            known.truncate(MOST - 1);
            known.insert(0, (id, keeps));
            keeps
        }
        None => !is_stacked(directory),
    }
}

/// Locks a file without a name, maps it, and looks whether the lock outlives the descriptor; `None` if
/// that can't be done there now.
fn tried(directory: &Path) -> Option<bool> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let file = open(directory, flags | OFlag::O_TMPFILE, mode).ok()?;
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    let locked = open(again.as_str(), flags, Mode::empty()).ok()?;
    let byte = Range::new(0, 1);
    let address = Linux.keep(locked.as_raw_fd()).ok()?;
    let taken = Linux.range_lock(locked.as_raw_fd(), byte, FileLock::Exclusive, Wait::No);
    drop(locked);
    let holder = Linux.range_holder(file.as_raw_fd(), byte);
    Linux.let_go(address);
    taken.ok()?;
    Some(holder.ok()?.is_some())
}

fn is_stacked(directory: &Path) -> bool {
    statfs(directory).is_ok_and(|system| STACKED.contains(&system.filesystem_type().0))
}
