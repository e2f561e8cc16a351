//! What to do at a place under its lock, after a look at it.

use crate::actor::Actor;
use crate::deleted::{self, Leads};
use crate::kernel::{Errno, FileLock, IpcId, Kernel, Wait};
use crate::key_file::KeyFile;
use crate::place::Place;
use crate::semaphore;
use crate::trouble::{Step, Trouble};

use super::look::{Look, look};
use super::room::{Content, Entered, Purpose, Room, nowhere};
use super::sweep::{remove_leftover, sweep};

/// What a look at a locked place led to.
pub(super) enum Settled<K: Kernel> {
    Entered(Entered<K>),
    /// A leftover that is in the way of our identity, but that this process can remove.
    OnlyRootCan {
        file: KeyFile<K>,
        id: IpcId,
    },
}

/// Acts on what was seen at a place: enters it, or clears a leftover first.
pub(super) fn settle<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    file: KeyFile<K>,
    looked: Look,
    purpose: Purpose,
) -> Result<Settled<K>, Trouble> {
    let room = |file, key, segment| {
        Settled::Entered(Entered::Room(Room {
            place: place.clone(),
            file,
            key,
            segment,
            obstacle: None,
        }))
    };
    let key = semaphore::usable_key(actor, &place.segment, &file.stat)?;
    match looked {
        Look::Foreign(obstacle) => {
            if file.made {
                semaphore::remove_key_file(actor, &place.segment, &file);
            }
            Err(Trouble::InTheWay(obstacle))
        }
        // A key is half a device and a quarter of an inode number: a new key file may lead to
        // the segment of another key. It is kept open until the next one has another number.
        Look::Live { changed, .. } if file.is_younger_than(changed) => {
            let next = retry_elsewhere(actor, place, &file);
            drop(file);
            next.and(Err(Trouble::Changed))
        }
        Look::Live { id, .. } => Ok(room(file, key, Content::Live(id))),
        Look::Nothing => match lost(actor, place, purpose)? {
            Some(room) => {
                semaphore::remove_key_file(actor, &place.segment, &file);
                Ok(Settled::Entered(Entered::Room(room)))
            }
            // Root's key file without a segment, found by root for its user, who can't open it.
            None if !actor.may_open(&file.stat) => Ok(Settled::OnlyRootCan { file, id: -1 }),
            None if purpose == Purpose::Create && file.is_from_the_future() => {
                semaphore::remove_key_file(actor, &place.segment, &file);
                Err(Trouble::Changed)
            }
            None if purpose == Purpose::Create => Ok(room(file, key, Content::Nothing)),
            None => {
                sweep(actor, place, file);
                Ok(Settled::Entered(nowhere(true)))
            }
        },
        Look::Leftover {
            id,
            in_the_way: true,
            ..
        } => Ok(Settled::OnlyRootCan { file, id }),
        Look::Leftover {
            id,
            stat,
            removable: false,
            ..
        } => {
            if purpose == Purpose::Create {
                Ok(room(file, key, Content::Abandoned(id, stat)))
            } else {
                Ok(Settled::Entered(nowhere(true)))
            }
        }
        Look::Leftover { id, stat, .. } => {
            if !wait_for_qt(actor, place, id) {
                // A process of real Qt was just making it.
                return Err(Trouble::Changed);
            }
            remove_leftover(actor, place, id, &stat)?;
            if purpose == Purpose::Create {
                Ok(room(file, key, Content::Nothing))
            } else {
                sweep(actor, place, file);
                Ok(Settled::Entered(nowhere(true)))
            }
        }
    }
}

/// The room of a segment that is in use although somebody deleted its key file.
pub(super) fn lost<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    purpose: Purpose,
) -> Result<Option<Room<K>>, Trouble> {
    let Some(file) = deleted::find(actor, &place.segment, Leads::ToSegment) else {
        return Ok(None);
    };
    file.take(FileLock::Exclusive, Wait::AtMost(actor.options.lock_wait))?;
    match look(actor, place, &file.stat, purpose.want())? {
        Look::Live { id, changed } if !file.is_younger_than(changed) => Ok(Some(Room {
            key: semaphore::usable_key(actor, &place.segment, &file.stat)?,
            place: place.clone(),
            file,
            segment: Content::Live(id),
            obstacle: None,
        })),
        _ => Ok(None),
    }
}

/// Makes sure that no process of real Qt is between making a segment and attaching to it: it
/// keeps Qt's lock meanwhile. Says whether the segment is still without anybody.
pub(super) fn wait_for_qt<K: Kernel>(actor: &Actor<K>, place: &Place, id: IpcId) -> bool {
    if let Some(path) = place.semaphore_to_clear() {
        let taken = semaphore::courtesy(actor, &path);
        semaphore::end_courtesy(actor, taken);
    }
    match actor.kernel.shm_stat(id) {
        Ok(stat) => stat.attached == 0,
        Err(_) => true,
    }
}

/// Gives up a new key file whose number is taken, once another file of that name has another.
fn retry_elsewhere<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    file: &KeyFile<K>,
) -> Result<(), Trouble> {
    semaphore::remove_key_file(actor, &place.segment, file);
    match actor.make_key_file(&place.segment) {
        Ok(fd) => {
            actor.kernel.close(fd);
            Ok(())
        }
        Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(Trouble::system(Step::KeyFile, errno, &place.segment)),
    }
}
