//! A System V semaphore in use, as Qt has them: one semaphore, one key file.
//!
//! Everybody who uses a semaphore holds a shared lock on its key file for as long. Whoever gets
//! that lock exclusively, without waiting, therefore knows that no other process of ours uses
//! it, and only then may its value be put right or the semaphore be removed. The kernel drops
//! the lock of a process that dies.

mod closing;
mod courtesy;
mod resolve;
mod value;

use std::path::Path;
use std::time::Duration;

use crate::actor::Actor;
use crate::deleted::{self, Leads};
use crate::kernel::{Errno, FileLock, FileStat, IpcId, IpcKey, IpcPerm, Kernel, Wait};
use crate::key_file::{KeyFile, Make};
use crate::place::Place;
use crate::trouble::{Obstacle, Step, Trouble};

pub(crate) use closing::{Clear, clear, remove_key_file};
pub(crate) use courtesy::{courtesy, courtesy_of, end_courtesy};
pub(crate) use resolve::resolve;

pub(crate) use value::is_held;

use value::{failed, is_wrong, set_value, unset};

/// How often opening begins again because others changed something meanwhile.
const ATTEMPTS: usize = 1000;

/// After so many attempts that saw a semaphore without a value, nobody is about to give it one.
const PATIENCE: usize = 20;

/// The pause between two such attempts.
const PAUSE: Duration = Duration::from_micros(100);

/// What a semaphore is for, which decides about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A segment's lock: 1 when free. Another value that nobody can be responsible for is put
    /// right. `of_new_segment`: nobody is attached, under the lifecycle lock.
    Lock { of_new_segment: bool },
    /// `QSystemSemaphore`: the value belongs to the application.
    Counter { initial: i32, reset: bool },
}

impl Role {
    /// Whether the key file is rather there or not.
    fn make(self) -> Make {
        match self {
            Role::Lock {
                of_new_segment: true,
            } => Make::First,
            _ => Make::IfMissing,
        }
    }

    /// Whether somebody may use the semaphore although its key file is new.
    fn may_be_in_use(self) -> bool {
        let Role::Lock { of_new_segment } = self else {
            return true;
        };
        !of_new_segment
    }

    /// Gives a semaphore its first value. A negative one means to leave it, which for a new
    /// semaphore is 0, and is set all the same: a semaphore that was never set has no user.
    fn start<K: Kernel>(
        self,
        kernel: &K,
        key: IpcKey,
        id: IpcId,
        new: bool,
    ) -> Result<(), Trouble> {
        match self {
            Role::Lock { .. } => set_value(kernel, key, id, 1),
            Role::Counter { initial, .. } if initial >= 0 => set_value(kernel, key, id, initial),
            Role::Counter { .. } if new => set_value(kernel, key, id, 0),
            Role::Counter { .. } => Ok(()),
        }
    }
}

/// A semaphore in use.
#[derive(Debug)]
pub(crate) struct Semaphore<K: Kernel> {
    file: KeyFile<K>,
    place: Place,
    key: IpcKey,
    id: IpcId,
    role: Role,
}

