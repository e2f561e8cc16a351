//! Which of a key's two semaphores to use when no segment decides it.

use std::path::Path;

use crate::actor::Actor;
use crate::kernel::Kernel;
use crate::key_file::{KeyFile, Make};
use crate::notes;
use crate::options::InTheWay;
use crate::place::{Place, Places};
use crate::trouble::{Step, Trouble};

use super::{ATTEMPTS, Clear, Role, Semaphore, clear, obstacle, segment_lives};

/// Opens the machine-wide semaphore, or the one aside: where that is in use, or where what
/// stands at the machine-wide place belongs to somebody else.
///
/// As for segments, each first makes visible that it uses its place, then looks at the other:
/// so no two processes of one identity use different ones.
pub(crate) fn resolve<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    role: Role,
) -> Result<Semaphore<K>, Trouble> {
    let (Some(machine), Some(aside)) = (&places.machine.semaphore, &places.aside.semaphore) else {
        return Err(Trouble::Busy(places.machine.segment.to_path_buf()));
    };
    for _ in 0..ATTEMPTS {
        match Semaphore::open(actor, &places.machine, machine, role) {
            Ok(semaphore) => {
                if !is_in_use(actor, &places.aside) {
                    return Ok(semaphore);
                }
                semaphore.close(actor);
                let semaphore = Semaphore::open(actor, &places.aside, aside, role)?;
                say("others of ours are there", aside);
                return Ok(semaphore);
            }
            Err(Trouble::InTheWay(in_the_way)) => {
                if actor.options.in_the_way == InTheWay::Fail {
                    return Err(Trouble::InTheWay(in_the_way));
                }
                let semaphore = Semaphore::open(actor, &places.aside, aside, role)?;
                if obstacle(actor, machine).is_some() {
                    say(&in_the_way.to_string(), aside);
                    return Ok(semaphore);
                }
                semaphore.close(actor);
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Err(Trouble::Busy(machine.to_path_buf()))
}

/// Says in the log that a semaphore is not the one that others of the key use.
fn say(why: &str, aside: &Path) {
    let text = format!("{why}; stepped aside to {}", aside.display());
    notes::warn(notes::QSHM, text);
}

/// Whether a process of ours uses the place aside. What a crash left there is cleared.
fn is_in_use<K: Kernel>(actor: &Actor<K>, place: &Place) -> bool {
    let Some(path) = place.semaphore.as_deref() else {
        return false;
    };
    if !place.is_there(actor).unwrap_or(false) {
        return false;
    }
    if segment_lives(actor, place) {
        return true;
    }
    match KeyFile::open(actor, path, Make::No, Step::SemaphoreFile) {
        Ok(Some(file)) if !file.try_exclusive() => true,
        Ok(Some(file)) => {
            drop(file);
            clear(actor, path, Clear::Alone);
            place.remove_directory(actor);
            false
        }
        _ => false,
    }
}
