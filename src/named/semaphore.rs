//! A POSIX semaphore in use: a segment's lock, or a `QSystemSemaphore`.
//!
//! The semaphore is the one that sem_open(3) has, in the same file with the same word, so that
//! processes of real Qt take part. Each user of ours has a slot in it (`slots`). Who is alone
//! with a semaphore may set its value; who is the last to leave removes it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::actor::Actor;
use crate::kernel::{Errno, Fd, FileStat, Kernel};
use crate::notes;
use crate::place::Place;
use crate::trouble::{FileFault, Obstacle, Step, Trouble};

use super::counter;
use super::file::{File, Others, perm_of};
use super::glance::Glance;
use super::handle::Handle;
use super::inquiry::Inquiry;
use super::lock;
use super::own_slots;
use super::slots;
use super::word::{HeldBy, Word, image};

/// How often opening begins again because others changed something meanwhile.
const ATTEMPTS: usize = 1000;

/// The length of the file: one page, of which glibc uses the first 32 bytes.
pub(crate) const SIZE: usize = 4096;

/// Where glibc has that the semaphore is shared between processes.
const SHARED: usize = 8;

/// A call of real Qt takes some 50 us, unless the scheduler interrupts it.
const COURTESY: Duration = Duration::from_millis(10);

/// What a semaphore is for, which decides about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A segment's lock: 1 when free.
    Lock,
    /// `QSystemSemaphore`: the value belongs to the application.
    Counter { initial: u32, reset: bool },
}

/// A semaphore in use. The slot's lock belongs to the mapping; the descriptor is for asking about
/// those of others.
#[derive(Debug)]
pub(crate) struct Semaphore<K: Kernel> {
    kernel: K,
    fd: Fd,
    /// Whether somebody stands in for the dead by that.
    busy: Arc<AtomicBool>,
    /// Of the process that opened it.
    fork_mark: u32,
    place: Place,
    stat: FileStat,
    handle: Handle,
    role: Role,
}

impl<K: Kernel> Semaphore<K> {
    /// Opens the semaphore of a place, or makes it. `page`: where one was mapped before, see
    /// [`close`](Self::close).
    pub fn open(
        actor: &Actor<K>,
        place: &Place,
        role: Role,
        page: Option<usize>,
    ) -> Result<Self, Trouble> {
        let opened = Self::open_if(actor, place, role, page, || true)?;
        opened.ok_or_else(|| Trouble::Busy(path_of(place).to_owned()))
    }

    /// The same, but where no process of ours uses it only if `may_begin`, which is asked before
    /// anybody can take it for one in use. `None`: it may not.
    pub fn open_if(
        actor: &Actor<K>,
        place: &Place,
        role: Role,
        page: Option<usize>,
        may_begin: impl Fn() -> bool,
    ) -> Result<Option<Self>, Trouble> {
        let path = path_of(place);
        let first = match role {
            Role::Lock => 1,
            Role::Counter { initial, .. } => initial,
        };
        for _ in 0..ATTEMPTS {
            place.make_directory(actor)?;
            if let Some(file) = File::lock(actor, path, true, Step::Semaphore)? {
                // Root's leftover is in the way of the user for whom this process of root's acts.
                if actor.identity.acting_as_root
                    && !is_ours(actor, &file)
                    && is_unused(place, &file)?
                {
                    file.unlink();
                    continue;
                }
                if file.locked(slots::ALL)?.is_none() && !may_begin() {
                    return Ok(None);
                }
                return Self::of_file(actor, place, file, role, page).map(Some);
            }
            match File::make(actor, path, SIZE as u64, &image(first), Step::Semaphore) {
                Ok(Some(file)) if !may_begin() => {
                    file.unlink();
                    drop(file);
                    place.remove_directory(actor);
                    return Ok(None);
                }
                Ok(Some(file)) => {
                    return Self::of_file(actor, place, file, role, page).map(Some);
                }
                Ok(None) => {}
                // The directory aside went with its last user.
                Err(Trouble::System {
                    errno: Errno::ENOENT,
                    ..
                }) if place.directory.is_some() => {}
                Err(trouble) => return Err(trouble),
            }
        }
        Err(Trouble::Busy(path.to_owned()))
    }

    /// The semaphore of a file that is locked, whose lock is given back. One that was made in vain
    /// goes again.
    fn of_file(
        actor: &Actor<K>,
        place: &Place,
        file: File<K>,
        role: Role,
        page: Option<usize>,
    ) -> Result<Self, Trouble> {
        let busy = Arc::default();
        let handle = Self::enter(actor, place, &file, role, page, &busy).inspect_err(|_| {
            if file.made {
                file.unlink();
            }
        })?;
        file.release();
        Ok(Semaphore {
            kernel: actor.kernel.clone(),
            fork_mark: actor.kernel.fork_mark(),
            place: place.clone(),
            stat: file.stat,
            handle,
            role,
            busy,
            fd: file.into_fd(),
        })
    }