impl<K: Kernel> Semaphore<K> {
    /// Opens the semaphore of a place, or makes it and its key file.
    pub fn open(actor: &Actor<K>, place: &Place, path: &Path, role: Role) -> Result<Self, Trouble> {
        for attempt in 0..ATTEMPTS {
            place.make_directory(actor)?;
            let opened = KeyFile::open_exclusive(actor, path, role.make(), Step::SemaphoreFile);
            let mut file = match opened {
                Ok(Some(file)) => file,
                // The directory aside went with its last user.
                Err(Trouble::System {
                    errno: Errno::ENOENT,
                    ..
                }) if place.directory.is_some() && attempt < PATIENCE => {
                    continue;
                }
                Ok(None) => continue,
                Err(trouble) => return Err(trouble),
            };
            let mut key = usable_key(actor, path, &file.stat)?;
            let mut alone = file.is_exclusive();
            if !alone {
                file.take(FileLock::Shared, Wait::AtMost(actor.options.lock_wait))?;
                // Under either lock nobody of ours removes it, but before somebody may have: then
                // a semaphore made now would never be found again.
                if !file.is_in_place() {
                    continue;
                }
            }
            if alone && role.may_be_in_use() {
                if let Some((old, old_key)) = lost(actor, path, key) {
                    file.unlink();
                    old.take(FileLock::Shared, Wait::AtMost(actor.options.lock_wait))?;
                    (file, key, alone) = (old, old_key, false);
                }
            }
            let opened = if alone {
                open_alone(actor, key, role, place)
            } else {
                open_shared(actor, key, role, attempt)
            };
            let id = match opened {
                Ok(id) => id,
                Err(Trouble::Changed) => {
                    actor.kernel.pause(PAUSE);
                    continue;
                }
                Err(trouble) => {
                    // Not a file that leads to something: it could not be found again.
                    if file.made && actor.kernel.sem_find(key) == Err(Errno::ENOENT) {
                        file.unlink();
                        drop(file);
                        place.remove_directory(actor);
                    }
                    return Err(trouble);
                }
            };
            // From exclusive to shared is no single step: somebody may have removed the
            // semaphore in between, but then its key file with it.
            file.take(FileLock::Shared, Wait::AtMost(actor.options.lock_wait))?;
            if file.is_in_place() {
                file.sleep();
                return Ok(Semaphore {
                    file,
                    place: place.clone(),
                    key,
                    id,
                    role,
                });
            }
        }
        Err(Trouble::Busy(path.to_owned()))
    }

    /// The semaphore's id, for semop(2).
    pub fn id(&self) -> IpcId {
        self.id
    }
}

/// Whether there is something at the path of a semaphore's key file.
pub(crate) fn is_there<K: Kernel>(actor: &Actor<K>, path: &Path) -> bool {
    !matches!(actor.kernel.lstat(path), Err(Errno::ENOENT))
}

/// Makes sure that a semaphore could be made, without doing so: who can't have a lock must hear
/// of it when the segment is made, not when it is too late.
pub(crate) fn check_room_for_one<K: Kernel>(actor: &Actor<K>, path: &Path) -> Result<(), Trouble> {
    if actor.kernel.sem_limit_reached() {
        return Err(Trouble::system(Step::Semaphore, Errno::ENOSPC, path));
    }
    Ok(())
}

/// Where there is no semaphore yet: the key file and the key of one that is in use although
/// somebody deleted its key file.
fn lost<K: Kernel>(actor: &Actor<K>, path: &Path, key: IpcKey) -> Option<(KeyFile<K>, IpcKey)> {
    if actor.kernel.sem_find(key) != Err(Errno::ENOENT) {
        return None;
    }
    let file = deleted::find(actor, path, Leads::ToSemaphore)?;
    let key = usable_key(actor, path, &file.stat).ok()?;
    (!file.try_exclusive() && actor.kernel.sem_find(key).is_ok()).then_some((file, key))
}

/// Whether somebody is inside the lock of this key file.
pub(crate) fn is_held_at<K: Kernel>(actor: &Actor<K>, path: &Path) -> bool {
    let kernel = &actor.kernel;
    let id = kernel
        .lstat(path)
        .ok()
        .and_then(|stat| usable_key(actor, path, &stat).ok())
        .and_then(|key| kernel.sem_find(key).ok());
    id.is_some_and(|id| is_held(kernel, id))
}

/// What of a place's semaphore is in the way of our identity, if it has one.
pub(crate) fn obstacle<K: Kernel>(actor: &Actor<K>, path: &Path) -> Option<Obstacle> {
    let file = match KeyFile::open(actor, path, Make::No, Step::SemaphoreFile) {
        Ok(file) => file?,
        Err(Trouble::InTheWay(obstacle)) => return Some(obstacle),
        Err(_) => return None,
    };
    let key = usable_key(actor, path, &file.stat).ok()?;
    let id = actor.kernel.sem_find(key).ok()?;
    match check_usable(actor, key, id) {
        Err(Trouble::InTheWay(obstacle)) => Some(obstacle),
        _ => None,
    }
}

/// The key of a key file; 0 would be `IPC_PRIVATE`.
pub(crate) fn usable_key<K: Kernel>(
    actor: &Actor<K>,
    path: &Path,
    stat: &FileStat,
) -> Result<IpcKey, Trouble> {
    match actor.ipc_key(path, stat) {
        0 => Err(Trouble::system(Step::Key, Errno::EINVAL, path)),
        key => Ok(key),
    }
}

