//! A segment that this process has attached.

use crate::actor::Actor;
use crate::kernel::{Errno, FileLock, IpcId, IpcKey, Kernel, ShmStat, Wait};
use crate::key_file::KeyFile;
use crate::notes;
use crate::options::{InTheWay, Leftover};
use crate::place::{Place, Places};
use crate::semaphore::{self, Role, Semaphore};
use crate::trouble::{Obstacle, Step, Trouble};

use super::enter::enter;
use super::room::{Content, Entered, Purpose, Room};
use super::sweep::sweep;

/// How often making or attaching begins again because others changed something meanwhile.
const ATTEMPTS: usize = 100;

/// An attached segment. The key file stays open, so that its inode number, of which the key is
/// made, is not given to another file while the segment lives.
#[derive(Debug)]
pub(crate) struct Attached<K: Kernel> {
    place: Place,
    file: KeyFile<K>,
    key: IpcKey,
    id: IpcId,
    address: usize,
    size: usize,
}

/// What `create()` came to.
#[derive(Debug)]
pub(crate) enum Created<K: Kernel> {
    /// A new segment, and its semaphore, if the key has one.
    New(Attached<K>, Option<Semaphore<K>>),
    /// There is one already.
    Exists,
}

/// What `attach()` came to.
#[derive(Debug)]
pub(crate) enum Found<K: Kernel> {
    /// A segment in use.
    Segment(Attached<K>),
    /// There is none that we may use.
    Nothing {
        /// Whether there was a key file.
        key_file: bool,
        /// What is in the way of a segment that we may not use.
        obstacle: Option<Obstacle>,
    },
}

