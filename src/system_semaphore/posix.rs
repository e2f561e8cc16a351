//! A [`SystemSemaphore`] with a POSIX key.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::diagnosis::Subject;
use crate::error::Error;
use crate::kernel::{Errno, Kernel, Wait};
use crate::key::NameFault;
use crate::named::{self, Handle, Inquiry, Role, counter};
use crate::shared_memory::detail;
use crate::texts;

use super::{ATTEMPTS, Chosen, SystemSemaphore};

/// Where the semaphore is, beside the object's state.
#[derive(Debug)]
pub(super) struct Named {
    handle: AtomicU64,
    /// The fork mark of the process that opened it. A child has not got what that mapped.
    mark: AtomicU32,
    /// Whether the object may have an error to clear.
    failed: AtomicBool,
}

impl Named {
    pub fn new() -> Self {
        Named {
            handle: AtomicU64::new(0),
            mark: AtomicU32::new(0),
            failed: AtomicBool::new(true),
        }
    }

    /// To be told of every error.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    fn of(&self, mark: u32) -> Option<Handle> {
        let handle = Handle::from_raw(self.handle.load(Ordering::Acquire))?;
        (self.mark.load(Ordering::Relaxed) == mark).then_some(handle)
    }
}

impl<K: Kernel> SystemSemaphore<K> {
    /// `acquire()` with a POSIX key; `None` with another.
    pub(super) fn acquire_posix(&self) -> Option<bool> {
        if self.add_at_once(-1) {
            return Some(true);
        }
        self.operate(|kernel, handle, inquiry, go_on| {
            counter::acquire(kernel, handle, inquiry, Wait::Forever, go_on)
                .map_err(|errno| texts::of_posix_operation(errno, true))
        })
    }

    /// `release()` with a POSIX key; `None` with another.
    pub(super) fn release_posix(&self, n: i32) -> Option<bool> {
        if self.add_at_once(n) {
            return Some(true);
        }
        self.operate(|kernel, handle, inquiry, _| {
            counter::release(kernel, handle, inquiry, n)
                .map_err(|errno| texts::of_posix_operation(errno, false))
        })
    }

    /// Adds to a POSIX semaphore, if that can be done without asking or waiting for anybody.
    pub(crate) fn add_at_once(&self, delta: i32) -> bool {
        let Some(handle) = self.named.of(self.kernel.fork_mark()) else {
            return false;
        };
        let done = counter::try_add(&self.kernel, handle, delta);
        if done && self.named.failed.load(Ordering::Acquire) {
            self.named.failed.store(false, Ordering::Release);
            self.state().error = Error::none();
        }
        done
    }

    fn operate(
        &self,
        act: impl Fn(&K, Handle, &Inquiry<K>, &mut dyn FnMut() -> bool) -> Result<(), Error>,
    ) -> Option<bool> {
        let mark = self.kernel.fork_mark();
        for _ in 0..ATTEMPTS {
            let (handle, inquiry) = {
                let mut state = self.state();
                if !state.key.is_posix() || state.key.is_empty() {
                    return None;
                }
                let handle = match self.named.of(mark) {
                    Some(handle) => handle,
                    None => match self.open_posix(&mut state, false) {
                        Some(handle) => handle,
                        None => return Some(false),
                    },
                };
                let Some(semaphore) = &state.posix else {
                    continue;
                };
                (handle, semaphore.inquiry())
            };
            let still_ours = || self.named.of(mark) == Some(handle);
            let answer = act(&self.kernel, handle, &inquiry, &mut { still_ours });
            if !still_ours() {
                continue;
            }
            let mut state = self.state();
            state.error = answer.err().unwrap_or_default();
            self.named.fail();
            return Some(state.error == Error::none());
        }
        Some(false)
    }

    pub(super) fn open_posix(&self, state: &mut super::State<K>, reset: bool) -> Option<Handle> {
        let mark = self.kernel.fork_mark();
        if let Some(semaphore) = &state.posix {
            if semaphore.is_own() {
                return Some(semaphore.handle());
            }
        }
        // A forked child's: not mapped here.
        state.posix = None;
        let Chosen::Ipc(key) = &state.key else {
            return None;
        };
        let function = "QSystemSemaphore::handle";
        let wrong = match (key.of_semaphore().objects(), u32::try_from(state.initial)) {
            (Err(NameFault::TooLong), _) => Some(texts::semaphore_name_too_long()),
            (Err(NameFault::Invalid), _) | (_, Err(_)) => {
                Some(texts::of_semaphore_call(Errno::EINVAL, function))
            }
            _ => None,
        };
        self.named.fail();
        if let Some(error) = wrong {
            state.error = error;
            return None;
        }
        let actor = self.actor(state);
        let places = state.key.places(actor.identity.uid);
        let role = Role::Counter {
            initial: state.initial.unsigned_abs(),
            reset,
        };
        match named::resolve(&actor, &places, role, None) {
            Ok(semaphore) => {
                let handle = semaphore.handle();
                state.posix = Some(semaphore);
                self.named.mark.store(mark, Ordering::Relaxed);
                self.named.handle.store(handle.raw(), Ordering::Release);
                Some(handle)
            }
            Err(trouble) => {
                let error = texts::of_semaphore_66(&trouble);
                state.error =
                    error.with_detail(detail(&actor, &places, Subject::Semaphore, &trouble));
                None
            }
        }
    }

    pub(super) fn close_posix(&self, state: &mut super::State<K>) {
        if let Some(semaphore) = state.posix.take() {
            self.named.handle.store(0, Ordering::Release);
            let actor = self.actor(state);
            semaphore.close(&actor);
        }
    }
}