    /// Becomes one of the users of a file's semaphore, and puts right what the dead left in it.
    fn enter(
        actor: &Actor<K>,
        place: &Place,
        file: &File<K>,
        role: Role,
        page: Option<usize>,
        busy: &Arc<AtomicBool>,
    ) -> Result<Handle, Trouble> {
        let kernel = &actor.kernel;
        let failed = |errno| Trouble::system(Step::Semaphore, errno, &file.path);
        if !is_ours(actor, file) {
            return Err(Trouble::InTheWay(foreign(file)));
        }
        let alone = file.made || is_unused(place, file)?;
        let whole = file.stat.size >= image(0).len() as u64;
        // Somebody truncated it. Who uses it gets a SIGBUS; we don't.
        if !whole && !alone {
            return Err(failed(Errno::EINVAL));
        }
        // Cut short, or with a hole where the file system is full, it would be a SIGBUS later.
        if !file.made {
            kernel.named_reserve(file.fd, SIZE as u64).map_err(failed)?;
        }
        let (handle, had) = match role {
            Role::Lock => kernel.without_fork(|| Ok((map(kernel, file, page)?, false))),
            Role::Counter { .. } => {
                own_slots::take(kernel, &file.stat, |page| map(kernel, file, page))
            }
        }
        .map_err(failed)?;
        if !whole {
            kernel.word_set(handle.address() + SHARED, 128);
        }
        let path = file.path.clone();
        let inquiry = Inquiry::new(kernel, path, file.stat, file.fd, Arc::clone(busy));
        if !alone && !had {
            // The slot may be that of somebody who died.
            if lock::give_back(kernel, handle) && role == Role::Lock {
                notes::warn(notes::QSHM, died_inside(&file.path));
            }
            if !counter::take_over(kernel, handle, &inquiry) {
                match (role, page) {
                    (Role::Counter { .. }, _) => {
                        own_slots::leave(kernel, &file.stat, || false);
                    }
                    (Role::Lock, Some(page)) => kernel.retire(page, SIZE),
                    (Role::Lock, None) => kernel.unmap(handle.address(), SIZE),
                }
                return Err(failed(Errno::EBUSY));
            }
        }
        if alone && !file.made {
            set_right(actor, handle, role, &inquiry, file);
        } else if let Role::Counter {
            initial,
            reset: true,
        } = role
        {
            counter::reset(kernel, handle, &inquiry, initial);
        }
        Ok(handle)
    }

    /// Where it is and which slot in it is ours.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// The descriptor, for asking about the slots of others; none if the application has closed
    /// it.
    fn fd(&self) -> Option<Fd> {
        let now = self.kernel.fstat(self.fd);
        now.is_ok_and(|now| now.same_file(&self.stat))
            .then_some(self.fd)
    }

    /// For asking about the slots of others while one waits.
    pub fn inquiry(&self) -> Inquiry<K> {
        let (path, busy) = (self.path().to_owned(), Arc::clone(&self.busy));
        Inquiry::new(&self.kernel, path, self.stat, self.fd, busy)
    }

    /// Where its file is.
    pub fn path(&self) -> &Path {
        path_of(&self.place)
    }

    /// Whether this process opened it, and is no forked child of the one that did: a child has
    /// neither the mapping nor the slot.
    pub fn is_own(&self) -> bool {
        self.fork_mark == self.kernel.fork_mark()
    }

    /// Stops using it. The last one out removes it, unless a process of real Qt has it open.
    ///
    /// Returns the page where a segment's lock was mapped. A thread may be about to look there, so it
    /// stays memory, for the next semaphore of the same object; when the object goes, it is
    /// unmapped.
    pub fn close(mut self, actor: &Actor<K>) -> Option<usize> {
        let (fd, inquiry) = (self.fd(), self.inquiry());
        self.fd = -1;
        if !self.is_own() {
            if let Some(fd) = fd {
                self.kernel.close(fd);
            }
            return None;
        }
        // What this process has taken stays taken until it ends, also where it has no object for
        // the semaphore any more: then the slot stays.
        let owes =
            counter::owes(&self.kernel, self.handle) && inquiry.has_others(self.handle.slot());
        // The descriptor first: without the slot, which goes with the mapping, it would look like a
        // process of Qt.
        if let Some(fd) = fd {
            self.kernel.close(fd);
        }
        let page = match self.role {
            Role::Lock => {
                self.kernel.retire(self.handle.address(), SIZE);
                Some(self.handle.address())
            }
            Role::Counter { .. } if own_slots::leave(&self.kernel, &self.stat, || owes) => None,
            Role::Counter { .. } => return None,
        };
        clear(actor, &self.place);
        // Which may be aside although the segment is not.
        self.place.remove_directory(actor);
        page
    }
}

impl<K: Kernel> Drop for Semaphore<K> {
    fn drop(&mut self) {
        // Forgotten, as by a forked child.
        if self.fd >= 0 {
            if let Some(fd) = self.fd() {
                self.kernel.close(fd);
            }
        }
    }
}