impl<K: Kernel> Attached<K> {
    /// Makes a segment of `size` bytes, all zero, and attaches to it.
    pub fn create(
        actor: &Actor<K>,
        places: &Places,
        size: usize,
        read_only: bool,
    ) -> Result<Created<K>, Trouble> {
        let mut barred = None;
        for _ in 0..ATTEMPTS {
            let Entered::Room(room) = enter(actor, places, Purpose::Create, barred.take())? else {
                continue;
            };
            if let Content::Live(_) = room.segment {
                return Ok(Created::Exists);
            }
            let obstacle = room.obstacle.clone();
            let aside = room.place.directory.clone();
            match make(actor, room, size, read_only) {
                Ok((attached, semaphore)) => {
                    if let (Some(obstacle), Some(directory)) = (obstacle, aside) {
                        let text = format!("{obstacle}; stepped aside to {}", directory.display());
                        notes::warn(notes::QSHM, text);
                    }
                    return Ok(Created::New(attached, semaphore));
                }
                Err(Trouble::InTheWay(obstacle))
                    if aside.is_none() && actor.options.in_the_way == InTheWay::StepAside =>
                {
                    barred = Some(obstacle);
                }
                Err(Trouble::Changed) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        Err(Trouble::Busy(places.machine.segment.to_path_buf()))
    }

    /// Attaches to a segment that is in use.
    pub fn attach(actor: &Actor<K>, places: &Places, read_only: bool) -> Result<Found<K>, Trouble> {
        let want = if read_only { 0o4 } else { 0o6 };
        for _ in 0..ATTEMPTS {
            let room = match enter(actor, places, Purpose::Attach { want }, None)? {
                Entered::Room(room) => room,
                Entered::Nowhere { key_file, obstacle } => {
                    return Ok(Found::Nothing { key_file, obstacle });
                }
            };
            let Content::Live(id) = room.segment else {
                continue;
            };
            let mapped = match actor.options.leftover {
                // Besides us there is the one whom we join. Alone, we have come too late: a
                // process of real Qt was the last out, and may be about to remove it.
                Leftover::Discard => map(actor, &room, id, read_only, 2),
                Leftover::Keep => {
                    let courtesy = courtesy(actor, &room.place);
                    let mapped = map(actor, &room, id, read_only, 1);
                    semaphore::end_courtesy(actor, courtesy);
                    mapped
                }
            };
            match mapped {
                Ok((address, size)) => {
                    return Ok(Found::Segment(room.left_with(id, address, size)));
                }
                Err(Trouble::Changed) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        Err(Trouble::Busy(places.machine.segment.to_path_buf()))
    }

    /// The address of the first byte.
    pub fn address(&self) -> usize {
        self.address
    }

    /// The size in bytes, as it was asked for at creation.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Where the segment is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Detaches. The last process out removes the segment, its semaphore and both key files;
    /// then the semaphore is gone, else it is given back.
    pub fn detach(self, actor: &Actor<K>, semaphore: Option<Semaphore<K>>) -> Option<Semaphore<K>> {
        let kernel = &actor.kernel;
        let Attached {
            place,
            file,
            key,
            id,
            address,
            ..
        } = self;
        // Without the lock: most are not the last. Whoever starts before we have it clears up
        // for us.
        let _ = kernel.shm_detach(address);
        if !is_last(kernel, id) {
            return semaphore;
        }
        let locked = file.awakened().and_then(|file| {
            file.take(FileLock::Exclusive, Wait::AtMost(actor.options.lock_wait))?;
            Ok(file)
        });
        let Ok(file) = locked else {
            // Whoever keeps others from ending would keep us too. The next one clears up.
            return semaphore;
        };
        let beside = place.semaphore_to_clear();
        let beside = beside.filter(|path| semaphore::is_there(actor, path));
        // A process of real Qt may be joining.
        let courtesy = match (&semaphore, &beside) {
            (Some(semaphore), _) => semaphore::courtesy_of(actor, semaphore.id()),
            (None, Some(path)) => semaphore::courtesy(actor, path),
            (None, None) => None,
        };
        let gone = is_last(kernel, id) && is_gone(kernel.shm_remove(id));
        // Given back before the semaphore is: who closes it at the same time must not take it for
        // held and leave it to us, when we leave it to him.
        semaphore::end_courtesy(actor, courtesy);
        if !gone || kernel.shm_find(key) != Err(Errno::ENOENT) {
            file.release();
            return semaphore;
        }
        if semaphore.map_or(beside.is_none(), |semaphore| semaphore.leave(actor)) {
            semaphore::remove_key_file(actor, &place.segment, &file);
            drop(file);
            place.remove_directory(actor);
        } else {
            sweep(actor, &place, file);
        }
        None
    }
}

/// Whether nobody is attached to a segment, or it is gone.
fn is_last<K: Kernel>(kernel: &K, id: IpcId) -> bool {
    match kernel.shm_stat(id) {
        Ok(stat) => stat.attached == 0,
        Err(errno) => is_gone(Err(errno)),
    }
}

/// Whether an object is gone after a call on it.
fn is_gone(answer: Result<(), Errno>) -> bool {
    matches!(answer, Ok(()) | Err(Errno::EIDRM | Errno::EINVAL))
}

impl<K: Kernel> Room<K> {
    /// Leaves the room, attached to its segment.
    fn left_with(self, id: IpcId, address: usize, size: usize) -> Attached<K> {
        self.file.release();
        self.file.sleep();
        Attached {
            place: self.place,
            file: self.file,
            key: self.key,
            id,
            address,
            size,
        }
    }
}

/// Takes Qt's own lock of a place, see [`semaphore::courtesy`].
fn courtesy<K: Kernel>(actor: &Actor<K>, place: &Place) -> Option<IpcId> {
    semaphore::courtesy(actor, &place.semaphore_to_clear()?)
}

/// Attaches to the segment of a room, and makes sure that it is still the one that the key leads
/// to: a process of real Qt, which knows no lifecycle lock, may have removed it. `attached` is
/// how many are attached then at least. Address and size.
fn map<K: Kernel>(
    actor: &Actor<K>,
    room: &Room<K>,
    id: IpcId,
    read_only: bool,
    attached: u64,
) -> Result<(usize, usize), Trouble> {
    let kernel = &actor.kernel;
    let failed = |errno| match errno {
        Errno::EIDRM | Errno::EINVAL => Trouble::Changed,
        errno => Trouble::system(Step::Attach, errno, &room.place.segment),
    };
    let address = kernel.shm_attach(id, read_only).map_err(failed)?;
    // Real Qt removes the key file only with the segment, and that only when nobody is attached.
    let is_found = |stat: &ShmStat| stat.attached > 1 || room.file.is_in_place();
    let stat = kernel.shm_stat(id).map_err(failed).and_then(|stat| {
        if stat.removed || stat.attached < attached || !is_found(&stat) {
            Err(Trouble::Changed)
        } else {
            Ok(stat)
        }
    });
    match stat {
        Ok(stat) => Ok((address, stat.size)),
        Err(trouble) => {
            let _ = kernel.shm_detach(address);
            Err(trouble)
        }
    }
}

/// Makes a segment in a room that has none. On failure nothing of it stays.
///
/// The semaphore is made when somebody first locks; many never do. One that is there already is
/// opened, since only now, with nobody attached, a wrong value can be put right. Somebody else's
/// is in the way of the lock alone, which then goes aside.
fn make<K: Kernel>(
    actor: &Actor<K>,
    room: Room<K>,
    size: usize,
    read_only: bool,
) -> Result<(Attached<K>, Option<Semaphore<K>>), Trouble> {
    let semaphore = room
        .place
        .semaphore
        .as_deref()
        .filter(|path| semaphore::is_there(actor, path))
        .map(|path| {
            Semaphore::open(
                actor,
                &room.place,
                path,
                Role::Lock {
                    of_new_segment: true,
                },
            )
        })
        .transpose();
    let step_aside = actor.options.in_the_way == InTheWay::StepAside;
    let lockable = match semaphore {
        Ok(None) if room.place.semaphore.is_some() => {
            semaphore::check_room_for_one(actor, &room.place.segment).map(|()| None)
        }
        Err(Trouble::InTheWay(_)) if step_aside => Ok(None),
        semaphore => semaphore,
    };
    let semaphore = match lockable {
        Ok(semaphore) => semaphore,
        Err(trouble) => {
            sweep(actor, &room.place, room.file);
            return Err(trouble);
        }
    };
    // While there is no semaphore, no process of real Qt is making or removing a segment.
    let courtesy = match &semaphore {
        Some(semaphore) => semaphore::courtesy_of(actor, semaphore.id()),
        None if room.place.semaphore.is_none() => courtesy(actor, &room.place),
        None => None,
    };
    let made =
        make_segment(actor, &room, size).and_then(|id| match map(actor, &room, id, read_only, 1) {
            Ok((address, size)) => Ok((id, address, size)),
            Err(trouble) => {
                let _ = actor.kernel.shm_remove(id);
                Err(trouble)
            }
        });
    semaphore::end_courtesy(actor, courtesy);
    match made {
        Ok((id, address, size)) => Ok((room.left_with(id, address, size), semaphore)),
        Err(trouble) => {
            if let Some(semaphore) = semaphore {
                semaphore.leave(actor);
            }
            if !semaphore::segment_lives(actor, &room.place) {
                sweep(actor, &room.place, room.file);
            }
            Err(trouble)
        }
    }
}

fn make_segment<K: Kernel>(
    actor: &Actor<K>,
    room: &Room<K>,
    size: usize,
) -> Result<IpcId, Trouble> {
    let kernel = &actor.kernel;
    if let Content::Abandoned(id, stat) = room.segment {
        return take_over(actor, room, id, &stat, size);
    }
    actor
        .make_object(
            |mode| kernel.shm_create(room.key, size, mode),
            |id, uid, gid, mode| kernel.shm_set(id, uid, gid, mode),
        )
        .map_err(|errno| match errno {
            // A process of real Qt was faster.
            Errno::EEXIST => Trouble::Changed,
            errno => Trouble::system(Step::Segment, errno, &room.place.segment),
        })
}

/// Makes another user's abandoned segment look new, where the policy shares: we may use it, but
/// only its owner could remove it. One of another size is in the way.
fn take_over<K: Kernel>(
    actor: &Actor<K>,
    room: &Room<K>,
    id: IpcId,
    stat: &ShmStat,
    size: usize,
) -> Result<IpcId, Trouble> {
    if stat.size != size {
        return Err(Trouble::InTheWay(Obstacle::Segment {
            key: room.key,
            id,
            perm: Some(stat.perm),
        }));
    }
    let (address, size) = map(actor, room, id, false, 1)?;
    actor.kernel.shm_clear(address, size);
    let _ = actor.kernel.shm_detach(address);
    Ok(id)
}
