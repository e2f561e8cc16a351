//! Key files: plain files that a key leads to and that carry the locks.
//!
//! A key file is opened without `O_CREAT` first (`fs.protected_regular` refuses it for another
//! user's file in a sticky directory), then made with `O_EXCL`; it must be a plain file with one
//! link and an owner whom the policy trusts. Locks are flock(2): they need only permission to
//! read, belong to the open file and end with the process.
//!
//! Where one file leads to a segment and to a semaphore (`Actor::one_file`), the users of the
//! semaphore have locks of another kind on it, `F_OFD_SETLK` of fcntl(2), and the file goes when
//! neither object is there.

mod sharing;

use std::cell::Cell;
use std::path::{Path, PathBuf};

use crate::actor::Actor;
use crate::kernel::{Errno, Fd, FileKind, FileLock, FileStat, Kernel, Wait};
use crate::trouble::{FileFault, Obstacle, Step, Trouble};

use sharing::{Sharing, lock_file, open_existing};

/// How often a file that others replace meanwhile is tried anew.
const ATTEMPTS: usize = 1000;

/// Whether [`KeyFile::open`] makes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// No: it must be there.
    No,
    /// If it is not there.
    IfMissing,
    /// The same, tried the other way round, where it is more likely not there.
    First,
}

/// An open key file, closed when dropped.
#[derive(Debug)]
pub(crate) struct KeyFile<K: Kernel> {
    kernel: K,
    fd: Fd,
    /// Of the process that opened it: a forked child shares the open file, and so its locks.
    fork_mark: u32,
    path: PathBuf,
    pub stat: FileStat,
    /// Made by us just now.
    pub made: bool,
    /// Deleted from its path by somebody, see [`crate::deleted`].
    deleted: bool,
    /// Whether the lock that we have, or may have, is the exclusive one.
    exclusive: Cell<bool>,
    /// Whether the application has run since the descriptor was looked at.
    asleep: Cell<bool>,
    sharing: Sharing,
}

impl<K: Kernel> KeyFile<K> {
    /// Opens a key file, or makes it. `None`: it is not there.
    pub fn open(
        actor: &Actor<K>,
        path: &Path,
        make: Make,
        step: Step,
    ) -> Result<Option<Self>, Trouble> {
        Self::open_and(actor, path, make, step, false)
    }

    /// The same, with its lock, exclusively, if nobody else has any:
    /// [`is_exclusive`](Self::is_exclusive). It is still in place then.
    pub fn open_exclusive(
        actor: &Actor<K>,
        path: &Path,
        make: Make,
        step: Step,
    ) -> Result<Option<Self>, Trouble> {
        Self::open_and(actor, path, make, step, true)
    }

    fn open_and(
        actor: &Actor<K>,
        path: &Path,
        make: Make,
        step: Step,
        lock: bool,
    ) -> Result<Option<Self>, Trouble> {
        let kernel = &actor.kernel;
        let sharing = Sharing::of(actor, path, step);
        let mut denied = None;
        for attempt in 0..ATTEMPTS {
            let make_now = make == Make::First && attempt % 2 == 0;
            let opened = if make_now {
                Err(Errno::ENOENT)
            } else {
                open_existing(kernel, path, sharing)
            };
            let (fd, made) = match opened {
                Ok(fd) => (fd, false),
                Err(Errno::ENOENT) if make == Make::No => return Ok(None),
                Err(Errno::ENOENT) => match actor.make_key_file(path) {
                    // A lock that excludes needs a file open for writing.
                    Ok(fd) if sharing.is_for_semaphore() => {
                        kernel.close(fd);
                        continue;
                    }
                    Ok(fd) => (fd, true),
                    Err(Errno::EEXIST) => continue,
                    Err(errno) => return Err(Trouble::system(step, errno, path)),
                },
                Err(errno) => {
                    if let Some(trouble) = refused(actor, path, step, errno) {
                        return Err(trouble);
                    }
                    // What was in the way went between the two looks.
                    denied = Some(errno);
                    continue;
                }
            };
            // Without waiting, so it does no harm to look only afterwards whose file it is; and
            // what is seen then, above all that it was not unlinked meanwhile, stays so.
            let exclusive =
                lock && lock_file(kernel, fd, sharing, FileLock::Exclusive, Wait::No).is_ok();
            match kernel.fstat(fd) {
                Ok(stat) => {
                    let file = KeyFile {
                        kernel: kernel.clone(),
                        fd,
                        fork_mark: kernel.fork_mark(),
                        path: path.to_owned(),
                        stat,
                        made,
                        deleted: false,
                        exclusive: Cell::new(exclusive),
                        asleep: Cell::new(false),
                        sharing,
                    };
                    if stat.links == 0 {
                        continue;
                    }
                    if let Some(fault) = fault(actor, &stat) {
                        return Err(Trouble::InTheWay(Obstacle::file(path, fault, Some(stat))));
                    }
                    let wanted = actor.key_file_mode();
                    // A umask may have taken the owner's rights too. And real Qt gives its files
                    // to the group, any member of which could then keep our locks.
                    let lacks = made && stat.mode & 0o600 != 0o600;
                    let ours = stat.uid == actor.identity.uid && stat.size == 0;
                    if lacks || ours && wanted == 0o600 && stat.mode & 0o077 != 0 {
                        let _ = kernel.fchmod(fd, wanted);
                    }
                    return Ok(Some(file));
                }
                Err(errno) => {
                    kernel.close(fd);
                    return Err(Trouble::system(step, errno, path));
                }
            }
        }
        // Not there, and yet it may not be opened.
        let denied = denied.map(|errno| Trouble::system(step, errno, path));
        Err(denied.unwrap_or_else(|| Trouble::Busy(path.to_owned())))
    }

