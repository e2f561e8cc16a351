//! Finding the one place where a key's segment is or will be, under its lifecycle lock.
//!
//! Two processes of one identity must end up in the same place, also while what was in the way
//! comes and goes. So each makes its own key file visible before it looks at the other place:
//! who goes to the machine-wide place locks it first and then looks aside; who goes aside locks
//! there first and then looks again whether the machine-wide place is still barred. A live
//! segment aside always wins, since only processes of ours are there.

use crate::actor::Actor;
use crate::kernel::{Errno, IpcId, Kernel};
use crate::key_file::{KeyFile, Make};
use crate::options::InTheWay;
use crate::place::{Place, Places};
use crate::semaphore::{self, Clear};
use crate::trouble::{Obstacle, Trouble};

use super::look::{Look, look};
use super::room::{Content, Entered, Purpose, Room, nowhere};
use super::settle::{Settled, lost, settle, wait_for_qt};
use super::sweep::{remove_leftover, sweep};

/// How often entering begins again because others changed something meanwhile.
const ATTEMPTS: usize = 1000;

/// Enters the place of a key. `barred` is what an earlier attempt found in the way.
pub(crate) fn enter<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    purpose: Purpose,
    mut barred: Option<Obstacle>,
) -> Result<Entered<K>, Trouble> {
    for _ in 0..ATTEMPTS {
        let step = match barred.take() {
            Some(obstacle) => step_aside(actor, places, purpose, obstacle),
            None => match enter_machine_wide(actor, places, purpose) {
                Err(Trouble::InTheWay(obstacle)) => step_aside(actor, places, purpose, obstacle),
                step => step,
            },
        };
        match step {
            Err(Trouble::Changed) => {}
            step => return step,
        }
    }
    Err(Trouble::Busy(places.machine.segment.to_path_buf()))
}

/// Enters the machine-wide place, or the one aside if it is in use.
fn enter_machine_wide<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    purpose: Purpose,
) -> Result<Entered<K>, Trouble> {
    let place = &places.machine;
    let file = KeyFile::lock(actor, &place.segment, purpose.make());
    // Looked at in any case, and after the machine-wide key file is ours or known to be barred.
    if let Some(room) = live_aside(actor, places, purpose)? {
        if let Ok(Some(file)) = file {
            if file.made {
                semaphore::remove_key_file(actor, &place.segment, &file);
            }
        }
        return Ok(Entered::Room(room));
    }
    let Some(file) = file? else {
        return Ok(match lost(actor, place, purpose)? {
            Some(room) => Entered::Room(room),
            None => nowhere(false),
        });
    };
    let looked = look(actor, place, &file.stat, purpose.want());
    match settle(actor, place, file, looked?, purpose)? {
        Settled::Entered(entered) => Ok(entered),
        Settled::OnlyRootCan { file, id } => clear_as_root(actor, places, purpose, file, id),
    }
}

/// The place aside, if a segment of ours is in use there. A leftover there is cleared.
fn live_aside<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    purpose: Purpose,
) -> Result<Option<Room<K>>, Trouble> {
    let place = &places.aside;
    let file = match place.is_there(actor) {
        Ok(true) => KeyFile::lock(actor, &place.segment, Make::No),
        Ok(false) => return Ok(None),
        Err(trouble) => Err(trouble),
    };
    let file = match file {
        Ok(Some(file)) => file,
        Ok(None) => {
            // Somebody was killed who had begun to make it, or to clear it.
            if let Some(path) = &place.semaphore {
                semaphore::clear(actor, path, Clear::Alone);
            }
            place.remove_directory(actor);
            return Ok(None);
        }
        // What belongs to somebody else is no place of ours.
        Err(Trouble::InTheWay(_)) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    match look(actor, place, &file.stat, purpose.want())? {
        Look::Live { id, .. } => Ok(Some(room_aside(actor, place, file, id)?)),
        Look::Leftover {
            id,
            stat,
            removable: true,
            ..
        } => {
            remove_leftover(actor, place, id, &stat)?;
            sweep(actor, place, file);
            Ok(None)
        }
        Look::Nothing => {
            sweep(actor, place, file);
            Ok(None)
        }
        Look::Leftover { .. } | Look::Foreign(_) => Ok(None),
    }
}

fn room_aside<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    file: KeyFile<K>,
    id: IpcId,
) -> Result<Room<K>, Trouble> {
    Ok(Room {
        key: semaphore::usable_key(actor, &place.segment, &file.stat)?,
        place: place.clone(),
        file,
        segment: Content::Live(id),
        obstacle: None,
    })
}

