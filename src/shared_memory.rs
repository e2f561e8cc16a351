//! `QSharedMemory`, call by call.

mod chosen;
mod failing;
mod lock;
mod named_lock;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use crate::actor::Actor;
use crate::diagnosis::{self, Diagnosis, Subject};
#[allow(unused_imports)] // Named in the documentation.
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::kernel::{Kernel, Linux};
use crate::key::{self, Key, NativeKey};
use crate::named;
use crate::notes::{self, Guard};
use crate::options::{self, Dialect, OptionsUpdate};
use crate::place::Places;
use crate::segment::{Attached, Created, Found};
use crate::semaphore::Semaphore;
use crate::texts::{self, Call, Finding};

use chosen::Chosen;
pub(crate) use failing::detail;
use failing::{fail, fail_by};
use lock::LockKey;
use named_lock::NamedLock;

/// How the memory is attached: `QSharedMemory::AccessMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum AccessMode {
    /// Writing is a memory fault (`SIGSEGV`).
    ReadOnly = 0,
    /// Reading and writing.
    #[default]
    ReadWrite = 1,
}

/// No semaphore is open.
const NONE: i32 = -1;

/// A segment of shared memory and its lock, as `QSharedMemory`.
///
/// Every call answers as Qt's does and keeps the last [`Error`] as Qt's does: a successful
/// [`create`](Self::create) or [`attach`](Self::attach) clears it, other calls do not. All calls
/// may be made from any thread; nothing is held while [`lock`](Self::lock) waits.
#[derive(Debug)]
pub struct SharedMemory<K: Kernel = Linux> {
    kernel: K,
    identity: Option<Identity>,
    state: Mutex<State<K>>,
    /// Address and size of what is attached, and the semaphore's id, beside the state: they are
    /// asked for all the time.
    data: AtomicUsize,
    size: AtomicUsize,
    semaphore: AtomicI32,
    /// The same of a POSIX semaphore.
    named_lock: NamedLock,
    /// The fork mark of the process that is between lock() and unlock() by this object; 0 if none. A
    /// forked child is not.
    locked_by: AtomicU32,
}

#[derive(Debug)]
struct State<K: Kernel> {
    options: OptionsUpdate,
    chosen: Chosen,
    /// Where the objects of the key are for this user, made once: paths take time.
    places: Option<(u32, Places)>,
    lock: LockKey,
    attached: Option<Segment<K>>,
    semaphore: Option<Semaphore<K>>,
    named: named_lock::State<K>,
    error: Error,
}

/// What is attached.
#[derive(Debug)]
enum Segment<K: Kernel> {
    SystemV(Attached<K>),
    Posix(named::Attached),
}

impl<K: Kernel> State<K> {
    /// Where the objects of the key are for a user.
    fn places(&mut self, uid: u32) -> Places {
        match &self.places {
            Some((of, places)) if *of == uid => places.clone(),
            _ => {
                let places = self.chosen.places(uid);
                self.places = Some((uid, places.clone()));
                places
            }
        }
    }
}

impl SharedMemory<Linux> {
    /// An object without a key.
    pub fn new() -> Self {
        Self::with_kernel(Linux, None)
    }
}

impl Default for SharedMemory<Linux> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kernel> SharedMemory<K> {
    /// An object without a key, over this kernel. `identity` says on whose behalf it acts;
    /// `None`: as [`crate::identity::current`] finds.
    pub fn with_kernel(kernel: K, identity: Option<Identity>) -> Self {
        SharedMemory {
            kernel,
            identity,
            state: Mutex::new(State {
                options: OptionsUpdate::default(),
                chosen: Chosen::Key(Key::null()),
                places: None,
                lock: LockKey::Unset,
                attached: None,
                semaphore: None,
                named: named_lock::State::new(),
                error: Error::none(),
            }),
            data: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            semaphore: AtomicI32::new(NONE),
            named_lock: NamedLock::new(),
            locked_by: AtomicU32::new(0),
        }
    }

