//! A key file that leads to a segment and to a semaphore, as with the System V keys of Qt 6.6 and
//! later.

use std::path::Path;

use crate::actor::Actor;
use crate::kernel::{Errno, Fd, FileLock, IpcKey, Kernel, Open, Range, Wait};
use crate::key;
use crate::trouble::Step;

use super::KeyFile;

/// What a key file has to do with two objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// It leads to one.
    No,
    /// It leads to both, by this project id; opened for the segment.
    ForSegment(u8),
    /// The same, opened for the semaphore.
    ForSemaphore(u8),
}

impl Sharing {
    pub fn of<K: Kernel>(actor: &Actor<K>, path: &Path, step: Step) -> Self {
        match step {
            _ if !actor.one_file => Sharing::No,
            Step::SemaphoreFile => Sharing::ForSemaphore(actor.project_id(path)),
            _ => Sharing::ForSegment(actor.project_id(path)),
        }
    }

    pub fn is_for_semaphore(self) -> bool {
        matches!(self, Sharing::ForSemaphore(_))
    }
}

/// The byte that the users of a semaphore lock where the file is the segment's as well: that of
/// the project id, since each leads to another semaphore.
fn users(project: u8) -> Range {
    Range::new(project.into(), 1)
}

/// Those of all project ids.
const ALL_USERS: Range = Range::new(0, 256);

pub(super) fn open_existing<K: Kernel>(
    kernel: &K,
    path: &Path,
    sharing: Sharing,
) -> Result<Fd, Errno> {
    if sharing.is_for_semaphore() {
        kernel.named_open(path, true)
    } else {
        kernel.open(path, Open::Existing)
    }
}

pub(super) fn lock_file<K: Kernel>(
    kernel: &K,
    fd: Fd,
    sharing: Sharing,
    lock: FileLock,
    wait: Wait,
) -> Result<(), Errno> {
    let Sharing::ForSemaphore(project) = sharing else {
        return kernel.flock(fd, lock, wait);
    };
    // As flock, which gives the old lock up before it asks for the new one: of two that both ask
    // for the file alone, neither may be kept from it by what the other one had.
    if lock == FileLock::Exclusive {
        kernel.range_lock(fd, users(project), FileLock::Unlock, Wait::No)?;
    }
    kernel.range_lock(fd, users(project), lock, wait)
}

impl<K: Kernel> KeyFile<K> {
    /// Removes a file that leads to two objects, opened for the semaphore and alone with it, if
    /// neither object is there. That takes both locks, or somebody might be about to make one:
    /// whoever has the lifecycle lock at this moment does it himself. `ours`: that is we.
    pub(super) fn unlink_shared(&self, ours: bool) {
        let kernel = &self.kernel;
        let alone = |fd| kernel.range_lock(fd, ALL_USERS, FileLock::Exclusive, Wait::No);
        let lifecycle = |lock| kernel.flock(self.fd, lock, Wait::No);
        if !ours && lifecycle(FileLock::Exclusive).is_err() {
            return;
        }
        if alone(self.fd).is_ok() && self.is_linked() && !self.leads_to_another() {
            let _ = kernel.unlink(&self.path);
        }
        if !ours {
            let _ = lifecycle(FileLock::Unlock);
        }
    }

    /// Whether it leads to an object that is still there, besides the one that it was opened for.
    fn leads_to_another(&self) -> bool {
        let found = |project: u8| {
            let key = key::ftok(project, self.stat.dev, self.stat.ino);
            let gone = Err(Errno::ENOENT);
            let of_file = |other: &IpcKey| other << 8 == key << 8;
            self.kernel.shm_find(key) != gone
                || self.kernel.sem_find(key) != gone
                // The same file, by another project id.
                || self.kernel.shm_keys().iter().any(of_file)
                || self.kernel.sem_keys().iter().any(of_file)
        };
        match self.sharing {
            Sharing::No => false,
            Sharing::ForSegment(project) | Sharing::ForSemaphore(project) => found(project),
        }
    }
}
