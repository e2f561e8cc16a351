//! A POSIX segment that this process has attached.

use crate::actor::Actor;
use crate::kernel::{Errno, FileLock, FileStat, Kernel, Wait};
use crate::notes;
use crate::options::Leftover;
use crate::place::{Place, Places};
use crate::trouble::{Obstacle, Step, Trouble};

use super::enter::{self, Joined, Made};
use super::file::File;
use super::glance::Glance;
use super::look::ATTACHED;
use super::semaphore::{self, Semaphore};

/// How often making or attaching begins again because others changed something meanwhile.
const ATTEMPTS: usize = 1000;

/// An attached segment. There is no descriptor: the mapping keeps the file, and the lock that says
/// that somebody is attached.
#[derive(Debug)]
pub(crate) struct Attached {
    place: Place,
    stat: FileStat,
    address: usize,
    size: usize,
}

/// What `create()` came to.
#[derive(Debug)]
pub(crate) enum Created {
    /// A new segment.
    New(Attached),
    /// There is one already.
    Exists,
}

/// What `attach()` came to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A segment in use.
    Segment(Attached),
    /// There is none that we may use; what is in the way of one that we may not use.
    Nothing(Option<Obstacle>),
}

/// What `detach()` came to.
#[derive(Debug)]
pub(crate) enum Left<K: Kernel> {
    /// Others are attached: the semaphore stays open.
    Others(Option<Semaphore<K>>),
    /// The segment is gone, and the semaphore closed; its page, see [`Semaphore::close`].
    Nothing(Option<usize>),
}

impl Attached {
    /// Makes a segment of `size` bytes, all zero, and attaches to it.
    pub fn create<K: Kernel>(
        actor: &Actor<K>,
        places: &Places,
        size: usize,
        read_only: bool,
    ) -> Result<Created, Trouble> {
        for _ in 0..ATTEMPTS {
            let made = match enter::make(actor, places, size) {
                Err(Trouble::Changed) => continue,
                made => made?,
            };
            let Made::New {
                place,
                mut file,
                obstacle,
            } = made
            else {
                return Ok(Created::Exists);
            };
            let attached = match join(actor, place, &mut file, read_only) {
                Ok(attached) => attached,
                Err(trouble) => {
                    if file.made {
                        file.unlink();
                    }
                    place.remove_directory(actor);
                    return Err(trouble);
                }
            };
            if let (Some(obstacle), Some(directory)) = (obstacle, &place.directory) {
                let text = format!("{obstacle}; stepped aside to {}", directory.display());
                notes::warn(notes::QSHM, text);
            }
            return Ok(Created::New(attached));
        }
        Err(Trouble::Busy(places.machine.segment.to_path_buf()))
    }

    /// Attaches to a segment that is in use.
    pub fn attach<K: Kernel>(
        actor: &Actor<K>,
        places: &Places,
        read_only: bool,
    ) -> Result<Found, Trouble> {
        for _ in 0..ATTEMPTS {
            match enter::find(actor, places, read_only) {
                Ok(Joined::Live { place, mut file }) => {
                    let attached = join(actor, place, &mut file, read_only)?;
                    return Ok(Found::Segment(attached));
                }
                Ok(Joined::Nothing(obstacle)) => return Ok(Found::Nothing(obstacle)),
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

    /// The size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Where the segment is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Detaches. The last process out removes the segment and its semaphore.
    pub fn detach<K: Kernel>(self, actor: &Actor<K>, semaphore: Option<Semaphore<K>>) -> Left<K> {
        let kernel = &actor.kernel;
        // With the lifecycle lock if it is free, so that nobody sees the segment without us and
        // takes it for what a crash left. Who keeps others from ending is not waited for as long
        // as somebody else is attached.
        let path = &self.place.segment;
        // For writing, where it may be removed.
        let euid = kernel.geteuid();
        let write = euid == 0 || euid == self.stat.uid;
        let locked = File::lock_attached(actor, path, write);
        kernel.unmap(self.address, self.size);
        // As Qt does it, which never removes one.
        if actor.options.leftover == Leftover::Keep {
            return Left::Others(semaphore);
        }
        let file = match locked {
            Ok(file) => file,
            Err(Trouble::Busy(_)) if self.has_others(kernel) => return Left::Others(semaphore),
            // At the latest the next one clears up.
            Err(_) => File::lock(actor, path, false, Step::Segment).unwrap_or(None),
        };
        if file.is_none() && semaphore.is_none() {
            // Somebody removed the segment, and left the semaphore of a crash.
            semaphore::clear(actor, &self.place);
        }
        let Some(file) = file.filter(|file| file.stat.same_file(&self.stat)) else {
            return Left::Others(semaphore);
        };
        let beside = semaphore.is_some() || semaphore::is_there(actor, &self.place);
        // Without a semaphore Qt's processes can't take turns: what the removal finds is enough.
        let in_use = if beside {
            !enter::is_abandoned(actor, &self.place, &file, true)
        } else {
            !file.locked(ATTACHED).is_ok_and(|by| by.is_none())
        };
        if in_use {
            return Left::Others(semaphore);
        }
        if file.unlink_unused(&self.place) == Err(Errno::EAGAIN) {
            return Left::Others(semaphore);
        }
        drop(file);
        let page = if let Some(semaphore) = semaphore {
            semaphore.close(actor)
        } else {
            // Made meanwhile, it has a user who clears it.
            if beside {
                semaphore::clear(actor, &self.place);
            }
            None
        };
        self.place.remove_directory(actor);
        Left::Nothing(page)
    }
}

impl Attached {
    /// Whether somebody is attached, of the file that is at the path now. Of two that leave at the
    /// same time the later one sees nobody any more.
    fn has_others<K: Kernel>(&self, kernel: &K) -> bool {
        let Ok(glance) = Glance::at(kernel, &self.place.segment, false) else {
            return false;
        };
        let now = kernel.fstat(glance.fd);
        let here = now.is_ok_and(|now| now.same_file(&self.stat));
        !here || kernel.range_holder(glance.fd, ATTACHED) != Ok(None)
    }
}

/// Attaches to the segment of a file that is locked, and gives the lock back.
fn join<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    file: &mut File<K>,
    read_only: bool,
) -> Result<Attached, Trouble> {
    let kernel = &actor.kernel;
    let path = file.path.clone();
    let failed = |errno| Trouble::system(Step::Attach, errno, &path);
    // One that was truncated: to look at its memory would be a SIGBUS.
    let size = usize::try_from(file.stat.size).map_err(|_| failed(Errno::ENOMEM))?;
    if size == 0 {
        return Err(failed(Errno::EINVAL));
    }
    // A child that another thread forks meanwhile would have the descriptor, and keep the lock when
    // it has detached.
    let mapped = kernel.without_fork(|| {
        kernel.range_lock(file.fd, ATTACHED, FileLock::Shared, Wait::No)?;
        let address = kernel.map(file.fd, size, read_only)?;
        file.close();
        Ok(address)
    });
    let address = mapped.map_err(failed)?;
    Ok(Attached {
        place: place.clone(),
        stat: file.stat,
        address,
        size,
    })
}
