//! Finding the one place where a key's segment is or will be.
//!
//! As with System V (`crate::segment`): who goes to the machine-wide place has its file there
//! first, locked, and then looks aside; who goes aside has its file there first, and then looks
//! again whether the machine-wide place is still barred. A live segment aside always wins, since
//! only processes of ours are there.

use crate::actor::Actor;
use crate::kernel::{Errno, Kernel};
use crate::notes;
use crate::options::InTheWay;
use crate::place::{Place, Places};
use crate::trouble::{FileFault, Obstacle, Step, Trouble};

use super::file::{File, Others, perm_of};
use super::glance::Glance;
use super::look::{ATTACHED, Look, look};
use super::semaphore::{self, Qt};

/// How often a directory that goes with its last user is made anew.
const ATTEMPTS: usize = 1000;

/// What making led to.
pub(super) enum Made<'a, K: Kernel> {
    /// A new segment, not yet attached.
    New {
        place: &'a Place,
        file: File<K>,
        /// What is in the way of the machine-wide place, if this is the one aside.
        obstacle: Option<Obstacle>,
    },
    /// There is one in use.
    Exists,
}

/// What looking for one led to.
pub(super) enum Joined<'a, K: Kernel> {
    Live { place: &'a Place, file: File<K> },
    Nothing(Option<Obstacle>),
}

/// Makes a segment where there is none.
pub(super) fn make<'a, K: Kernel>(
    actor: &Actor<K>,
    places: &'a Places,
    size: usize,
) -> Result<Made<'a, K>, Trouble> {
    match make_machine_wide(actor, places, size) {
        Err(Trouble::InTheWay(obstacle)) => {
            if actor.options.in_the_way == InTheWay::Fail {
                return Err(Trouble::InTheWay(obstacle));
            }
            make_aside(actor, places, size, obstacle)
        }
        made => made,
    }
}

fn make_machine_wide<'a, K: Kernel>(
    actor: &Actor<K>,
    places: &'a Places,
    size: usize,
) -> Result<Made<'a, K>, Trouble> {
    let place = &places.machine;
    let file = match lock(actor, place, true) {
        Ok(None) => new_file(actor, place, size).map(Some),
        file => file,
    };
    // Looked at in any case, and after the machine-wide file is ours or known to be barred.
    let aside = live_aside(actor, places, true);
    if !matches!(aside, Ok(None)) {
        if let Ok(Some(file)) = file {
            if file.made {
                file.unlink();
            }
        }
        return aside.map(|_| Made::Exists);
    }
    match file? {
        Some(file) => settle(actor, place, file, None),
        None => Err(Trouble::Changed),
    }
}

/// Makes one aside, because of `obstacle`.
fn make_aside<'a, K: Kernel>(
    actor: &Actor<K>,
    places: &'a Places,
    size: usize,
    obstacle: Obstacle,
) -> Result<Made<'a, K>, Trouble> {
    let place = &places.aside;
    for _ in 0..ATTEMPTS {
        place.make_directory(actor)?;
        let file = match lock(actor, place, true) {
            Ok(None) => new_file(actor, place, size),
            file => file.and_then(|file| file.ok_or(Trouble::Changed)),
        };
        let file = match file {
            // The directory went with its last user.
            Err(Trouble::System {
                errno: Errno::ENOENT,
                ..
            }) => continue,
            file => file?,
        };
        if !is_barred(actor, &places.machine) {
            if file.made {
                file.unlink();
                place.remove_directory(actor);
            }
            return Err(Trouble::Changed);
        }
        return settle(actor, place, file, Some(obstacle));
    }
    Err(Trouble::Busy(place.segment.to_path_buf()))
}

/// Acts on what a file says that is ours, or was there: where nobody uses it, a new one is made in
/// the next attempt.
fn settle<'a, K: Kernel>(
    actor: &Actor<K>,
    place: &'a Place,
    file: File<K>,
    obstacle: Option<Obstacle>,
) -> Result<Made<'a, K>, Trouble> {
    if file.made {
        return Ok(Made::New {
            place,
            file,
            obstacle,
        });
    }
    match look(actor, place, &file, 0o6)? {
        Look::Live => Ok(Made::Exists),
        Look::Foreign(obstacle) => Err(Trouble::InTheWay(obstacle)),
        Look::Leftover => {
            clear_leftover(actor, place, &file)?;
            Err(Trouble::Changed)
        }
    }
}

/// Finds a segment that is in use.
pub(super) fn find<'a, K: Kernel>(
    actor: &Actor<K>,
    places: &'a Places,
    read_only: bool,
) -> Result<Joined<'a, K>, Trouble> {
    let place = &places.machine;
    let file = lock(actor, place, !read_only);
    if let Some(file) = live_aside(actor, places, !read_only)? {
        return Ok(Joined::Live {
            place: &places.aside,
            file,
        });
    }
    let want = if read_only { 0o4 } else { 0o6 };
    let looked = file.and_then(|file| {
        let looked = file.as_ref().map(|file| look(actor, place, file, want));
        Ok((file, looked.transpose()?))
    });
    match looked {
        Ok((Some(file), Some(Look::Live))) if file.stat.size == 0 => {
            if is_just_made(actor, place, &file) {
                return Err(Trouble::Changed);
            }
            Ok(Joined::Live { place, file })
        }
        Ok((Some(file), Some(Look::Live))) => Ok(Joined::Live { place, file }),
        Ok((Some(file), Some(Look::Leftover))) => {
            clear_leftover(actor, place, &file)?;
            drop(file);
            semaphore::clear(actor, place);
            Ok(Joined::Nothing(None))
        }
        Ok((_, Some(Look::Foreign(obstacle)))) | Err(Trouble::InTheWay(obstacle)) => {
            if actor.options.in_the_way == InTheWay::Fail {
                return Err(Trouble::InTheWay(obstacle));
            }
            Ok(Joined::Nothing(Some(obstacle)))
        }
        Ok(_) => Ok(Joined::Nothing(None)),
        Err(trouble) => Err(trouble),
    }
}