    /// Opens (or makes) a key file and takes its lock exclusively: the lifecycle lock.
    pub fn lock(actor: &Actor<K>, path: &Path, make: Make) -> Result<Option<Self>, Trouble> {
        for _ in 0..ATTEMPTS {
            let Some(file) = Self::open_exclusive(actor, path, make, Step::KeyFile)? else {
                return Ok(None);
            };
            if file.is_exclusive() {
                return Ok(Some(file));
            }
            file.take(FileLock::Exclusive, Wait::AtMost(actor.options.lock_wait))?;
            if file.is_in_place() {
                return Ok(Some(file));
            }
        }
        Err(Trouble::Busy(path.to_owned()))
    }

    /// Takes a lock.
    pub fn take(&self, lock: FileLock, wait: Wait) -> Result<(), Trouble> {
        match self.lock_file(lock, wait) {
            Ok(()) => {
                self.exclusive.set(lock == FileLock::Exclusive);
                Ok(())
            }
            Err(Errno::EAGAIN) => Err(Trouble::Busy(self.path.clone())),
            Err(errno) => Err(Trouble::system(Step::KeyFile, errno, &self.path)),
        }
    }

    fn lock_file(&self, lock: FileLock, wait: Wait) -> Result<(), Errno> {
        lock_file(&self.kernel, self.fd, self.sharing, lock, wait)
    }

    /// Takes the lock exclusively if nobody else has any; says whether it did. A shared lock
    /// held before is gone either way.
    pub fn try_exclusive(&self) -> bool {
        let taken = self.lock_file(FileLock::Exclusive, Wait::No);
        self.exclusive.set(taken.is_ok());
        taken.is_ok()
    }

    /// Whether the lock is taken exclusively.
    pub fn is_exclusive(&self) -> bool {
        self.exclusive.get()
    }

    /// Whether a segment that was last changed then was there before this file was, so that it
    /// is not its own. Files and segments are stamped by two clocks, of which one may be a tick
    /// behind: near the end of a second the segment of a new file seems a second older.
    pub fn is_younger_than(&self, changed: i64) -> bool {
        self.stat.born.is_some_and(|born| changed + 1 < born)
    }

    /// Whether a segment that is made now would seem older than this file, see
    /// [`is_younger_than`](Self::is_younger_than).
    pub fn is_from_the_future(&self) -> bool {
        let born = self.stat.born;
        !self.made && born.is_some_and(|born| born > self.kernel.now())
    }

    /// Takes the lock exclusively if no user of the file is left, and waits for others who look
    /// whether that is so. Of two that find each other in the way, the later one gets it: so the
    /// last one out can't be missed.
    pub fn try_exclusive_as_last(&self, actor: &Actor<K>) -> bool {
        self.try_exclusive()
            || self
                .take(FileLock::Shared, Wait::AtMost(actor.options.lock_wait))
                .is_ok()
                && self.try_exclusive()
    }

    /// Gives the lock back and keeps the file open, which keeps its inode number (and so its
    /// key) from being given to another file.
    pub fn release(&self) {
        let _ = self.lock_file(FileLock::Unlock, Wait::No);
        self.exclusive.set(false);
    }

    /// Goes to sleep: the application runs until [`awakened`](Self::awakened).
    pub fn sleep(&self) {
        self.asleep.set(true);
    }

    /// Whether this process opened it, and is no forked child of the one that did.
    pub fn is_own(&self) -> bool {
        self.fork_mark == self.kernel.fork_mark()
    }

