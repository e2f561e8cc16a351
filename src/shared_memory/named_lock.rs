//! The lock of a [`SharedMemory`] with a POSIX key.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::actor::Actor;
use crate::diagnosis::{self, Subject};
use crate::kernel::{Kernel, Wait};
use crate::named::lock::{self, Taken};
use crate::named::{self, Attached, Created, Found, Handle, Left, Role, counter};
use crate::notes;
use crate::place::Places;
use crate::texts::{self, Call};

use super::lock::{LockKey, PATIENCE};
use super::{AccessMode, Segment, SharedMemory, detail, fail, fail_by};

/// Where the semaphore is, beside the object's state: lock() and unlock() need no more.
#[derive(Debug)]
pub(super) struct NamedLock {
    handle: AtomicU64,
    /// The fork mark of the process that opened it. A child has not got what that mapped.
    mark: AtomicU32,
}

impl NamedLock {
    pub fn new() -> Self {
        NamedLock {
            handle: AtomicU64::new(0),
            mark: AtomicU32::new(0),
        }
    }

    /// The open semaphore, if it is this process's.
    #[inline]
    pub fn of(&self, mark: u32) -> Option<Handle> {
        let handle = Handle::from_raw(self.handle.load(Ordering::Acquire))?;
        (self.mark.load(Ordering::Relaxed) == mark).then_some(handle)
    }
}

/// The semaphore itself.
#[derive(Debug)]
pub(super) struct State<K: Kernel> {
    semaphore: Option<named::Semaphore<K>>,
    /// Where one was mapped before, and the fork mark of the process.
    page: Option<(u32, usize)>,
}

impl<K: Kernel> State<K> {
    pub fn new() -> Self {
        State {
            semaphore: None,
            page: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.semaphore.is_some()
    }

    /// Gives up what is left. Nobody uses the object any more.
    pub fn end(&mut self, kernel: &K) {
        if let Some((mark, page)) = self.page.take() {
            if mark == kernel.fork_mark() {
                kernel.unmap(page, named::PAGE);
            }
        }
    }
}

impl<K: Kernel> SharedMemory<K> {
    pub(super) fn create_posix(
        &self,
        state: &mut super::State<K>,
        actor: &Actor<K>,
        places: &Places,
        size: usize,
        mode: AccessMode,
    ) -> bool {
        match Attached::create(actor, places, size, mode == AccessMode::ReadOnly) {
            Ok(Created::New(attached)) => {
                self.enter(state, Segment::Posix(attached));
                true
            }
            Ok(Created::Exists) => fail(state, texts::already_exists(true)),
            Err(trouble) => fail_by(state, actor, &trouble, Call::Create),
        }
    }

    pub(super) fn attach_posix(
        &self,
        state: &mut super::State<K>,
        actor: &Actor<K>,
        places: &Places,
        mode: AccessMode,
    ) -> bool {
        match Attached::attach(actor, places, mode == AccessMode::ReadOnly) {
            Ok(Found::Segment(attached)) => {
                self.enter(state, Segment::Posix(attached));
                true
            }
            Ok(Found::Nothing(obstacle)) => {
                let mut error = texts::no_posix_segment();
                if let Some(obstacle) = obstacle {
                    let text = diagnosis::explain(actor, places, Subject::Memory, &obstacle);
                    error = error.with_detail(text);
                }
                fail(state, error)
            }
            Err(trouble) => fail_by(state, actor, &trouble, Call::Attach),
        }
    }

    pub(super) fn leave_posix(
        &self,
        state: &mut super::State<K>,
        actor: &Actor<K>,
        attached: Attached,
    ) {
        let mark = self.kernel.fork_mark();
        if let Some(handle) = self.named_lock.of(mark) {
            if self.give_named_back(state, handle) {
                notes::warn(notes::QT, "QSharedMemory::lock: already locked".to_owned());
            }
        }
        let semaphore = state.named.semaphore.take();
        match attached.detach(actor, semaphore) {
            Left::Others(semaphore) => state.named.semaphore = semaphore,
            Left::Nothing(page) => {
                self.named_lock.handle.store(0, Ordering::Release);
                self.keep_page(state, page);
            }
        }
    }

    /// Closes the semaphore, if it is open.
    pub(super) fn close_named(&self, state: &mut super::State<K>, actor: &Actor<K>) {
        if let Some(handle) = self.named_lock.of(self.kernel.fork_mark()) {
            self.give_named_back(state, handle);
        }
        if let Some(semaphore) = state.named.semaphore.take() {
            self.named_lock.handle.store(0, Ordering::Release);
            let page = semaphore.close(actor);
            self.keep_page(state, page);
        }
    }

