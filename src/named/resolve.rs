//! Which semaphore of a key is used: the machine-wide one, or the one aside.

use crate::actor::Actor;
use crate::kernel::Kernel;
use crate::key_file::fault;
use crate::notes;
use crate::options::InTheWay;
use crate::place::{Place, Places};
use crate::trouble::{FileFault, Obstacle, Step, Trouble};

use super::file::{File, perm_of};
use super::look::ATTACHED;
use super::semaphore::{Role, Semaphore, clear, path_of};

/// How often opening begins again because others changed something meanwhile.
const ATTEMPTS: usize = 1000;

/// Opens the machine-wide semaphore, or the one aside: where that is in use, or where what stands
/// at the machine-wide place belongs to somebody else.
///
/// As for segments, each first makes visible that it uses its place, then looks at the other: so
/// no two processes of one identity use different ones. Who is the first one aside looks while the
/// file there is locked, and who follows others goes only where they still are: so nobody follows
/// one that is about to turn back.
pub(crate) fn resolve<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    role: Role,
    mut page: Option<usize>,
) -> Result<Semaphore<K>, Trouble> {
    for _ in 0..ATTEMPTS {
        match Semaphore::open(actor, &places.machine, role, page) {
            Ok(semaphore) => {
                if !is_in_use(actor, &places.aside) {
                    return Ok(semaphore);
                }
                page = semaphore.close(actor);
                let are_there = || is_attached(actor, &places.aside);
                let followed = Semaphore::open_if(actor, &places.aside, role, page, are_there)?;
                if let Some(semaphore) = followed {
                    say("others of ours are there", &places.aside);
                    return Ok(semaphore);
                }
            }
            Err(Trouble::InTheWay(in_the_way)) => {
                if actor.options.in_the_way == InTheWay::Fail {
                    return Err(Trouble::InTheWay(in_the_way));
                }
                let is_barred = || is_barred(actor, &places.machine);
                let opened = Semaphore::open_if(actor, &places.aside, role, page, is_barred)?;
                if let Some(semaphore) = opened {
                    say(&in_the_way.to_string(), &places.aside);
                    return Ok(semaphore);
                }
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Err(Trouble::Busy(places.machine.segment.to_path_buf()))
}

/// What is in the way of a segment's lock, by the policy by which a program would rather not start:
/// Qt opens the semaphore with the segment, here that has time until somebody locks.
pub(crate) fn refused<K: Kernel>(actor: &Actor<K>, places: &Places) -> Option<Trouble> {
    if actor.options.in_the_way != InTheWay::Fail {
        return None;
    }
    let path = path_of(&places.machine);
    let stat = actor.kernel.lstat(path).ok()?;
    let fault = match fault(actor, &stat) {
        None if actor.may_use(&perm_of(&stat), 0o6) => return None,
        fault => fault.unwrap_or(FileFault::Foreign),
    };
    Some(Trouble::InTheWay(Obstacle::file(path, fault, Some(stat))))
}

/// Says in the log that a semaphore is not the one that others of the key use.
fn say(why: &str, aside: &Place) {
    let text = format!("{why}; stepped aside to {}", path_of(aside).display());
    notes::warn(notes::QSHM, text);
}

/// Whether our identity may not use what is at a place.
fn is_barred<K: Kernel>(actor: &Actor<K>, place: &Place) -> bool {
    match File::lock(actor, path_of(place), true, Step::Semaphore) {
        Ok(Some(file)) => !actor.may_use(&perm_of(&file.stat), 0o6),
        Ok(None) => false,
        Err(trouble) => matches!(trouble, Trouble::InTheWay(_)),
    }
}

/// Whether a process of ours uses the semaphore, or the segment, of a place. What a crash left
/// there is cleared.
fn is_in_use<K: Kernel>(actor: &Actor<K>, place: &Place) -> bool {
    if !place.is_there(actor).unwrap_or(false) {
        return false;
    }
    if is_attached(actor, place) || clear(actor, place) {
        return true;
    }
    place.remove_directory(actor);
    false
}

/// Whether a process of ours is attached to the segment of a place.
fn is_attached<K: Kernel>(actor: &Actor<K>, place: &Place) -> bool {
    match File::lock(actor, &place.segment, false, Step::Segment) {
        Ok(Some(file)) => file.locked(ATTACHED).is_ok_and(|by| by.is_some()),
        _ => false,
    }
}