    /// The same file, fit for locks again after the application has run: a forked child shares
    /// the open file of its parent and needs one of its own; and where the application closed
    /// all descriptors, the number may be a file of its own by now.
    ///
    /// # Errors
    /// The descriptor is lost, and the path leads elsewhere.
    pub fn awakened(self) -> Result<Self, Trouble> {
        let kernel = &self.kernel;
        let same = |fd| kernel.fstat(fd).is_ok_and(|now| now.same_file(&self.stat));
        let kept = same(self.fd);
        if kept && self.is_own() {
            self.asleep.set(false);
            return Ok(self);
        }
        let opened = if kept && !self.sharing.is_for_semaphore() {
            kernel.reopen(self.fd)
        } else {
            open_existing(kernel, &self.path, self.sharing)
        };
        match opened {
            Ok(fd) if same(fd) => Ok(KeyFile {
                kernel: kernel.clone(),
                fd,
                fork_mark: kernel.fork_mark(),
                path: self.path.clone(),
                stat: self.stat,
                made: false,
                deleted: self.deleted,
                exclusive: Cell::new(false),
                asleep: Cell::new(false),
                sharing: self.sharing,
            }),
            Ok(fd) => {
                kernel.close(fd);
                Err(Trouble::system(Step::KeyFile, Errno::EBADF, &self.path))
            }
            Err(errno) => Err(Trouble::system(Step::KeyFile, errno, &self.path)),
        }
    }

    /// The file that was deleted from this path, where a process of our identity has it open.
    pub fn deleted(actor: &Actor<K>, path: &Path) -> Option<Self> {
        let fd = actor.kernel.open_deleted(path, actor.identity.uid)?;
        let Ok(stat) = actor.kernel.fstat(fd) else {
            actor.kernel.close(fd);
            return None;
        };
        let file = KeyFile {
            kernel: actor.kernel.clone(),
            fd,
            fork_mark: actor.kernel.fork_mark(),
            path: path.to_owned(),
            stat,
            made: false,
            deleted: true,
            exclusive: Cell::new(false),
            asleep: Cell::new(false),
            sharing: Sharing::No,
        };
        // Judged as it was when it still had its link.
        let was = FileStat { links: 1, ..stat };
        let usable = stat.links == 0 && fault(actor, &was).is_none();
        usable.then_some(file)
    }

    /// Whether this file is still the one at its path; of a deleted one, whether no other is.
    pub fn is_in_place(&self) -> bool {
        match self.kernel.lstat(&self.path) {
            Ok(now) => now.same_file(&self.stat),
            Err(errno) => self.deleted && errno == Errno::ENOENT,
        }
    }

    /// Removes the file from its path, under its lock, unless somebody did so before, and if it
    /// has never held anything: a native key may be any file.
    ///
    /// A file that leads to two objects is only removed through the semaphore's view of it, see
    /// [`crate::semaphore::clear`].
    pub fn unlink(&self) {
        self.unlink_under(false);
    }

    /// The same; `lifecycle`: this process has the file's lifecycle lock, too.
    pub fn unlink_under(&self, lifecycle: bool) {
        if self.stat.size > 0 || self.deleted || !self.is_linked() {
            return;
        }
        match self.sharing {
            Sharing::No => {
                let _ = self.kernel.unlink(&self.path);
            }
            Sharing::ForSegment(_) => {}
            Sharing::ForSemaphore(_) => self.unlink_shared(lifecycle),
        }
    }

    fn is_linked(&self) -> bool {
        self.kernel.fstat(self.fd).is_ok_and(|now| now.links > 0)
    }
}

impl<K: Kernel> Drop for KeyFile<K> {
    fn drop(&mut self) {
        // An application that closed all descriptors may have another file under the number.
        let kept = || {
            let now = self.kernel.fstat(self.fd);
            now.is_ok_and(|now| now.same_file(&self.stat))
        };
        if self.asleep.get() && !kept() {
            return;
        }
        // A child that was forked meanwhile has the same open file, and would keep the lock for
        // as long as it lives. (A shared lock it may keep: it uses what we used.)
        if self.exclusive.get() && self.is_own() {
            self.release();
        }
        self.kernel.close(self.fd);
    }
}

/// What is wrong with a file that could be opened: a key file, or that of a POSIX object.
pub(crate) fn fault<K: Kernel>(actor: &Actor<K>, stat: &FileStat) -> Option<FileFault> {
    let trusted = actor.options.access.trusts_file(&actor.identity, stat);
    FileFault::of(stat).or_else(|| (!trusted).then_some(FileFault::Foreign))
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
        // Our own, made under a umask that took our rights, by a process that was killed then.
        Ok(stat)
            if fault == FileFault::Unreadable
                && stat.kind == FileKind::Regular
                && stat.uid == actor.identity.uid
                && stat.mode & 0o400 == 0
                && actor.kernel.chmod(path, 0o600).is_ok() =>
        {
            None
        }
        Ok(stat) => Some(Trouble::InTheWay(Obstacle::file(path, fault, Some(stat)))),
        Err(Errno::ENOENT) => None,
        Err(_) => Some(Trouble::system(step, errno, path)),
    }
}
