//! A logger that asks the object which is just logging, as an application's message handler may.

#![allow(clippy::unwrap_used)]

use std::sync::{Mutex, OnceLock};

use qshm::{AccessMode, Key, SharedMemory};

static MEMORY: OnceLock<SharedMemory> = OnceLock::new();
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Asking;

impl log::Log for Asking {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let memory = MEMORY.get().unwrap();
        let error = memory.error();
        let other = SharedMemory::new();
        other.set_key(key());
        let attached = other.attach(AccessMode::ReadWrite);
        SAID.lock()
            .unwrap()
            .push(format!("{} {error}{attached}", record.args()));
    }

    fn flush(&self) {}
}

fn key() -> Key {
    let name = format!("log-reentry-{}", std::process::id());
    Key::new(name.as_bytes(), &qshm::key::temp_dir())
}

#[test]
fn a_logger_may_use_the_object_that_logs() {
    log::set_logger(&Asking).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let memory = MEMORY.get_or_init(SharedMemory::new);
    memory.set_key(key());
    assert!(memory.create(4, AccessMode::ReadWrite));
    assert!(memory.lock());
    // Warns as Qt does, and must not find the object or the key locked while it does.
    assert!(memory.detach());
    let said = SAID.lock().unwrap();
    assert_eq!(*said, ["QSharedMemory::lock: already locked false"]);
}
