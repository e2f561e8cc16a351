//! `QSystemSemaphore`, call by call.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::actor::Actor;
use crate::error::Error;
use crate::identity::Identity;
use crate::kernel::{Errno, Kernel, Linux, Wait};
use crate::key::{self, Key};
use crate::notes::Guard;
use crate::options::OptionsUpdate;
use crate::place::Places;
use crate::semaphore::{self, Role, Semaphore};
use crate::shared_memory::detail;
use crate::texts;

/// What happens to a semaphore that exists: `QSystemSemaphore::AccessMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum OpenMode {
    /// It keeps its value.
    #[default]
    Open = 0,
    /// It gets the initial value.
    Create = 1,
}

/// How often an operation begins again on a semaphore that others removed meanwhile.
const ATTEMPTS: usize = 100;

/// No semaphore is open.
const NONE: i32 = -1;

/// A counting semaphore, as `QSystemSemaphore`.
///
/// What a process acquired and released is undone when it dies (`SEM_UNDO`, semop(2)). The last
/// process to close a semaphore removes it. All calls may be made from any thread; nothing is
/// held while [`acquire`](Self::acquire) waits.
///
/// ```
/// use qshm::{Key, OpenMode, SystemSemaphore};
///
/// let semaphore = SystemSemaphore::new();
/// let key = Key::new(b"org.example.start", &qshm::key::temp_dir());
/// semaphore.set_key(key, 1, OpenMode::Open);
/// assert!(semaphore.acquire());
/// assert!(semaphore.release(1));
/// ```
#[derive(Debug)]
pub struct SystemSemaphore<K: Kernel = Linux> {
    kernel: K,
    identity: Option<Identity>,
    state: Mutex<State<K>>,
    /// The semaphore's id, beside the state: operations need no more.
    id: AtomicI32,
}

#[derive(Debug)]
struct State<K: Kernel> {
    options: OptionsUpdate,
    key: Key,
    initial: i32,
    semaphore: Option<Semaphore<K>>,
    error: Error,
}

impl SystemSemaphore<Linux> {
    /// A semaphore without a key.
    pub fn new() -> Self {
        Self::with_kernel(Linux, None)
    }
}

impl Default for SystemSemaphore<Linux> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kernel> SystemSemaphore<K> {
    /// A semaphore without a key, over this kernel. `identity` says on whose behalf it acts;
    /// `None`: as [`crate::identity::current`] finds.
    pub fn with_kernel(kernel: K, identity: Option<Identity>) -> Self {
        SystemSemaphore {
            kernel,
            identity,
            state: Mutex::new(State {
                options: OptionsUpdate::default(),
                key: Key::null(),
                initial: 0,
                semaphore: None,
                error: Error::none(),
            }),
            id: AtomicI32::new(NONE),
        }
    }