fn lock<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    write: bool,
) -> Result<Option<File<K>>, Trouble> {
    File::lock(actor, &place.segment, write, Step::Segment)
}

fn new_file<K: Kernel>(actor: &Actor<K>, place: &Place, size: usize) -> Result<File<K>, Trouble> {
    File::make(actor, &place.segment, size as u64, b"", Step::Segment)?.ok_or(Trouble::Changed)
}

/// The segment aside, if one of ours is in use there. A leftover there is cleared.
fn live_aside<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    write: bool,
) -> Result<Option<File<K>>, Trouble> {
    let place = &places.aside;
    let file = match place.is_there(actor) {
        Ok(true) => lock(actor, place, write),
        Ok(false) => return Ok(None),
        Err(trouble) => Err(trouble),
    };
    let file = match file {
        Ok(file) => file,
        // What belongs to somebody else is no place of ours.
        Err(Trouble::InTheWay(_)) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    if let Some(file) = file {
        match look(actor, place, &file, 0o6)? {
            Look::Live => return Ok(Some(file)),
            Look::Leftover => clear_leftover(actor, place, &file)?,
            Look::Foreign(_) => return Ok(None),
        }
    }
    // Also where somebody was killed who had begun to make it, or to clear it.
    semaphore::clear(actor, place);
    place.remove_directory(actor);
    Ok(None)
}

/// Whether our identity still can't use the machine-wide place, as [`look`] would find. Does not
/// wait for its lock: who holds that one may be waiting for ours.
fn is_barred<K: Kernel>(actor: &Actor<K>, place: &Place) -> bool {
    let kernel = &actor.kernel;
    let glance = match Glance::at(kernel, &place.segment, true) {
        Ok(glance) => glance,
        Err(Errno::EAGAIN) => return true,
        Err(_) => return !matches!(kernel.lstat(&place.segment), Err(Errno::ENOENT)),
    };
    let Ok(stat) = kernel.fstat(glance.fd) else {
        return false;
    };
    if stat.links == 0 {
        return false;
    }
    let euid = kernel.geteuid();
    let removable = euid == 0 || stat.uid == euid;
    let attached = kernel.range_holder(glance.fd, ATTACHED) != Ok(None);
    drop(glance);
    if !actor.options.access.trusts_file(&actor.identity, &stat) {
        true
    } else if actor.may_use(&perm_of(&stat), 0o6) {
        // If not, others may use it who can't be seen.
        !removable && !attached
    } else {
        !removable || attached || is_in_other_hands(actor, place)
    }
}

/// Whether processes of real Qt use a segment that our identity may not use, or somebody is at work
/// on it: then it may be gone the next moment, but who makes a new one looks aside after that.
fn is_in_other_hands<K: Kernel>(actor: &Actor<K>, place: &Place) -> bool {
    match File::lock_now(actor, &place.segment) {
        Ok(Some(file)) => file.others(place) != Others::None,
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Whether a segment without a size is one that a process of real Qt is just making, which is
/// waited for, and not one that somebody truncated.
fn is_just_made<K: Kernel>(actor: &Actor<K>, place: &Place, file: &File<K>) -> bool {
    let begin = actor.kernel.clock();
    for _ in 0..ATTEMPTS {
        let qt = semaphore::wait_for_qt(actor, place);
        if actor.kernel.fstat(file.fd).is_ok_and(|now| now.size > 0) {
            return true;
        }
        let waited = actor.kernel.clock().saturating_sub(begin);
        if qt != Qt::Inside || waited >= actor.options.lock_wait {
            return false;
        }
    }
    false
}

/// Whether nobody uses a segment: asked once more after a process of real Qt that may have been
/// about to attach has had its turn.
/// `semaphore`: whether there is one, by which Qt's processes take turns.
pub(super) fn is_abandoned<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    file: &File<K>,
    semaphore: bool,
) -> bool {
    let unused =
        || file.locked(ATTACHED).is_ok_and(|by| by.is_none()) && file.others(place) == Others::None;
    unused() && (!semaphore || semaphore::wait_for_qt(actor, place) == Qt::NoSemaphore || unused())
}

/// Removes a segment that nobody uses, and says so in the log.
fn clear_leftover<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    file: &File<K>,
) -> Result<(), Trouble> {
    if semaphore::wait_for_qt(actor, place) != Qt::NoSemaphore
        && !is_abandoned(actor, place, file, false)
    {
        // A process of real Qt was just making it.
        return Err(Trouble::Changed);
    }
    match file.unlink_unused(place) {
        Ok(()) => {
            let text = format!(
                "cleared a segment that nobody is attached to: {} (owner uid {})",
                file.path.display(),
                file.stat.uid
            );
            notes::warn(notes::QSHM, text);
            Ok(())
        }
        Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EAGAIN) => Err(Trouble::Changed),
        Err(_) => {
            let stat = Some(file.stat);
            let obstacle = Obstacle::file(&file.path, FileFault::Foreign, stat);
            Err(Trouble::InTheWay(obstacle))
        }
    }
}
