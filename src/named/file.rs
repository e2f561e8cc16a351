//! The open file of an object, under its lifecycle lock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::access::Access;
use crate::actor::Actor;
use crate::kernel::{Errno, Fd, FileLock, FileStat, IpcPerm, Kernel, NewObject, Range, Wait};
use crate::key_file::{fault, refused};
use crate::place::Place;
use crate::trouble::{Obstacle, Step, Trouble};

use super::links;

/// How often a file that others replace meanwhile is tried anew.
const ATTEMPTS: usize = 1000;

/// Up to this size, in bytes, a segment has all its memory from the start.
const RESERVED: u64 = 64 << 20;

/// How long those who only look at a file are waited for, before it counts as used.
const GLANCE: Duration = Duration::from_millis(200);

/// Whether processes without our locks, those of real Qt, use a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    None,
    Some,
    /// Only its owner and root could tell.
    Unknown,
}

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
        Self::lock_waiting(actor, path, write, false, step, wait)
    }

    /// The same of a segment, only for looking, if the lock is free.
    ///
    /// # Errors
    /// [`Trouble::Busy`]: it is not.
    pub fn lock_now(actor: &Actor<K>, path: &Path) -> Result<Option<Self>, Trouble> {
        Self::lock_waiting(actor, path, false, false, Step::Segment, Wait::No)
    }

    /// The same, as somebody who is attached.
    pub fn lock_attached(
        actor: &Actor<K>,
        path: &Path,
        write: bool,
    ) -> Result<Option<Self>, Trouble> {
        Self::lock_waiting(actor, path, write, true, Step::Segment, Wait::No)
    }

    fn lock_waiting(
        actor: &Actor<K>,
        path: &Path,
        write: bool,
        known: bool,
        step: Step,
        wait: Wait,
    ) -> Result<Option<Self>, Trouble> {
        let mut denied = None;
        let mut patience = Wait::No;
        for _ in 0..ATTEMPTS {
            let fd = match actor.kernel.named_open_locked(path, write, known, patience) {
                Ok(fd) => fd,
                Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
                // Anybody can make a file of this name, and keep its lock: only those that we trust
                // are waited for.
                Err(Errno::EAGAIN) => match actor.kernel.lstat(path) {
                    Err(Errno::ENOENT) => continue,
                    looked => {
                        let stat = looked.ok();
                        if let Some(fault) = stat.and_then(|stat| fault(actor, &stat)) {
                            let obstacle = Obstacle::file(path, fault, stat);
                            return Err(Trouble::InTheWay(obstacle));
                        }
                        if patience == wait {
                            return Err(Trouble::Busy(path.to_owned()));
                        }
                        patience = wait;
                        continue;
                    }
                },
                Err(errno) => {
                    if let Some(trouble) = refused(actor, path, step, errno) {
                        return Err(trouble);
                    }
                    denied = Some(errno);
                    continue;
                }
            };
            let mut file = Self::of(actor, fd, path, false, step)?;
            // Unlinked by whoever had the lock before.
            if file.stat.links == 0 {
                continue;
            }
            if file.stat.links > 1 && step == Step::Semaphore {
                file.stat.links = links::settled(actor, &file);
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
                actor.kernel.named_close(fd);
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

    /// Whether somebody else has one of these bytes locked: one such lock.
    pub fn locked(&self, range: Range) -> Result<Option<Range>, Trouble> {
        let locked = self.kernel.range_holder(self.fd, range);
        locked.map_err(|errno| Trouble::system(Step::Segment, errno, &self.path))
    }

    /// Whether processes without our locks use the file.
    pub fn others(&self, place: &Place) -> Others {
        // Qt's processes are never aside.
        if place.directory.is_some() {
            return Others::None;
        }
        let ask = || {
            let wait = Wait::AtMost(GLANCE);
            self.kernel.named_alone(self.fd, &self.path, wait)
        };
        let mut answer = ask();
        // Root of a container, who may not do everything.
        if answer == Err(Errno::EACCES) && self.kernel.geteuid() == 0 {
            let owner = &self.stat;
            answer = self
                .kernel
                .as_user(owner.uid, owner.gid, ask)
                .unwrap_or(answer);
        }
        match answer {
            Ok(true) => Others::None,
            // Of our own user's processes the maps tell, of others' nothing does.
            Err(Errno::EACCES) if !self.kernel.is_mapped(&self.stat) => Others::Unknown,
            // No leases on this system: nothing is taken from anybody in doubt.
            Ok(false) | Err(_) => Others::Some,
        }
    }

    /// Removes the file from its path, under its lock.
    pub fn unlink(&self) {
        let _ = self.kernel.unlink(&self.path);
    }

    /// Removes a segment's file that nobody uses, unless somebody has come meanwhile.
    ///
    /// # Errors
    /// `EAGAIN`: somebody has.
    pub fn unlink_unused(&self, place: &Place) -> Result<(), Errno> {
        if place.directory.is_some() {
            return self.kernel.unlink(&self.path);
        }
        match self.kernel.named_unlink(self.fd, &self.path) {
            // It may be one of ours, who only looks.
            Err(Errno::EAGAIN) if self.others(place) == Others::None => {
                self.kernel.unlink(&self.path)
            }
            answer => answer,
        }
    }

    /// Gives the lifecycle lock back.
    pub fn release(&self) {
        let _ = self.kernel.flock(self.fd, FileLock::Unlock, Wait::No);
    }

    /// Closes it before its time. The open file lives on where it is mapped.
    pub fn close(&mut self) {
        self.kernel.named_close(self.fd);
        self.fd = -1;
    }

    /// Keeps the descriptor open.
    pub fn into_fd(mut self) -> Fd {
        std::mem::replace(&mut self.fd, -1)
    }
}

impl<K: Kernel> Drop for File<K> {
    fn drop(&mut self) {
        if self.fd >= 0 {
            self.close();
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
