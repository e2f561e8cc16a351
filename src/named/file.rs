//! The open file of an object, under its lifecycle lock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::access::Access;
use crate::actor::Actor;
use crate::kernel::{Errno, Fd, FileLock, FileStat, IpcPerm, Kernel, NewObject, Wait};
use crate::key_file::fault;
use crate::trouble::{FileFault, Obstacle, Step, Trouble};

/// How often a file that others replace meanwhile is tried anew.
const ATTEMPTS: usize = 1000;

/// Up to this size, in bytes, a segment has all its memory from the start.
const RESERVED: u64 = 64 << 20;

/// How long somebody may have a file open only in order to look at it, before it counts as used.
const GLANCE: Duration = Duration::from_millis(200);

/// How long that is before all processes are searched for one that has.
const SHORT_GLANCE: Duration = Duration::from_micros(500);

/// An open file under its lifecycle lock, closed when dropped.
#[derive(Debug)]
pub(super) struct File<K: Kernel> {
    kernel: K,
    pub fd: Fd,
    pub path: PathBuf,
    pub stat: FileStat,
    /// Made by us just now.
    pub made: bool,
}

impl<K: Kernel> File<K> {
    /// Opens a file and takes its lifecycle lock. `None`: it is not there.
    pub fn lock(
        actor: &Actor<K>,
        path: &Path,
        write: bool,
        step: Step,
    ) -> Result<Option<Self>, Trouble> {
        let wait = Wait::AtMost(actor.options.lock_wait);
        Self::lock_waiting(actor, path, write, step, wait)
    }

    /// The same, for reading, if the lock is free.
    ///
    /// # Errors
    /// [`Trouble::Busy`]: it is not.
    pub fn lock_now(actor: &Actor<K>, path: &Path, step: Step) -> Result<Option<Self>, Trouble> {
        Self::lock_waiting(actor, path, false, step, Wait::No)
    }

    fn lock_waiting(
        actor: &Actor<K>,
        path: &Path,
        write: bool,
        step: Step,
        wait: Wait,
    ) -> Result<Option<Self>, Trouble> {
        let mut denied = None;
        for _ in 0..ATTEMPTS {
            let fd = match actor.kernel.named_open_locked(path, write, wait) {
                Ok(fd) => fd,
                Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
                Err(Errno::EAGAIN) => return Err(Trouble::Busy(path.to_owned())),
                Err(errno) => {
                    if let Some(trouble) = refused(actor, path, step, errno) {
                        return Err(trouble);
                    }
                    denied = Some(errno);
                    continue;
                }
            };
            let file = Self::of(actor, fd, path, false, step)?;
            // Unlinked by whoever had the lock before.
            if file.stat.links == 0 {
                continue;
            }
            if let Some(fault) = fault(actor, &file.stat) {
                return Err(Trouble::InTheWay(Obstacle::file(
                    path,
                    fault,
                    Some(file.stat),
                )));
            }
            file.withdraw_rights(actor);
            return Ok(Some(file));
        }
        // Not there, and yet it may not be opened.
        let denied = denied.map(|errno| Trouble::system(step, errno, path));
        Err(denied.unwrap_or_else(|| Trouble::Busy(path.to_owned())))
    }

    /// Makes a file, complete and with its lifecycle lock taken. `None`: somebody was faster.
    pub fn make(
        actor: &Actor<K>,
        path: &Path,
        size: u64,
        content: &[u8],
        step: Step,
    ) -> Result<Option<Self>, Trouble> {
        let group = match actor.options.access {
            Access::Group(gid) => Some(gid),
            _ => None,
        };
        let new = NewObject {
            mode: actor.options.access.object_mode(),
            group,
            size,
            // A page that a full file system can't give is a SIGBUS later. Much memory is not
            // taken in advance: its user may never need all of it.
            reserve: size <= RESERVED,
            content,
        };
        match actor.make(|| actor.kernel.named_make(path, &new)) {
            Ok(fd) => Self::of(actor, fd, path, true, step).map(Some),
            Err(Errno::EEXIST) => Ok(None),
            Err(errno) => Err(Trouble::system(step, errno, path)),
        }
    }

