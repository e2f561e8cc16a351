//! A umask that takes the owner's own rights. Alone in its process, whose umask it sets.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;

use nix::sys::stat::{Mode, umask};
use qshm::{AccessMode, Key, OpenMode, SharedMemory, SystemSemaphore};

#[test]
fn a_umask_that_takes_everything_stops_nobody() {
    let temp = std::env::temp_dir().join(format!("qshm-umask-{}", std::process::id()));
    std::fs::create_dir_all(&temp).unwrap();
    let memory = || {
        let memory = SharedMemory::new();
        memory.set_key(Key::new(b"umask", &temp));
        memory
    };
    let before = umask(Mode::from_bits_truncate(0o777));
    let first = memory();
    let made = first.create(4, AccessMode::ReadWrite);
    let semaphore = SystemSemaphore::new();
    semaphore.set_key(Key::new(b"other", &temp), 1, OpenMode::Open);
    let acquired = semaphore.acquire();
    umask(before);
    assert!(made, "{}", first.error());
    assert!(acquired, "{}", semaphore.error());
    for entry in std::fs::read_dir(&temp).unwrap() {
        // Root would not notice otherwise.
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let second = memory();
    assert!(second.attach(AccessMode::ReadWrite), "{}", second.error());
    drop((first, second, semaphore));
    assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0);
    std::fs::remove_dir(&temp).unwrap();
}
