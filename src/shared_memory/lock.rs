//! The lock of a [`SharedMemory`]: Qt's semaphore, opened when it is first needed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::actor::Actor;
use crate::diagnosis::Subject;
use crate::kernel::{Errno, Kernel, Wait};
use crate::named;
use crate::named::lock::Taken;
use crate::place::Places;
use crate::semaphore::{self, Role, Semaphore};
use crate::texts;

use super::{NONE, Segment, SharedMemory, State, detail, fail};

/// How often an operation begins again on a semaphore that others removed meanwhile.
const ATTEMPTS: usize = 100;

/// After this time a waiter says in the log whom it waits for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Which semaphore is the lock. As in Qt it is the one of the key of the last `create()` or
/// `attach()`, and a call without a key spoils it until the next one with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LockKey {
    /// None was asked for yet.
    Unset,
    /// Asked for without a key.
    Failed,
    /// The semaphore of these places.
    Of(Places),
}

impl<K: Kernel> SharedMemory<K> {
    /// `QSharedMemory::lock()`: waits until no other process is between its lock() and unlock().
    /// A process that dies gives the lock back. If this object has it already: true, with a
    /// warning, as Qt.
    ///
    /// # Errors
    /// [`LockError`](crate::ErrorKind::LockError) before `create()` and `attach()`, with a native key,
    /// and where the semaphore can't be used.
    pub fn lock(&self) -> bool {
        self.take(Wait::Forever)
    }

    /// As [`lock`](Self::lock), but gives up after `timeout`: false, and the error of before.
    pub fn try_lock(&self, timeout: Duration) -> bool {
        self.take(Wait::AtMost(timeout))
    }

    /// Takes a lock that is open and free; false: [`lock`](Self::lock) has more to do.
    #[inline]
    pub(crate) fn lock_at_once(&self) -> bool {
        let mark = self.kernel.fork_mark();
        if let Some(handle) = self.named_lock.of(mark) {
            let pid = self.kernel.getpid();
            return named::lock::try_take(&self.kernel, handle, pid) == Taken::Now;
        }
        let id = self.semaphore.load(Ordering::Acquire);
        if id == NONE || self.locked_by.load(Ordering::Acquire) == mark {
            return false;
        }
        let taken = self.kernel.sem_op(id, -1, Wait::No).is_ok();
        if taken {
            self.locked_by.store(mark, Ordering::Release);
        }
        taken
    }

    /// The same of [`unlock`](Self::unlock).
    #[inline]
    pub(crate) fn unlock_at_once(&self) -> bool {
        let mark = self.kernel.fork_mark();
        if let Some(handle) = self.named_lock.of(mark) {
            return named::lock::give_back(&self.kernel, handle);
        }
        let change = |from, to| {
            let done =
                self.locked_by
                    .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
            done.is_ok()
        };
        if !change(mark, 0) {
            return false;
        }
        let id = self.semaphore.load(Ordering::Acquire);
        let given = self.kernel.sem_op(id, 1, Wait::No).is_ok();
        if !given {
            // Whoever tries it again says what is wrong.
            change(0, mark);
        }
        given
    }

    fn take(&self, wait: Wait) -> bool {
        let mark = self.kernel.fork_mark();
        if let Some(handle) = self.named_lock.of(mark) {
            if let Some(taken) = self.take_named(handle, mark, wait) {
                return taken;
            }
        }
        if self.locked_by.load(Ordering::Acquire) == mark {
            log::warn!(target: "qt", "QSharedMemory::lock: already locked");
            return true;
        }
        for _ in 0..ATTEMPTS {
            let id = match self.semaphore.load(Ordering::Acquire) {
                NONE if self.is_lock_posix() => {
                    let Some(handle) = self.open_named_lock(mark) else {
                        return false;
                    };
                    match self.take_named(handle, mark, wait) {
                        Some(taken) => return taken,
                        None => continue,
                    }
                }
                NONE => match self.open_lock() {
                    Some(id) => id,
                    None => return false,
                },
                id => id,
            };
            match self.wait_for(id, wait) {
                Ok(()) => {
                    self.locked_by.store(mark, Ordering::Release);
                    return true;
                }
                Err(Errno::EAGAIN) => return false,
                // Somebody removed it under our hands: there may be a new one.
                Err(Errno::EIDRM | Errno::EINVAL) => self.forget_lock(id),
                Err(errno) => {
                    let detail = format!("semid {id}: {}", errno.desc());
                    let error = texts::unable_to_lock("QSharedMemory::lock").with_detail(detail);
                    return fail(&mut self.state(), error);
                }
            }
        }
        let error = texts::unable_to_lock("QSharedMemory::lock")
            .with_detail("somebody removes the semaphore again and again");
        fail(&mut self.state(), error)
    }