    fn of(actor: &Actor<K>, fd: Fd, path: &Path, made: bool, step: Step) -> Result<Self, Trouble> {
        match actor.kernel.fstat(fd) {
            Ok(stat) => Ok(File {
                kernel: actor.kernel.clone(),
                fd,
                path: path.to_owned(),
                stat,
                made,
            }),
            Err(errno) => {
                if made {
                    // While it is locked still: nobody can have begun to use it.
                    let _ = actor.kernel.unlink(path);
                }
                actor.kernel.close(fd);
                Err(Trouble::system(step, errno, path))
            }
        }
    }

    /// Takes from the group and from others what the policy does not give them.
    fn withdraw_rights(&self, actor: &Actor<K>) {
        let wanted = actor.options.access.object_mode();
        let ours = self.stat.uid == actor.identity.uid;
        if ours && wanted == 0o600 && self.stat.mode & 0o077 != 0 {
            let _ = self.kernel.fchmod(self.fd, wanted);
        }
    }

    /// Whether somebody else has one of these bytes locked; the first such byte.
    pub fn locked(&self, range: (u64, u64)) -> Result<Option<u64>, Trouble> {
        let locked = self.kernel.range_locked(self.fd, range);
        locked.map_err(|errno| Trouble::system(Step::Segment, errno, &self.path))
    }

    /// Whether a process without our locks, one of real Qt, uses the file. Where that can't be
    /// known it counts as yes: nothing is taken from anybody in doubt.
    pub fn is_used_by_others(&self) -> bool {
        let is_mapped = || self.kernel.is_mapped(&self.stat);
        let alone = |wait| self.kernel.named_alone(self.fd, wait);
        match alone(Wait::AtMost(SHORT_GLANCE)) {
            Ok(true) => return false,
            Ok(false) => {}
            // Another user's, by a policy that shares. Qt's processes take no part in such, as a
            // rule: what the maps show is enough.
            Err(Errno::EACCES) => return is_mapped(),
            // No leases on this system. Root sees all maps, a user does not.
            Err(_) => return self.kernel.geteuid() != 0 || is_mapped(),
        }
        // Somebody has it open: one of ours who is only looking at it, or a process of Qt, which
        // keeps the descriptor while it is attached.
        self.kernel.is_open_elsewhere(&self.stat) || alone(Wait::AtMost(GLANCE)) != Ok(true)
    }

    /// Removes the file from its path, under its lock.
    pub fn unlink(&self) {
        let _ = self.kernel.unlink(&self.path);
    }

    /// Gives the lifecycle lock back. The open file lives on where it is mapped.
    pub fn release(&self) {
        let _ = self.kernel.flock(self.fd, FileLock::Unlock, Wait::No);
    }

    /// Keeps the descriptor open.
    pub fn into_fd(mut self) -> Fd {
        std::mem::replace(&mut self.fd, -1)
    }
}

impl<K: Kernel> Drop for File<K> {
    fn drop(&mut self) {
        if self.fd >= 0 {
            self.kernel.close(self.fd);
        }
    }
}

/// Owner and mode of a file, as those of a System V object.
pub(crate) fn perm_of(stat: &FileStat) -> IpcPerm {
    IpcPerm {
        uid: stat.uid,
        gid: stat.gid,
        cuid: stat.uid,
        cgid: stat.gid,
        mode: stat.mode & 0o777,
    }
}

/// A file that could not be opened: in the way if it is there, else a failure of the system.
/// `None`: it was in the way and is not there any more.
fn refused<K: Kernel>(actor: &Actor<K>, path: &Path, step: Step, errno: Errno) -> Option<Trouble> {
    let fault = match errno {
        Errno::ELOOP => FileFault::Link,
        Errno::EACCES | Errno::EPERM => FileFault::Unreadable,
        Errno::ENXIO | Errno::ENODEV | Errno::EISDIR => FileFault::NotPlain,
        _ => return Some(Trouble::system(step, errno, path)),
    };
    match actor.kernel.lstat(path) {
        Ok(stat) => Some(Trouble::InTheWay(Obstacle::file(path, fault, Some(stat)))),
        Err(Errno::ENOENT) => None,
        Err(_) => Some(Trouble::system(step, errno, path)),
    }
}
