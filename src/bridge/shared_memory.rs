//! [`crate::SharedMemory`] as C++ has it.

use std::os::unix::ffi::OsStringExt;
use std::ptr;
use std::time::Duration;

use super::convert::path_of;
use super::diagnosis::diagnosis_of;
use super::ffi;
use super::held::Held;
use crate::AccessMode;
use crate::diagnosis::Diagnosis;
use crate::key::{Key, KeyType, NativeKey, temp_dir};

pub(super) type SharedMemory = Held<crate::SharedMemory>;

// cxx has opaque types in boxes.
#[allow(clippy::unnecessary_box_returns)]
pub(super) fn new_shared_memory() -> Box<SharedMemory> {
    Box::new(Held::new(crate::SharedMemory::new))
}

fn mode_of(mode: ffi::AccessMode) -> AccessMode {
    match mode {
        ffi::AccessMode::ReadOnly => AccessMode::ReadOnly,
        _ => AccessMode::ReadWrite,
    }
}

impl SharedMemory {
    pub(super) fn set_options(&self, update: &ffi::OptionsUpdate) {
        self.ask((), |memory| memory.set_options(update.into()));
    }

    pub(super) fn set_key(&self, key: &[u8], temp: &[u8]) {
        self.ask((), |memory| memory.set_key(Key::new(key, path_of(temp))));
    }

    pub(super) fn set_key_in_temp(&self, key: &[u8]) {
        self.ask((), |memory| memory.set_key(Key::new(key, &temp_dir())));
    }

    pub(super) fn clear_key(&self) {
        self.ask((), |memory| memory.set_key(Key::null()));
    }

    pub(super) fn set_native_key(&self, path: &[u8]) {
        self.ask((), |memory| memory.set_native_key(path_of(path).to_owned()));
    }

    pub(super) fn set_native_ipc_key(&self, kind: u16, name: &[u8], semaphore: &[u8]) {
        let path = |name| path_of(name).to_owned();
        let key = KeyType::from_number(kind).map(|kind| {
            let key = NativeKey::new(kind, path(name), false);
            if semaphore.is_empty() {
                key
            } else {
                key.with_semaphore(path(semaphore))
            }
        });
        self.ask((), |memory| match key {
            Some(key) => memory.set_native_ipc_key(key),
            None => memory.refuse_key_type(),
        });
    }

    pub(super) fn native_key(&self) -> Vec<u8> {
        self.ask(Vec::new(), |memory| {
            memory.native_key().into_os_string().into_vec()
        })
    }

    pub(super) fn create(&self, size: i64, mode: ffi::AccessMode) -> bool {
        self.ask(false, |memory| memory.create(size, mode_of(mode)))
    }

    pub(super) fn attach(&self, mode: ffi::AccessMode) -> bool {
        self.ask(false, |memory| memory.attach(mode_of(mode)))
    }

    pub(super) fn detach(&self) -> bool {
        self.ask(false, crate::SharedMemory::detach)
    }

    pub(super) fn is_attached(&self) -> bool {
        self.glance(false, crate::SharedMemory::is_attached)
    }

    pub(super) fn data(&self) -> *mut u8 {
        self.glance(ptr::null_mut(), crate::SharedMemory::data)
    }

    pub(super) fn size(&self) -> usize {
        self.glance(0, crate::SharedMemory::size)
    }

    pub(super) fn lock(&self) -> bool {
        self.glance(false, crate::SharedMemory::lock_at_once)
            || self.ask(false, crate::SharedMemory::lock)
    }

    pub(super) fn try_lock(&self, milliseconds: u64) -> bool {
        self.ask(false, |memory| {
            memory.try_lock(Duration::from_millis(milliseconds))
        })
    }

    pub(super) fn unlock(&self) -> bool {
        self.glance(false, crate::SharedMemory::unlock_at_once)
            || self.ask(false, crate::SharedMemory::unlock)
    }

    pub(super) fn error(&self) -> ffi::ErrorReport {
        self.report("QSharedMemory", crate::SharedMemory::error)
    }

    pub(super) fn diagnosis(&self) -> ffi::DiagnosisReport {
        let diagnosis = self.ask(Diagnosis::default(), crate::SharedMemory::diagnosis);
        diagnosis_of(&diagnosis)
    }
}