/// Opens a semaphore that no other process of ours uses.
fn open_alone<K: Kernel>(
    actor: &Actor<K>,
    key: IpcKey,
    role: Role,
    place: &Place,
) -> Result<IpcId, Trouble> {
    let kernel = &actor.kernel;
    let id = match kernel.sem_find(key) {
        Ok(id) => id,
        Err(Errno::ENOENT) => return make_and_start(actor, key, role),
        Err(errno) => return Err(failed(key, errno)),
    };
    check_usable(actor, key, id)?;
    let new = unset(kernel, id)?;
    match role {
        Role::Lock { .. } if new || is_wrong(actor, id, place) => set_value(kernel, key, id, 1)?,
        Role::Counter { reset, .. } if new || reset => role.start(kernel, key, id, new)?,
        _ => {}
    }
    Ok(id)
}

/// Opens a semaphore that others use.
fn open_shared<K: Kernel>(
    actor: &Actor<K>,
    key: IpcKey,
    role: Role,
    attempt: usize,
) -> Result<IpcId, Trouble> {
    let kernel = &actor.kernel;
    // Missing: who made the key file died before the semaphore was there. Begin again, alone.
    let id = match kernel.sem_find(key) {
        Ok(id) => id,
        Err(Errno::ENOENT) if attempt < PATIENCE => return Err(Trouble::Changed),
        // Or somebody removed it while others of ours go on using it.
        Err(Errno::ENOENT) => {
            return make_and_start(actor, key, role);
        }
        Err(errno) => return Err(failed(key, errno)),
    };
    check_usable(actor, key, id)?;
    match role {
        Role::Counter { reset: true, .. } => role.start(kernel, key, id, false)?,
        _ if unset(kernel, id)? => {
            // Made by real Qt, which gives it a value in its next step, or was killed before.
            if attempt < PATIENCE {
                return Err(Trouble::Changed);
            }
            // Or somebody whom we can't see holds it.
            if kernel.sem_was_used(id) != Ok(true) {
                role.start(kernel, key, id, true)?;
            }
        }
        _ => {}
    }
    Ok(id)
}

/// Makes a semaphore and gives it its first value.
fn make_and_start<K: Kernel>(actor: &Actor<K>, key: IpcKey, role: Role) -> Result<IpcId, Trouble> {
    let kernel = &actor.kernel;
    let made = actor.make_object(
        |mode| kernel.sem_create(key, mode),
        |id, uid, gid, mode| kernel.sem_set(id, uid, gid, mode),
    );
    let id = made.map_err(|errno| match errno {
        Errno::EEXIST => Trouble::Changed,
        errno => failed(key, errno),
    })?;
    role.start(kernel, key, id, true).inspect_err(|_| {
        let _ = kernel.sem_remove(id);
    })?;
    Ok(id)
}

/// Refuses a semaphore that our identity may not use, or that is not one of Qt's.
fn check_usable<K: Kernel>(actor: &Actor<K>, key: IpcKey, id: IpcId) -> Result<(), Trouble> {
    let in_the_way =
        |perm: Option<IpcPerm>| Trouble::InTheWay(Obstacle::Semaphore { key, id, perm });
    match actor.kernel.sem_stat(id) {
        Ok(stat) if stat.count == 1 && actor.may_use(&stat.perm, 0o6) => Ok(()),
        Ok(stat) => Err(in_the_way(Some(stat.perm))),
        Err(Errno::EACCES | Errno::EPERM) => Err(in_the_way(None)),
        Err(errno) => Err(failed(key, errno)),
    }
}

/// Whether a process is attached to the segment of this place.
pub(crate) fn segment_lives<K: Kernel>(actor: &Actor<K>, place: &Place) -> bool {
    let kernel = &actor.kernel;
    kernel
        .lstat(&place.segment)
        .ok()
        .and_then(|stat| usable_key(actor, &place.segment, &stat).ok())
        .and_then(|key| kernel.shm_find(key).ok())
        .is_some_and(|id| match kernel.shm_stat(id) {
            Ok(stat) => stat.attached > 0 && !stat.removed,
            Err(Errno::EIDRM | Errno::EINVAL) => false,
            // Not ours to look at: leave what belongs to it alone.
            Err(_) => true,
        })
}
