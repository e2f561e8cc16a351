//! `QSharedMemory`, call by call.

mod lock;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::actor::Actor;
use crate::diagnosis::{self, Diagnosis};
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::kernel::{Kernel, Linux};
use crate::key::{self, Key};
use crate::notes::{self, Guard};
use crate::options::OptionsUpdate;
use crate::place::Places;
use crate::segment::{Attached, Created, Found};
use crate::semaphore::Semaphore;
use crate::texts::{self, Call};
use crate::trouble::Trouble;

use lock::LockKey;

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
    /// The process that is between lock() and unlock() by this object; 0 if none. A forked child
    /// is not.
    locked_by: AtomicI32,
}

/// Which segment `setKey()` or `setNativeKey()` chose.
#[derive(Clone, Debug)]
enum Chosen {
    Key(Key),
    Native(PathBuf),
}

impl Chosen {
    /// The segment's key file; empty without a key.
    fn file(&self) -> PathBuf {
        match self {
            Chosen::Key(key) => key.segment_file(),
            Chosen::Native(path) => path.clone(),
        }
    }

    /// Where its objects are.
    fn places(&self, uid: u32) -> Places {
        match self {
            Chosen::Key(key) => Places::of_key(key, uid),
            Chosen::Native(path) => Places::of_native_key(path, uid),
        }
    }
}

#[derive(Debug)]
struct State<K: Kernel> {
    options: OptionsUpdate,
    chosen: Chosen,
    /// Where the objects of the key are for this user, made once: paths take time.
    places: Option<(u32, Places)>,
    lock: LockKey,
    attached: Option<Attached<K>>,
    semaphore: Option<Semaphore<K>>,
    error: Error,
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
                error: Error::none(),
            }),
            data: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            semaphore: AtomicI32::new(NONE),
            locked_by: AtomicI32::new(0),
        }
    }

    fn state(&self) -> Guard<'_, State<K>> {
        Guard::of(&self.state)
    }

    fn actor(&self, state: &State<K>) -> Actor<K> {
        let actor = Actor::new(&self.kernel, self.identity, state.options);
        if !actor.identity.acting_as_root {
            return actor;
        }
        match state.chosen.file().parent() {
            Some(directory) => actor.in_directory(directory),
            None => actor,
        }
    }

    /// Policies of this object; they count from the next `create()` or `attach()` on.
    pub fn set_options(&self, update: OptionsUpdate) {
        let mut state = self.state();
        state.options = update.or(state.options);
    }

    /// `QSharedMemory::setKey()`: detaches, unless the key stays the same.
    pub fn set_key(&self, key: Key) {
        let mut state = self.state();
        if let Chosen::Key(old) = &state.chosen {
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
        };
        if !same {
            self.leave(&mut state);
            state.chosen = Chosen::Native(path);
            state.places = None;
        }
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
        if state.attached.is_some() {
            return fail(state, texts::already_exists());
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
                self.enter(state, attached);
                true
            }
            Ok(Created::Exists) => fail(state, texts::already_exists()),
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
        if key::name_too_long(&places.machine.segment) {
            return fail(state, texts::not_found(false));
        }
        match Attached::attach(&actor, &places, mode == AccessMode::ReadOnly) {
            Ok(Found::Segment(attached)) => {
                self.enter(state, attached);
                true
            }
            Ok(Found::Nothing { key_file, obstacle }) => {
                let mut error = texts::not_found(key_file);
                if let Some(obstacle) = obstacle {
                    error = error.with_detail(diagnosis::explain(&actor, &places, &obstacle));
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

    /// What there is to this key, and whether it can be used.
    pub fn diagnosis(&self) -> Diagnosis {
        let state = self.state();
        let actor = self.actor(&state);
        Diagnosis::of(&actor, &state.chosen.places(actor.identity.uid))
    }

    /// What Qt does first in `create()` and `attach()`: the lock follows the key. The places of
    /// the segment; `None` without a key.
    fn begin(
        &self,
        state: &mut State<K>,
        actor: &Actor<K>,
        call: Call,
    ) -> Result<Option<Places>, Error> {
        let places = state.places(actor.identity.uid);
        let native = matches!(state.chosen, Chosen::Native(_));
        if places.machine.segment.as_os_str().is_empty() || native {
            if matches!(state.lock, LockKey::Of(_)) {
                self.change_lock(state, actor, LockKey::Failed);
            }
            if state.lock == LockKey::Failed {
                return Err(texts::lock_key_failed(ErrorKind::KeyError));
            }
            // Qt takes the lock of a key that is empty but not null, and can't.
            let tries_to_lock = matches!(&state.chosen, Chosen::Key(key) if !key.is_null());
            if call == Call::Create || tries_to_lock {
                state.lock = LockKey::Failed;
            }
            if tries_to_lock {
                return Err(texts::unable_to_lock(call.function()));
            }
        } else {
            if places
                .machine
                .semaphore
                .as_deref()
                .is_some_and(key::name_too_long)
            {
                self.change_lock(state, actor, LockKey::Failed);
                return Err(texts::lock_key_failed(ErrorKind::KeyError));
            }
            if state.lock != LockKey::Of(places.clone()) {
                self.change_lock(state, actor, LockKey::Of(places.clone()));
            }
        }
        let empty = places.machine.segment.as_os_str().is_empty();
        Ok((!empty).then_some(places))
    }

    fn enter(&self, state: &mut State<K>, attached: Attached<K>) {
        self.size.store(attached.size(), Ordering::Release);
        self.data.store(attached.address(), Ordering::Release);
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
        let held = self.locked_by.load(Ordering::Acquire) == self.kernel.getpid();
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

/// What Qt would say of this trouble, with what is known more behind it.
fn fail_by<K: Kernel>(
    state: &mut State<K>,
    actor: &Actor<K>,
    trouble: &Trouble,
    call: Call,
) -> bool {
    let native = matches!(state.chosen, Chosen::Native(_));
    let places = state.places(actor.identity.uid);
    let error =
        texts::of_segment(trouble, call, native).with_detail(detail(actor, &places, trouble));
    if texts::is_of_lock_key(&error) && state.semaphore.is_none() {
        state.lock = LockKey::Failed;
    }
    fail(state, error)
}

fn fail<K: Kernel>(state: &mut State<K>, error: Error) -> bool {
    state.error = error;
    false
}

/// What is known more of some trouble, for behind Qt's text.
pub(crate) fn detail<K: Kernel>(actor: &Actor<K>, places: &Places, trouble: &Trouble) -> String {
    let name = |path: &Path| path.display().to_string();
    match trouble {
        Trouble::InTheWay(obstacle) => diagnosis::explain(actor, places, obstacle),
        Trouble::Busy(path) => format!(
            "another process keeps {} locked for longer than {} ms",
            name(path),
            actor.options.lock_wait.as_millis()
        ),
        Trouble::System { errno, what, .. } => format!("{what}: {}", errno.desc()),
        Trouble::Changed => String::new(),
    }
}

impl<K: Kernel> Drop for SharedMemory<K> {
    fn drop(&mut self) {
        let mut state = self.state();
        let state = &mut *state;
        self.leave(state);
        if state.semaphore.is_some() {
            let actor = self.actor(state);
            self.change_lock(state, &actor, LockKey::Unset);
        }
    }
}