/// Enters the place aside because of `obstacle`.
fn step_aside<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    purpose: Purpose,
    obstacle: Obstacle,
) -> Result<Entered<K>, Trouble> {
    let place = &places.aside;
    if actor.options.in_the_way == InTheWay::Fail {
        return Err(Trouble::InTheWay(obstacle));
    }
    if purpose != Purpose::Create {
        return Ok(match live_aside(actor, places, purpose)? {
            Some(room) => Entered::Room(room),
            None => Entered::Nowhere {
                key_file: true,
                obstacle: Some(obstacle),
            },
        });
    }
    let file = lock_aside(actor, place)?;
    if !is_barred(actor, &places.machine, purpose) {
        if file.made {
            sweep(actor, place, file);
        }
        return Err(Trouble::Changed);
    }
    let looked = look(actor, place, &file.stat, purpose.want())?;
    match settle(actor, place, file, looked, purpose)? {
        Settled::Entered(Entered::Room(room)) => Ok(Entered::Room(Room {
            obstacle: Some(obstacle),
            ..room
        })),
        Settled::Entered(nowhere) => Ok(nowhere),
        Settled::OnlyRootCan { .. } => Err(Trouble::InTheWay(obstacle)),
    }
}

/// Locks the key file aside, made if need be, and its directory with it.
fn lock_aside<K: Kernel>(actor: &Actor<K>, place: &Place) -> Result<KeyFile<K>, Trouble> {
    for _ in 0..ATTEMPTS {
        place.make_directory(actor)?;
        match KeyFile::lock(actor, &place.segment, Make::IfMissing) {
            Ok(Some(file)) => return Ok(file),
            // The directory went with its last user.
            Ok(None)
            | Err(Trouble::System {
                errno: Errno::ENOENT,
                ..
            }) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    Err(Trouble::Busy(place.segment.to_path_buf()))
}

/// Whether our identity still can't use the machine-wide place. Looks without its lock: who
/// holds that one may be waiting for ours.
fn is_barred<K: Kernel>(actor: &Actor<K>, place: &Place, purpose: Purpose) -> bool {
    let file = match KeyFile::open(
        actor,
        &place.segment,
        Make::No,
        crate::trouble::Step::KeyFile,
    ) {
        Ok(Some(file)) => file,
        Ok(None) => return false,
        Err(trouble) => return matches!(trouble, Trouble::InTheWay(_)),
    };
    let looked = look(actor, place, &file.stat, purpose.want());
    matches!(looked, Ok(Look::Foreign(_)))
}

/// Clears a leftover of root's that is in the way of the user for whom this process of root's
/// acts. Under the lock aside too: processes of that user may be going there at this moment.
fn clear_as_root<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    purpose: Purpose,
    file: KeyFile<K>,
    id: IpcId,
) -> Result<Entered<K>, Trouble> {
    let aside = lock_aside(actor, &places.aside)?;
    match look(actor, &places.aside, &aside.stat, purpose.want())? {
        Look::Live { id, .. } => {
            return Ok(Entered::Room(room_aside(actor, &places.aside, aside, id)?));
        }
        Look::Leftover {
            id,
            stat,
            removable: true,
            ..
        } => {
            remove_leftover(actor, &places.aside, id, &stat)?;
        }
        _ => {}
    }
    if id >= 0 {
        if !wait_for_qt(actor, &places.machine, id) {
            return Err(Trouble::Changed);
        }
        match actor.kernel.shm_stat(id) {
            Ok(stat) => remove_leftover(actor, &places.machine, id, &stat)?,
            Err(_) => return Err(Trouble::Changed),
        }
    }
    // The key file goes too: its owner's user must be able to open the next one.
    sweep(actor, &places.machine, file);
    sweep(actor, &places.aside, aside);
    if purpose == Purpose::Create {
        Err(Trouble::Changed)
    } else {
        Ok(nowhere(true))
    }
}