    fn keep_page(&self, state: &mut super::State<K>, page: Option<usize>) {
        if let Some(page) = page {
            state.named.page = Some((self.kernel.fork_mark(), page));
        }
    }

    /// unlock() with a POSIX semaphore that is open.
    #[inline]
    pub(super) fn unlock_named(&self, handle: Handle) -> bool {
        lock::give_back(&self.kernel, handle)
            || lock::has_taken(&self.kernel, handle) && self.give_named_back(&self.state(), handle)
    }

    /// Gives the lock back, if this object has it, by whichever way it has.
    fn give_named_back(&self, state: &super::State<K>, handle: Handle) -> bool {
        let Some(semaphore) = &state.named.semaphore else {
            return false;
        };
        lock::has_taken(&self.kernel, handle)
            && counter::release(&self.kernel, handle, &semaphore.inquiry(), 1).is_ok()
    }

    /// lock() with a POSIX semaphore that is open. `None`: it is not the object's any more.
    pub(super) fn take_named(&self, handle: Handle, mark: u32, wait: Wait) -> Option<bool> {
        match lock::try_take(&self.kernel, handle, self.kernel.getpid()) {
            Taken::Now | Taken::FromTheDead => Some(true),
            Taken::Already => {
                log::warn!(target: "qt", "QSharedMemory::lock: already locked");
                Some(true)
            }
            Taken::Not => self.wait_for_named(handle, mark, wait),
        }
    }

    fn wait_for_named(&self, handle: Handle, mark: u32, wait: Wait) -> Option<bool> {
        let (inquiry, name) = {
            let state = self.state();
            let semaphore = state.named.semaphore.as_ref()?;
            (semaphore.inquiry(), semaphore.path().to_owned())
        };
        let pid = self.kernel.getpid();
        let still_ours = || self.named_lock.of(mark) == Some(handle);
        let take = |wait| lock::take(&self.kernel, handle, &inquiry, pid, wait, still_ours);
        let mut taken = match wait {
            Wait::Forever => take(Wait::AtMost(PATIENCE)),
            wait => take(wait),
        };
        if taken == Taken::Not && wait == Wait::Forever && still_ours() {
            let holder = lock::last_pid(&self.kernel, handle);
            log::warn!(
                target: "qshm",
                "still waiting for the lock {}: pid {holder} took it last",
                name.display(),
            );
            taken = take(Wait::Forever);
        }
        if !still_ours() {
            return None;
        }
        match taken {
            Taken::Not => Some(false),
            Taken::FromTheDead => {
                log::warn!(target: "qshm", "{}", named::died_inside(&name));
                Some(true)
            }
            Taken::Now | Taken::Already => Some(true),
        }
    }

    /// Opens the POSIX semaphore that is the lock: beside the segment, if that is attached.
    pub(super) fn open_named_lock(&self, mark: u32) -> Option<Handle> {
        let mut state = self.state();
        let state = &mut *state;
        match &state.named.semaphore {
            Some(semaphore) if semaphore.is_own() => return Some(semaphore.handle()),
            _ => {}
        }
        // A forked child's: not mapped here.
        state.named.semaphore = None;
        let LockKey::Of(places) = state.lock.clone() else {
            return None;
        };
        let actor = self.actor(state);
        let page = state.named.page.filter(|(of, _)| *of == mark);
        let page = page.map(|(_, page)| page);
        let place = match &state.attached {
            Some(Segment::Posix(attached)) => Some(attached.place().clone()),
            _ => None,
        };
        let aside = place.filter(|place| place.directory.is_some());
        let opened = match aside {
            Some(place) => named::Semaphore::open(&actor, &place, Role::Lock, page),
            None => named::resolve(&actor, &places, Role::Lock, page),
        };
        match opened {
            Ok(semaphore) => {
                let handle = semaphore.handle();
                state.named.page = None;
                state.named.semaphore = Some(semaphore);
                self.named_lock.mark.store(mark, Ordering::Relaxed);
                self.named_lock
                    .handle
                    .store(handle.raw(), Ordering::Release);
                Some(handle)
            }
            Err(trouble) => {
                let detail = detail(&actor, &places, Subject::Memory, &trouble);
                let error = texts::unable_to_lock("QSharedMemory::lock").with_detail(detail);
                fail(state, error);
                None
            }
        }
    }
}
