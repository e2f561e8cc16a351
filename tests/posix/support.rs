//! Keys and objects for these tests.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use qshm::key::{KeyType, NativeKey};
use qshm::{ErrorKind, OpenMode, SharedMemory, SystemSemaphore};

/// A child of one test would be attached to what another has attached: they take turns.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key of the test's own.
pub fn key(name: &str) -> NativeKey {
    let name = format!("/qshm-posix-{name}-{}", std::process::id());
    NativeKey::new(KeyType::Posix, name.into(), false)
}

pub fn memory(key: &NativeKey) -> SharedMemory {
    let memory = SharedMemory::new();
    memory.set_native_ipc_key(key.clone());
    memory
}

pub fn semaphore(key: &NativeKey, initial: i32) -> SystemSemaphore {
    let semaphore = SystemSemaphore::new();
    semaphore.set_native_ipc_key(key.clone(), initial, OpenMode::Open);
    assert_eq!(semaphore.error().kind(), ErrorKind::NoError);
    semaphore
}

pub fn files(key: &NativeKey) -> [PathBuf; 2] {
    key.objects().unwrap().into()
}

pub fn assert_gone(key: &NativeKey) {
    for file in files(key) {
        assert!(!file.exists(), "{} is left", file.display());
    }
}
