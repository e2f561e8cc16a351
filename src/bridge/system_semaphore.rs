//! [`crate::SystemSemaphore`] as C++ has it.

use super::convert::path_of;
use super::diagnosis::diagnosis_of;
use super::ffi;
use super::held::Held;
use crate::OpenMode;
use crate::diagnosis::Diagnosis;
use crate::key::{Key, KeyType, NativeKey, temp_dir};

pub(super) type SystemSemaphore = Held<crate::SystemSemaphore>;

// cxx has opaque types in boxes.
#[allow(clippy::unnecessary_box_returns)]
pub(super) fn new_system_semaphore() -> Box<SystemSemaphore> {
    Box::new(Held::new(crate::SystemSemaphore::new))
}

fn mode_of(mode: ffi::OpenMode) -> OpenMode {
    match mode {
        ffi::OpenMode::Create => OpenMode::Create,
        _ => OpenMode::Open,
    }
}

impl SystemSemaphore {
    pub(super) fn set_options(&self, update: &ffi::OptionsUpdate) {
        self.ask((), |semaphore| semaphore.set_options(update.into()));
    }

    pub(super) fn set_key(&self, key: &[u8], temp: &[u8], initial: i32, mode: ffi::OpenMode) {
        self.ask((), |semaphore| {
            semaphore.set_key(Key::new(key, path_of(temp)), initial, mode_of(mode));
        });
    }

    pub(super) fn set_key_in_temp(&self, key: &[u8], initial: i32, mode: ffi::OpenMode) {
        self.ask((), |semaphore| {
            semaphore.set_key(Key::new(key, &temp_dir()), initial, mode_of(mode));
        });
    }

    pub(super) fn clear_key(&self, mode: ffi::OpenMode) {
        self.ask((), |semaphore| {
            semaphore.set_key(Key::null(), 0, mode_of(mode));
        });
    }

    pub(super) fn set_native_ipc_key(
        &self,
        kind: u16,
        name: &[u8],
        initial: i32,
        mode: ffi::OpenMode,
    ) {
        let name = path_of(name).to_owned();
        let key = KeyType::from_number(kind).map(|kind| NativeKey::new(kind, name, false));
        self.ask((), |semaphore| match key {
            Some(key) => semaphore.set_native_ipc_key(key, initial, mode_of(mode)),
            None => semaphore.refuse_key_type(),
        });
    }

    pub(super) fn acquire(&self) -> bool {
        self.glance(false, |semaphore| semaphore.add_at_once(-1))
            || self.ask(false, crate::SystemSemaphore::acquire)
    }

    pub(super) fn release(&self, count: i32) -> bool {
        count > 0 && self.glance(false, |semaphore| semaphore.add_at_once(count))
            || self.ask(false, |semaphore| semaphore.release(count))
    }

    pub(super) fn error(&self) -> ffi::ErrorReport {
        self.report("QSystemSemaphore", crate::SystemSemaphore::error)
    }

    pub(super) fn diagnosis(&self) -> ffi::DiagnosisReport {
        let diagnosis = self.ask(Diagnosis::default(), crate::SystemSemaphore::diagnosis);
        diagnosis_of(&diagnosis)
    }
}
