//! The end of a semaphore: whoever is the last of ours to use it removes it.

use std::path::Path;

use crate::actor::Actor;
use crate::kernel::{Errno, IpcId, IpcKey, Kernel};
use crate::key_file::{KeyFile, Make};
use crate::place::Place;
use crate::trouble::Step;

use super::value::is_held;
use super::{Role, Semaphore, usable_key};

impl<K: Kernel> Semaphore<K> {
    /// Stops using it. The last one out removes it, unless a process of real Qt is inside the
    /// lock or waits for it. One that only has it open makes it anew, as it does when a creator
    /// of its own kind leaves; were it kept for that one, nobody would remove it in the end.
    pub fn close(self, actor: &Actor<K>) {
        let place = self.place.clone();
        if self.leave(actor) {
            clear_segment_file(actor, &place);
            place.remove_directory(actor);
        }
    }

    /// The same under the segment's lifecycle lock, which leaves the rest to its holder. Says
    /// whether the semaphore is gone.
    pub fn leave(self, actor: &Actor<K>) -> bool {
        let Ok(file) = self.file.awakened() else {
            return false;
        };
        if !file.try_exclusive_as_last(actor) {
            return false;
        }
        let held = matches!(self.role, Role::Lock { .. }) && is_held(&actor.kernel, self.id);
        let waiting = actor.kernel.sem_waiting(self.id);
        // If not, the lock is given back at once, for whoever leaves next. (A forked child that has
        // the same open file then counts as no user; what it may lose it makes anew.)
        let gone =
            !held && waiting.unwrap_or(0) == 0 && remove(actor, &file, self.key, self.id, false);
        drop(file);
        if gone {
            // Which may be aside although the segment is not.
            self.place.remove_directory(actor);
        }
        gone
    }
}

/// Removes a semaphore and its key file, in this order: a semaphore without a key file can't be
/// found again. Says whether it is gone.
/// `lifecycle`: under the lifecycle lock of the file.
fn remove<K: Kernel>(
    actor: &Actor<K>,
    file: &KeyFile<K>,
    key: IpcKey,
    id: IpcId,
    lifecycle: bool,
) -> bool {
    let leads_to = actor.kernel.sem_find(key);
    match actor.kernel.sem_remove(id) {
        Ok(()) | Err(Errno::EINVAL | Errno::EIDRM) => {}
        // Another user's, of a policy that shares: its owner clears it.
        Err(_) => return false,
    }
    // The key may lead to another one by now, made by real Qt after ours was removed.
    let ours = leads_to == Ok(id) || leads_to == Err(Errno::ENOENT);
    if ours {
        file.unlink_under(lifecycle);
    }
    ours
}

/// Removes a segment's key file without a segment. Who detached last left it there if the lock
/// was held, since that may be a process of real Qt that is making a segment.
fn clear_segment_file<K: Kernel>(actor: &Actor<K>, place: &Place) {
    // One file for both: who has its lock at this moment may leave it to us.
    let opened = if actor.one_file {
        KeyFile::lock(actor, &place.segment, Make::No)
    } else {
        KeyFile::open(actor, &place.segment, Make::No, Step::KeyFile)
    };
    let Ok(Some(file)) = opened else {
        return;
    };
    if file.is_exclusive() || file.try_exclusive() {
        let empty = usable_key(actor, &place.segment, &file.stat)
            .is_ok_and(|key| actor.kernel.shm_find(key) == Err(Errno::ENOENT));
        if empty {
            remove_key_file(actor, &place.segment, &file);
        }
    }
}

/// Removes the key file of a segment that is gone, under its lock. Where it is the semaphore's as
/// well, that goes first, if nobody uses it: who closed it meanwhile may have left it to us.
pub(crate) fn remove_key_file<K: Kernel>(actor: &Actor<K>, path: &Path, file: &KeyFile<K>) {
    if actor.one_file {
        clear(actor, path, Clear::UnderLock { held: false });
    } else {
        file.unlink();
    }
}

/// What of its surroundings is ours while a semaphore is cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clear {
    /// Nothing.
    Alone,
    /// The segment's lifecycle lock. `held`: and it is we who keep the semaphore at 0.
    UnderLock { held: bool },
}

/// Clears a semaphore that nobody uses, and its key file, by a path alone.
pub(crate) fn clear<K: Kernel>(actor: &Actor<K>, path: &Path, how: Clear) {
    let lifecycle = how != Clear::Alone;
    let held = how == Clear::UnderLock { held: true };
    let Ok(Some(file)) = KeyFile::open(actor, path, Make::No, Step::SemaphoreFile) else {
        return;
    };
    if !file.try_exclusive_as_last(actor) || !file.is_in_place() {
        return;
    }
    let Ok(key) = usable_key(actor, path, &file.stat) else {
        return;
    };
    match actor.kernel.sem_find(key) {
        Ok(id) => {
            let waited_for = actor.kernel.sem_waiting(id).is_ok_and(|count| count > 0);
            if waited_for || !held && is_held(&actor.kernel, id) {
                return;
            }
            remove(actor, &file, key, id, lifecycle);
        }
        Err(Errno::ENOENT) => file.unlink_under(lifecycle),
        Err(_) => {}
    }
}
