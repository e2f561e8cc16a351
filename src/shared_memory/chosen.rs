//! Which segment an object is for, and in whose words it speaks of it.

use std::path::PathBuf;

use crate::actor::Actor;
use crate::error::{Error, ErrorKind};
use crate::kernel::{Errno, Kernel};
use crate::key::{self, Key, KeyType, NameFault, NativeKey};
use crate::options::{self, Dialect};
use crate::place::Places;
use crate::texts::{self, Call, Finding};
use crate::trouble::Trouble;

use super::lock::LockKey;
use super::{SharedMemory, State};

/// What `setKey()` or `setNativeKey()` chose.
#[derive(Clone, Debug)]
pub(super) enum Chosen {
    Key(Key),
    /// `setNativeKey()` of Qt up to 6.5.
    Native(PathBuf),
    /// `setNativeKey()` of Qt 6.6 and later.
    Ipc(NativeKey),
}

impl Chosen {
    /// The segment's key file, or the name of a POSIX segment; empty without a key.
    pub fn file(&self) -> PathBuf {
        match self {
            Chosen::Key(key) => key.segment_file(),
            Chosen::Native(path) => path.clone(),
            Chosen::Ipc(key) => key.segment(),
        }
    }

    /// The directory that its files are in.
    pub fn directory(&self) -> Option<PathBuf> {
        if self.is_posix() {
            Some(key::SHM_DIRECTORY.into())
        } else {
            self.file().parent().map(PathBuf::from)
        }
    }

    /// Where its objects are.
    pub fn places(&self, uid: u32) -> Places {
        match self {
            Chosen::Key(key) => Places::of_key(key, uid),
            Chosen::Native(path) => Places::of_native_key(path, uid),
            Chosen::Ipc(key) => Places::of_native_ipc_key(key, uid),
        }
    }

    /// Whether there is no key, or an empty one of the type that Qt 6.6 has where none was given.
    fn is_none_66(&self) -> bool {
        match self {
            Chosen::Key(key) => key.is_null(),
            Chosen::Native(_) => false,
            Chosen::Ipc(key) => key.is_empty() && key.kind() == KeyType::Posix,
        }
    }

    pub fn is_posix(&self) -> bool {
        matches!(self, Chosen::Ipc(key) if key.kind() == KeyType::Posix)
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Chosen::Key(_) => options::dialect(),
            Chosen::Native(_) => Dialect::Qt5,
            Chosen::Ipc(_) => Dialect::Qt66,
        }
    }

    /// Whether Qt would have found the key file of a segment that is not there.
    pub fn finding(&self, key_file: bool) -> Finding {
        // One that leads to both objects Qt has made for the semaphore, as a rule.
        let made = matches!(self, Chosen::Ipc(key) if key.segment() == key.semaphore());
        match self.dialect() {
            _ if key_file || made => Finding::NoSegment,
            Dialect::Qt5 => Finding::NoKeyFile,
            Dialect::Qt66 => Finding::NoKeyFile66,
        }
    }

    /// What Qt would say of some trouble.
    pub fn error_of(&self, trouble: &Trouble, call: Call) -> Error {
        let native = matches!(self, Chosen::Native(_));
        match self.dialect() {
            Dialect::Qt5 => texts::of_segment(trouble, call, native),
            Dialect::Qt66 => texts::of_segment_66(trouble, call, self.is_posix()),
        }
    }
}

impl<K: Kernel> SharedMemory<K> {
    /// What Qt does first in `create()` and `attach()`: the lock follows the key. The places of
    /// the segment; `None` without a key.
    pub(super) fn begin(
        &self,
        state: &mut State<K>,
        actor: &Actor<K>,
        call: Call,
    ) -> Result<Option<Places>, Error> {
        if state.chosen.dialect() == Dialect::Qt66 {
            return self.begin_66(state, actor, call).map(Some);
        }
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

    /// The same, as Qt 6.6 and later do it: without a usable name for the lock there is nothing.
    fn begin_66(
        &self,
        state: &mut State<K>,
        actor: &Actor<K>,
        call: Call,
    ) -> Result<Places, Error> {
        // To its semaphore Qt gives the key that it has already: that of none.
        let nothing_yet = call == Call::Attach && state.lock == LockKey::Unset;
        if nothing_yet && state.chosen.is_none_66() {
            return Err(texts::no_key_66());
        }
        let semaphore_error = match &state.chosen {
            Chosen::Key(key) if key.is_null() => {
                Some(texts::empty_semaphore_key_66(KeyType::Posix))
            }
            Chosen::Ipc(key) if key.is_empty() => Some(texts::empty_semaphore_key_66(key.kind())),
            Chosen::Ipc(key) if key.kind() == KeyType::Posix => match key.objects() {
                Ok(_) => None,
                Err(NameFault::TooLong) => Some(texts::semaphore_name_too_long()),
                Err(NameFault::Invalid) => Some(texts::of_semaphore_call(
                    Errno::EINVAL,
                    "QSystemSemaphore::handle",
                )),
            },
            _ => {
                let places = state.places(actor.identity.uid);
                let semaphore = places.machine.semaphore;
                if places.machine.segment.as_os_str().is_empty() {
                    Some(texts::empty_semaphore_key())
                } else {
                    semaphore
                        .is_none_or(|path| key::name_too_long(&path))
                        .then(texts::no_semaphore_key_file)
                }
            }
        };
        // Qt makes the one key file now, for the semaphore.
        let no_directory = || {
            let directory = state.chosen.directory();
            let directory = directory.filter(|path| !path.as_os_str().is_empty())?;
            let found = actor.kernel.lstat(&directory);
            matches!(found, Err(Errno::ENOENT | Errno::ENOTDIR)).then(texts::no_semaphore_key_file)
        };
        let semaphore_error = match semaphore_error {
            None if actor.one_file => no_directory(),
            error => error,
        };
        if let Some(error) = semaphore_error {
            self.change_lock(state, actor, LockKey::Failed);
            return Err(texts::lock_key_failed_66(&error));
        }
        let places = state.places(actor.identity.uid);
        if state.lock != LockKey::Of(places.clone()) {
            self.change_lock(state, actor, LockKey::Of(places.clone()));
        }
        Ok(places)
    }
}