    fn state(&self) -> Guard<'_, State<K>> {
        Guard::of(&self.state)
    }

    fn actor(&self, state: &State<K>) -> Actor<K> {
        let actor = Actor::new(&self.kernel, self.identity, state.options);
        match state.key.semaphore_file().parent() {
            Some(directory) => actor.in_directory(directory),
            None => actor,
        }
    }

    /// Policies of this object; they count from the next `set_key()` on.
    pub fn set_options(&self, update: OptionsUpdate) {
        let mut state = self.state();
        state.options = update.or(state.options);
    }

    /// `QSystemSemaphore::setKey()`: closes the semaphore of before and opens or makes another,
    /// which gets `initial` as its value if it is new or if `mode` says so; a negative one
    /// leaves it. With the same key and [`OpenMode::Open`] nothing happens.
    ///
    /// # Errors (to be read from [`error`](Self::error))
    /// [`KeyError`](crate::ErrorKind::KeyError),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied),
    /// [`OutOfResources`](crate::ErrorKind::OutOfResources), [`Busy`](crate::ErrorKind::Busy).
    pub fn set_key(&self, key: Key, initial: i32, mode: OpenMode) {
        let mut state = self.state();
        let state = &mut *state;
        let same = state.key == key || state.key.is_empty() && key.is_empty();
        if same && mode == OpenMode::Open {
            return;
        }
        state.error = Error::none();
        self.close(state);
        state.key = key;
        state.initial = initial;
        self.open(state, mode == OpenMode::Create);
    }

    /// `QSystemSemaphore::acquire()`: takes one, and waits until there is one to take.
    ///
    /// # Errors
    /// Those of [`set_key`](Self::set_key).
    pub fn acquire(&self) -> bool {
        self.change(-1, Wait::Forever)
    }

    /// `QSystemSemaphore::release()`: gives `n` back. 0 is nothing; a negative number is refused
    /// with a warning and the error of before, as in Qt.
    ///
    /// # Errors
    /// Those of [`set_key`](Self::set_key);
    /// [`OutOfResources`](crate::ErrorKind::OutOfResources) where the value would pass 32767.
    pub fn release(&self, n: i32) -> bool {
        if n == 0 {
            return true;
        }
        if n < 0 {
            log::warn!(target: "qt", "QSystemSemaphore::release: n is negative.");
            return false;
        }
        if let Ok(n) = i16::try_from(n) {
            return self.change(n, Wait::No);
        }
        self.state().error = texts::of_operation(Errno::ERANGE);
        false
    }

    /// The error of the last call, unless that was refused for its argument.
    pub fn error(&self) -> Error {
        self.state().error.clone()
    }

    fn change(&self, delta: i16, wait: Wait) -> bool {
        let mut errno = Errno::EIDRM;
        for _ in 0..ATTEMPTS {
            let id = match self.id.load(Ordering::Acquire) {
                NONE => {
                    let mut state = self.state();
                    match self.open(&mut state, false) {
                        Some(id) => id,
                        None => return false,
                    }
                }
                id => id,
            };
            match self.kernel.sem_op(id, delta, wait) {
                Ok(()) => {
                    self.state().error = Error::none();
                    return true;
                }
                // Somebody removed it: as Qt, make it anew with our own initial value.
                Err(Errno::EIDRM | Errno::EINVAL) => self.forget(id),
                Err(other) => {
                    errno = other;
                    break;
                }
            }
        }
        self.state().error = texts::of_operation(errno);
        false
    }

    /// Opens the semaphore, if it is not open; its id.
    fn open(&self, state: &mut State<K>, reset: bool) -> Option<i32> {
        if let Some(semaphore) = &state.semaphore {
            return Some(semaphore.id());
        }
        if state.key.is_empty() {
            state.error = texts::empty_semaphore_key();
            return None;
        }
        let actor = self.actor(state);
        let places = Places::of_key(&state.key, actor.identity.uid);
        if places
            .machine
            .semaphore
            .as_deref()
            .is_some_and(key::name_too_long)
        {
            state.error = texts::no_semaphore_key_file();
            return None;
        }
        let role = Role::Counter {
            initial: state.initial,
            reset,
        };
        match semaphore::resolve(&actor, &places, role) {
            Ok(semaphore) => {
                let id = semaphore.id();
                self.id.store(id, Ordering::Release);
                state.semaphore = Some(semaphore);
                Some(id)
            }
            Err(trouble) => {
                state.error =
                    texts::of_semaphore(&trouble).with_detail(detail(&actor, &places, &trouble));
                None
            }
        }
    }

    fn close(&self, state: &mut State<K>) {
        self.id.store(NONE, Ordering::Release);
        if let Some(semaphore) = state.semaphore.take() {
            semaphore.close(&self.actor(state));
        }
    }

    /// Forgets a semaphore that was removed, so that the next attempt makes another.
    fn forget(&self, id: i32) {
        let mut state = self.state();
        if state
            .semaphore
            .as_ref()
            .is_some_and(|semaphore| semaphore.id() == id)
        {
            self.id.store(NONE, Ordering::Release);
            state.semaphore = None;
        }
    }
}

impl<K: Kernel> Drop for SystemSemaphore<K> {
    fn drop(&mut self) {
        let mut state = self.state();
        self.close(&mut state);
    }
}
