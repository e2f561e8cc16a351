//! `QSystemSemaphore`, call by call.

mod posix;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::actor::Actor;
use crate::diagnosis::{Diagnosis, Subject};
use crate::error::Error;
use crate::identity::Identity;
use crate::kernel::{Errno, Kernel, Linux, Wait};
use crate::key::{self, Key, KeyType, NativeKey};
use crate::named;
use crate::notes::Guard;
use crate::options::{self, Dialect, OptionsUpdate};
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
    /// The same of a POSIX semaphore.
    named: posix::Named,
}

/// What `setKey()` or `setNativeKey()` chose.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Chosen {
    Key(Key),
    Ipc(NativeKey),
}

impl Chosen {
    fn is_empty(&self) -> bool {
        match self {
            Chosen::Key(key) => key.is_empty(),
            Chosen::Ipc(key) => key.is_empty(),
        }
    }

    fn is_posix(&self) -> bool {
        matches!(self, Chosen::Ipc(key) if key.kind() == KeyType::Posix)
    }

    fn dialect(&self) -> Dialect {
        match self {
            Chosen::Key(_) => options::dialect(),
            Chosen::Ipc(_) => Dialect::Qt66,
        }
    }

    /// The directory that its files are in.
    fn directory(&self) -> Option<PathBuf> {
        let file = match self {
            Chosen::Key(key) => key.semaphore_file(),
            Chosen::Ipc(_) if self.is_posix() => return Some(key::SHM_DIRECTORY.into()),
            Chosen::Ipc(key) => key.segment(),
        };
        file.parent().map(PathBuf::from)
    }

    fn places(&self, uid: u32) -> Places {
        match self {
            Chosen::Key(key) => Places::of_key(key, uid),
            Chosen::Ipc(key) => Places::of_native_ipc_semaphore(key, uid),
        }
    }
}

#[derive(Debug)]
struct State<K: Kernel> {
    options: OptionsUpdate,
    key: Chosen,
    initial: i32,
    semaphore: Option<Semaphore<K>>,
    posix: Option<named::Semaphore<K>>,
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
                key: Chosen::Key(Key::null()),
                initial: 0,
                semaphore: None,
                posix: None,
                error: Error::none(),
            }),
            id: AtomicI32::new(NONE),
            named: posix::Named::new(),
        }
    }

    fn state(&self) -> Guard<'_, State<K>> {
        Guard::of(&self.state)
    }

    fn actor(&self, state: &State<K>) -> Actor<K> {
        let mut actor = Actor::new(&self.kernel, self.identity, state.options);
        if let Chosen::Ipc(key) = &state.key {
            actor = actor.with_native_key(&key.of_semaphore());
        }
        match state.key.directory() {
            Some(directory) => actor.in_directory(&directory),
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
        self.set(Chosen::Key(key), initial, mode);
    }

    /// `QSystemSemaphore::setNativeKey()` of Qt 6.6 and later: as [`set_key`](Self::set_key), with
    /// errors in the words of these versions.
    pub fn set_native_ipc_key(&self, key: NativeKey, initial: i32, mode: OpenMode) {
        self.set(Chosen::Ipc(key), initial, mode);
    }

    /// A key of a type that there is not on this system: nothing happens but the error.
    pub(crate) fn refuse_key_type(&self) {
        self.named.fail();
        self.state().error = texts::unsupported_key_type("QSystemSemaphore::setNativeKey");
    }

    fn set(&self, key: Chosen, initial: i32, mode: OpenMode) {
        let mut state = self.state();
        let state = &mut *state;
        let empty = state.key.is_empty() && key.is_empty() && key.dialect() == Dialect::Qt5;
        if (state.key == key || empty) && mode == OpenMode::Open {
            return;
        }
        // A new object has the type of its first key already, and no key.
        let new = state.key == Chosen::Key(Key::null());
        if new && key.is_empty() && mode == OpenMode::Open {
            state.key = key;
            return;
        }
        state.error = Error::none();
        self.close(state);
        state.key = key;
        state.initial = initial;
        if state.key.is_posix() && !state.key.is_empty() {
            self.open_posix(state, mode == OpenMode::Create);
        } else {
            self.open(state, mode == OpenMode::Create);
        }
    }

    /// `QSystemSemaphore::acquire()`: takes one, and waits until there is one to take.
    ///
    /// # Errors
    /// Those of [`set_key`](Self::set_key).
    pub fn acquire(&self) -> bool {
        if let Some(answer) = self.acquire_posix() {
            return answer;
        }
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
        if let Some(answer) = self.release_posix(n) {
            return answer;
        }
        if let Ok(n) = i16::try_from(n) {
            return self.change(n, Wait::No);
        }
        let mut state = self.state();
        state.error = operation_error(state.key.dialect(), Errno::ERANGE);
        false
    }

    /// The error of the last call, unless that was refused for its argument.
    pub fn error(&self) -> Error {
        self.state().error.clone()
    }

    /// What there is to this key, and whether it can be used. (Who has a System V semaphore,
    /// nothing tells.)
    ///
    /// ```
    /// use qshm::diagnosis::Verdict;
    /// use qshm::{Key, OpenMode, SystemSemaphore};
    ///
    /// let semaphore = SystemSemaphore::new();
    /// let key = Key::new(b"org.example.told", &qshm::key::temp_dir());
    /// semaphore.set_key(key, 1, OpenMode::Open);
    /// assert_eq!(semaphore.diagnosis().verdict, Verdict::Live);
    /// ```
    pub fn diagnosis(&self) -> Diagnosis {
        let state = self.state();
        let actor = self.actor(&state);
        let places = state.key.places(actor.identity.uid);
        Diagnosis::of(&actor, &places, Subject::Semaphore)
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
        let mut state = self.state();
        state.error = operation_error(state.key.dialect(), errno);
        false
    }

    /// Opens the semaphore, if it is not open; its id.
    fn open(&self, state: &mut State<K>, reset: bool) -> Option<i32> {
        if let Some(semaphore) = &state.semaphore {
            return Some(semaphore.id());
        }
        if state.key.is_empty() {
            state.error = match &state.key {
                Chosen::Key(_) => texts::empty_semaphore_key(),
                Chosen::Ipc(key) => texts::empty_semaphore_key_66(key.kind()),
            };
            return None;
        }
        let actor = self.actor(state);
        let places = state.key.places(actor.identity.uid);
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
                let error = match state.key.dialect() {
                    Dialect::Qt5 => texts::of_semaphore(&trouble),
                    Dialect::Qt66 => texts::of_semaphore_66(&trouble),
                };
                state.error =
                    error.with_detail(detail(&actor, &places, Subject::Semaphore, &trouble));
                None
            }
        }
    }

    fn close(&self, state: &mut State<K>) {
        self.close_posix(state);
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

fn operation_error(dialect: Dialect, errno: Errno) -> Error {
    match dialect {
        Dialect::Qt5 => texts::of_operation(errno),
        Dialect::Qt66 => texts::of_operation_66(errno),
    }
}