pub(super) fn path_of(place: &Place) -> &Path {
    place.semaphore.as_deref().unwrap_or(&place.segment)
}

fn foreign<K: Kernel>(file: &File<K>) -> Obstacle {
    Obstacle::file(&file.path, FileFault::Foreign, Some(file.stat))
}

/// Whether our identity may use the semaphore of a file.
fn is_ours<K: Kernel>(actor: &Actor<K>, file: &File<K>) -> bool {
    actor.may_use(&perm_of(&file.stat), 0o6)
}

/// Whether nobody uses the semaphore of a file that is locked.
fn is_unused<K: Kernel>(place: &Place, file: &File<K>) -> Result<bool, Trouble> {
    Ok(file.locked(slots::ALL)?.is_none() && file.others(place) == Others::None)
}

/// Takes a slot, and maps the semaphore through the open file that has it. No thread may fork
/// meanwhile: the child would have the descriptor, and so the slot.
fn map<K: Kernel>(kernel: &K, file: &File<K>, page: Option<usize>) -> Result<Handle, Errno> {
    let fd = kernel.named_open(&file.path, true)?;
    let made = || {
        if !kernel.fstat(fd)?.same_file(&file.stat) {
            return Err(Errno::ESTALE);
        }
        let slot = slots::claim(kernel, fd)?;
        let address = kernel.map_own(fd, SIZE, page)?;
        Ok(Handle::new(address, slot))
    };
    let handle = made();
    kernel.close(fd);
    handle
}

/// Puts right what a crash left in a semaphore that nobody else uses.
fn set_right<K: Kernel>(
    actor: &Actor<K>,
    handle: Handle,
    role: Role,
    inquiry: &Inquiry<K>,
    file: &File<K>,
) {
    let kernel = &actor.kernel;
    let was = Word(kernel.word(handle.address()));
    if was.holder() != HeldBy::Unknown && role == Role::Lock {
        notes::warn(notes::QSHM, died_inside(&file.path));
    }
    counter::settle_alone(kernel, handle, inquiry);
    let value = match role {
        Role::Lock => 1,
        // What nobody has open a crash has left: the last one out removes it.
        Role::Counter { initial, .. } => initial,
    };
    counter::set_alone(kernel, handle, value);
}

/// For the log: who had the lock died between lock() and unlock().
pub(crate) fn died_inside(path: &Path) -> String {
    format!(
        "the process that had the lock {} died between lock() and unlock(): what it was changing \
         may be half done",
        path.display()
    )
}

/// What a place's semaphore says of processes of real Qt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Qt {
    /// There is no semaphore that we trust.
    NoSemaphore,
    /// None is in the middle of a call, as far as can be seen.
    Outside,
    /// One has been for as long as this.
    Inside,
}

/// Waits, for a moment, until no process of real Qt is in the middle of a call: it keeps the
/// semaphore then.
pub(super) fn wait_for_qt<K: Kernel>(actor: &Actor<K>, place: &Place) -> Qt {
    let kernel = &actor.kernel;
    let Ok(glance) = Glance::at(kernel, path_of(place), true) else {
        return Qt::NoSemaphore;
    };
    let usable = kernel.fstat(glance.fd).is_ok_and(|stat| {
        actor.options.access.trusts_file(&actor.identity, &stat)
            && stat.size >= image(0).len() as u64
    });
    if !usable {
        return Qt::NoSemaphore;
    }
    let Ok(address) = kernel.map(glance.fd, SIZE, false) else {
        return Qt::Outside;
    };
    let is_inside = |word: Word| word.value() == 0 && word.holder() == HeldBy::Unknown;
    let word = Word(kernel.word(address));
    let mut inside = is_inside(word);
    if word.value() == 0 {
        kernel.word_wait(address, 0, COURTESY);
        inside = inside && is_inside(Word(kernel.word(address)));
    }
    kernel.unmap(address, SIZE);
    if inside { Qt::Inside } else { Qt::Outside }
}

/// Whether there is something at the path of a place's semaphore.
pub(super) fn is_there<K: Kernel>(actor: &Actor<K>, place: &Place) -> bool {
    !matches!(actor.kernel.lstat(path_of(place)), Err(Errno::ENOENT))
}

/// Removes the semaphore of a place if nobody uses it; says whether somebody of ours does.
pub(super) fn clear<K: Kernel>(actor: &Actor<K>, place: &Place) -> bool {
    let locked = File::lock(actor, path_of(place), false, Step::Semaphore);
    let Ok(Some(file)) = locked else {
        return false;
    };
    // The last object of the process may have been the lock of a segment.
    let is_free = |range| matches!(file.locked(range), Ok(None));
    let alone = |slot| slots::around(slot).into_iter().all(is_free);
    own_slots::forgive(&actor.kernel, &file.stat, alone);
    if is_unused(place, &file).unwrap_or(false) {
        file.unlink();
        return false;
    }
    file.locked(slots::ALL).is_ok_and(|by| by.is_some())
}
