//! Removing what nobody uses, under the lifecycle lock.

use crate::actor::Actor;
use crate::kernel::{Errno, IpcId, Kernel, ShmStat};
use crate::key_file::KeyFile;
use crate::notes;
use crate::place::Place;
use crate::semaphore::{self, Clear};
use crate::trouble::{Obstacle, Trouble};

/// Removes a segment that nobody is attached to, and says so in the log.
pub(crate) fn remove_leftover<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    id: IpcId,
    stat: &ShmStat,
) -> Result<(), Trouble> {
    match actor.kernel.shm_remove(id) {
        // Its last user is about to clear it itself.
        Ok(()) if actor.kernel.is_alive(stat.last_pid) => Ok(()),
        Ok(()) => {
            notes::warn(
                notes::QSHM,
                format!(
                    "cleared what a crash left: segment of {} (shmid {id}, owner uid {}, last used by pid {})",
                    place.segment.display(),
                    stat.perm.uid,
                    stat.last_pid,
                ),
            );
            Ok(())
        }
        // Somebody else did it.
        Err(Errno::EIDRM | Errno::EINVAL) => Ok(()),
        Err(_) => Err(Trouble::InTheWay(Obstacle::Segment {
            key: 0,
            id,
            perm: Some(stat.perm),
        })),
    }
}

/// Removes what is left at a place that has no segment any more: the semaphore unless somebody
/// uses it, and the key files, each after its object. Gives the lifecycle lock back.
///
/// Where a process of real Qt is about to make a segment, which it does under Qt's lock, the
/// key file stays; so does that of a segment that we can't remove.
pub(crate) fn sweep<K: Kernel>(actor: &Actor<K>, place: &Place, file: KeyFile<K>) {
    let semaphore = place.semaphore_to_clear();
    let path = semaphore.as_deref();
    let taken = path.and_then(|path| semaphore::courtesy(actor, path));
    let empty = semaphore::usable_key(actor, &place.segment, &file.stat)
        .is_ok_and(|key| actor.kernel.shm_find(key) == Err(Errno::ENOENT));
    let free = path.is_none_or(|path| taken.is_some() || !semaphore::is_held_at(actor, path));
    if empty && free {
        if let Some(path) = path {
            semaphore::clear(actor, path, Clear::UnderLock { held: true });
        }
        file.unlink();
    }
    semaphore::end_courtesy(actor, taken);
    if let (true, true, Some(path)) = (empty, free, path) {
        // Somebody who closed it meanwhile may have left it to us, who seemed to hold it.
        semaphore::clear(actor, path, Clear::UnderLock { held: false });
    }
    drop(file);
    place.remove_directory(actor);
}