    fn wait_for(&self, id: i32, wait: Wait) -> Result<(), Errno> {
        // Mostly it is free, and asking so is the shortest call.
        let free = self.kernel.sem_op(id, -1, Wait::No);
        if free != Err(Errno::EAGAIN) {
            return free;
        }
        if wait != Wait::Forever {
            return self.kernel.sem_op(id, -1, wait);
        }
        match self.kernel.sem_op(id, -1, Wait::AtMost(PATIENCE)) {
            Err(Errno::EAGAIN) => {
                let holder = self.kernel.sem_last_pid(id).unwrap_or(0);
                log::warn!(
                    target: "qshm",
                    "still waiting for the lock of {}: pid {holder} has it (semid {id})",
                    self.native_key().display(),
                );
                self.kernel.sem_op(id, -1, Wait::Forever)
            }
            answer => answer,
        }
    }

    /// `QSharedMemory::unlock()`: false, and the error of before, if this object has not locked.
    ///
    /// # Errors
    /// [`LockError`](crate::ErrorKind::LockError) where somebody took away the right to the semaphore.
    pub fn unlock(&self) -> bool {
        if let Some(handle) = self.named_lock.of(self.kernel.fork_mark()) {
            return self.unlock_named(handle);
        }
        match self.give_back() {
            None => false,
            Some(Ok(())) => true,
            Some(Err(errno)) => {
                let error = texts::unable_to_unlock().with_detail(errno.desc());
                fail(&mut self.state(), error)
            }
        }
    }

    /// Gives the lock back, if this object has it.
    pub(super) fn give_back(&self) -> Option<Result<(), Errno>> {
        let mark = self.kernel.fork_mark();
        self.locked_by
            .compare_exchange(mark, 0, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        let id = self.semaphore.load(Ordering::Acquire);
        match self.kernel.sem_op(id, 1, Wait::No) {
            // One that is gone locks nobody out.
            Err(Errno::EIDRM | Errno::EINVAL) => Some(Ok(())),
            answer => Some(answer),
        }
    }

    /// Sets which semaphore is the lock; that of before is given back.
    pub(super) fn change_lock(&self, state: &mut State<K>, actor: &Actor<K>, lock: LockKey) {
        let _ = self.give_back();
        self.close_named(state, actor);
        self.semaphore.store(NONE, Ordering::Release);
        if let Some(semaphore) = state.semaphore.take() {
            semaphore.close(actor);
        }
        state.lock = lock;
    }

    /// Whether the lock is that of a POSIX key.
    fn is_lock_posix(&self) -> bool {
        matches!(&self.state().lock, LockKey::Of(places) if places.posix)
    }

    /// Opens the lock's semaphore: beside the segment, if that is attached.
    fn open_lock(&self) -> Option<i32> {
        let mut state = self.state();
        let state = &mut *state;
        if let Some(semaphore) = &state.semaphore {
            return Some(semaphore.id());
        }
        let actor = self.actor(state);
        let opened = match &state.lock {
            LockKey::Unset | LockKey::Failed => {
                state.lock = LockKey::Failed;
                fail(state, texts::unable_to_lock("QSharedMemory::lock"));
                return None;
            }
            LockKey::Of(places) => {
                let role = Role::Lock {
                    of_new_segment: false,
                };
                // A segment aside has its semaphore there. Beside a machine-wide one somebody
                // else's may stand, made before anyone of ours locked.
                let place = match &state.attached {
                    Some(Segment::SystemV(attached)) => Some(attached.place()),
                    _ => None,
                };
                let aside = place.filter(|place| place.directory.is_some());
                match aside.and_then(|place| Some((place, place.semaphore.as_deref()?))) {
                    Some((place, path)) => Semaphore::open(&actor, place, path, role),
                    None => semaphore::resolve(&actor, places, role),
                }
            }
        };
        match opened {
            Ok(semaphore) => {
                let id = semaphore.id();
                self.keep(state, semaphore);
                Some(id)
            }
            Err(trouble) => {
                let places = state.places(actor.identity.uid);
                let detail = detail(&actor, &places, Subject::Memory, &trouble);
                let error = texts::unable_to_lock("QSharedMemory::lock").with_detail(detail);
                fail(state, error);
                None
            }
        }
    }

    /// Forgets a semaphore that was removed, so that the next attempt looks for another.
    fn forget_lock(&self, id: i32) {
        let mut state = self.state();
        if state
            .semaphore
            .as_ref()
            .is_some_and(|semaphore| semaphore.id() == id)
        {
            self.semaphore.store(NONE, Ordering::Release);
            state.semaphore = None;
        }
    }

    pub(super) fn keep(&self, state: &mut State<K>, semaphore: Semaphore<K>) {
        self.semaphore.store(semaphore.id(), Ordering::Release);
        state.semaphore = Some(semaphore);
    }
}