    fn state(&self) -> Guard<'_, State<K>> {
        Guard::of(&self.state)
    }

    fn actor(&self, state: &State<K>) -> Actor<K> {
        let mut actor = Actor::new(&self.kernel, self.identity, state.options);
        if let Chosen::Ipc(key) = &state.chosen {
            actor = actor.with_native_key(key);
        }
        if !actor.identity.acting_as_root {
            return actor;
        }
        match state.chosen.directory() {
            Some(directory) => actor.in_directory(&directory),
            None => actor,
        }
    }

    /// Policies of this object; they count from the next `create()` or `attach()` on.
    pub fn set_options(&self, update: OptionsUpdate) {
        let mut state = self.state();
        state.options = update.or(state.options);
    }

    /// `QSharedMemory::setKey()`: detaches, unless the key stays the same. (With Qt 6.6 and later
    /// it detaches then, too.)
    pub fn set_key(&self, key: Key) {
        let mut state = self.state();
        if let (Chosen::Key(old), Dialect::Qt5) = (&state.chosen, options::dialect()) {
            if *old == key || old.is_empty() && key.is_empty() {
                return;
            }
        }
        self.leave(&mut state);
        state.chosen = Chosen::Key(key);
        state.places = None;
    }

    /// `QSharedMemory::setNativeKey()`: the key file itself. There is then no lock, as in Qt 5.
    pub fn set_native_key(&self, path: PathBuf) {
        let mut state = self.state();
        let same = match &state.chosen {
            Chosen::Native(old) => *old == path,
            Chosen::Key(old) => old.is_null() && path.as_os_str().is_empty(),
            Chosen::Ipc(_) => false,
        };
        if !same {
            self.leave(&mut state);
            state.chosen = Chosen::Native(path);
            state.places = None;
        }
    }

    /// `QSharedMemory::setNativeKey()` of Qt 6.6 and later: detaches. From then on errors have the
    /// words of these versions.
    pub fn set_native_ipc_key(&self, key: NativeKey) {
        let mut state = self.state();
        self.leave(&mut state);
        state.chosen = Chosen::Ipc(key);
        state.places = None;
    }

    /// A key of a type that there is not on this system: nothing happens but the error.
    pub(crate) fn refuse_key_type(&self) {
        self.state().error = texts::unsupported_key_type("QSharedMemory::setNativeKey");
    }

    /// `QSharedMemory::nativeKey()`: the path of the machine-wide key file; empty without a key.
    pub fn native_key(&self) -> PathBuf {
        self.state().chosen.file()
    }

    /// `QSharedMemory::create()`: makes a segment of `size` bytes, all zero, and attaches to it.
    /// Of a segment that no process is attached to any more nothing is kept, unless the policy
    /// [`Leftover::Keep`](crate::Leftover::Keep) says so.
    ///
    /// # Errors
    /// [`KeyError`](ErrorKind::KeyError), [`InvalidSize`](ErrorKind::InvalidSize),
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if it is in use (at once, whoever holds the
    /// lock), [`PermissionDenied`](ErrorKind::PermissionDenied),
    /// [`OutOfResources`](ErrorKind::OutOfResources), [`Busy`](ErrorKind::Busy).
    pub fn create(&self, size: i64, mode: AccessMode) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        let actor = self.actor(state);
        let places = match self.begin(state, &actor, Call::Create) {
            Ok(places) => places,
            Err(error) => return fail(state, error),
        };
        if size <= 0 {
            return fail(state, texts::invalid_size());
        }
        let Some(places) = places else {
            return fail(state, texts::no_key(Call::Create));
        };
        let Ok(size) = usize::try_from(size) else {
            return fail(state, texts::invalid_size());
        };
        let posix = state.chosen.is_posix();
        if state.attached.is_some() {
            return fail(state, texts::already_exists(posix));
        }
        if posix {
            return self.create_posix(state, &actor, &places, size, mode);
        }
        match Attached::create(&actor, &places, size, mode == AccessMode::ReadOnly) {
            Ok(Created::New(attached, semaphore)) => {
                if let Some(semaphore) = semaphore {
                    match state.semaphore {
                        // Still open from before: one user more or less is the same user.
                        Some(_) => semaphore.close(&actor),
                        None => self.keep(state, semaphore),
                    }
                }
                self.enter(state, Segment::SystemV(attached));
                true
            }
            Ok(Created::Exists) => fail(state, texts::already_exists(posix)),
            Err(trouble) => fail_by(state, &actor, &trouble, Call::Create),
        }
    }

    /// `QSharedMemory::attach()`: attaches to a segment that some process has made and is using.
    /// What a crash left is not found; it is cleared.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), also where what is there belongs to somebody else
    /// (then [`Error::detail`] says whose), [`KeyError`](ErrorKind::KeyError),
    /// [`OutOfResources`](ErrorKind::OutOfResources), [`Busy`](ErrorKind::Busy). If it is
    /// attached already: false, and the error of before.
    pub fn attach(&self, mode: AccessMode) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        if state.attached.is_some() {
            return false;
        }
        let actor = self.actor(state);
        let places = match self.begin(state, &actor, Call::Attach) {
            Ok(Some(places)) => places,
            Ok(None) => return fail(state, texts::no_key(Call::Attach)),
            Err(error) => return fail(state, error),
        };
        if state.chosen.is_posix() {
            return self.attach_posix(state, &actor, &places, mode);
        }
        if key::name_too_long(&places.machine.segment) {
            let finding = match state.chosen.dialect() {
                Dialect::Qt5 => Finding::NoKeyFile,
                Dialect::Qt66 => Finding::NoSuchName66,
            };
            return fail(state, texts::not_found(finding));
        }
        match Attached::attach(&actor, &places, mode == AccessMode::ReadOnly) {
            Ok(Found::Segment(attached)) => {
                self.enter(state, Segment::SystemV(attached));
                true
            }
            Ok(Found::Nothing { key_file, obstacle }) => {
                let mut error = texts::not_found(state.chosen.finding(key_file));
                if let Some(obstacle) = obstacle {
                    error = error.with_detail(diagnosis::explain(
                        &actor,
                        &places,
                        Subject::Memory,
                        &obstacle,
                    ));
                }
                fail(state, error)
            }
            Err(trouble) => fail_by(state, &actor, &trouble, Call::Attach),
        }
    }

    /// `QSharedMemory::detach()`: the last process to detach removes the segment. While this
    /// object is between lock() and unlock() it also unlocks, and warns, as Qt does.
    ///
    /// False, and the error of before, if it is not attached.
    pub fn detach(&self) -> bool {
        let mut state = self.state();
        if state.attached.is_none() {
            return false;
        }
        self.leave(&mut state);
        true
    }

    /// Whether a segment is attached.
    pub fn is_attached(&self) -> bool {
        self.data.load(Ordering::Acquire) != 0
    }

    /// The first byte; null if no segment is attached. Other processes write there too.
    pub fn data(&self) -> *mut u8 {
        self.data.load(Ordering::Acquire) as *mut u8
    }

    /// The size in bytes as it was given at creation; 0 if no segment is attached.
    pub fn size(&self) -> usize {
        self.size.load(Ordering::Acquire)
    }

    /// The error of the last call that had one; see the type's own words.
    pub fn error(&self) -> Error {
        self.state().error.clone()
    }

    /// What there is to this key, and whether it can be used: which objects, whose, who has them,
    /// and what is to be done. As text it is a sentence for people.
    ///
    /// ```
    /// use qshm::diagnosis::{State, Verdict};
    /// use qshm::key::{KeyType, NativeKey};
    /// use qshm::{AccessMode, SharedMemory};
    ///
    /// let memory = SharedMemory::new();
    /// // As Qt 6.6 and later have it; setKey() is asked the same way.
    /// let name = format!("/org.example.told.{}", std::process::id());
    /// memory.set_native_ipc_key(NativeKey::new(KeyType::Posix, name.into(), false));
    /// assert!(memory.create(4, AccessMode::ReadWrite));
    /// let diagnosis = memory.diagnosis();
    /// assert_eq!(diagnosis.verdict, Verdict::Live);
    /// assert_eq!(diagnosis.machine_wide.state, Some(State::Live));
    /// let users = &diagnosis.machine_wide.users.seen;
    /// assert_eq!(users[0].pid.unsigned_abs(), std::process::id());
    /// println!("{diagnosis}");
    /// ```
    pub fn diagnosis(&self) -> Diagnosis {
        let state = self.state();
        let actor = self.actor(&state);
        let places = state.chosen.places(actor.identity.uid);
        Diagnosis::of(&actor, &places, Subject::Memory)
    }

    fn enter(&self, state: &mut State<K>, attached: Segment<K>) {
        let (address, size) = match &attached {
            Segment::SystemV(attached) => (attached.address(), attached.size()),
            Segment::Posix(attached) => (attached.address(), attached.size()),
        };
        self.size.store(size, Ordering::Release);
        self.data.store(address, Ordering::Release);
        state.attached = Some(attached);
        state.error = Error::none();
    }

    /// Detaches, if attached.
    fn leave(&self, state: &mut State<K>) {
        let Some(attached) = state.attached.take() else {
            return;
        };
        self.data.store(0, Ordering::Release);
        self.size.store(0, Ordering::Release);
        let actor = self.actor(state);
        let attached = match attached {
            Segment::SystemV(attached) => attached,
            Segment::Posix(attached) => return self.leave_posix(state, &actor, attached),
        };
        let held = self.locked_by.load(Ordering::Acquire) == self.kernel.fork_mark();
        if held {
            notes::warn(notes::QT, "QSharedMemory::lock: already locked".to_owned());
        }
        // First, so that nobody who closes the semaphore now takes it for held and leaves it to us.
        if held {
            let _ = self.give_back();
        }
        let semaphore = state.semaphore.take();
        state.semaphore = attached.detach(&actor, semaphore);
        if state.semaphore.is_none() {
            self.semaphore.store(NONE, Ordering::Release);
        }
    }
}

impl<K: Kernel> Drop for SharedMemory<K> {
    fn drop(&mut self) {
        let mut state = self.state();
        let state = &mut *state;
        self.leave(state);
        if state.semaphore.is_some() || state.named.is_open() {
            let actor = self.actor(state);
            self.change_lock(state, &actor, LockKey::Unset);
        }
        state.named.end(&self.kernel);
    }
}
