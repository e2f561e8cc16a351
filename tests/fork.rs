//! Forked children that go on using what their parent opened.

#![allow(clippy::unwrap_used)]

mod processes;

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use processes::{child, ends_well, hear, say};
use qshm::{AccessMode, Key, OpenMode, SharedMemory, SystemSemaphore};

/// A temp directory of the test's own.
fn temp(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("qshm-fork-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn memory(temp: &std::path::Path) -> SharedMemory {
    let memory = SharedMemory::new();
    memory.set_key(Key::new(b"fork", temp));
    memory
}

#[test]
fn a_daemon_clears_up_what_its_parent_made() {
    let temp = temp("daemon");
    let (here, there) = UnixStream::pair().unwrap();
    let starter = child(|| {
        let semaphore = SystemSemaphore::new();
        semaphore.set_key(Key::new(b"daemon", &temp), 1, OpenMode::Open);
        let segment = memory(&temp);
        assert!(segment.create(4, AccessMode::ReadWrite));
        child(|| {
            hear(&there);
            assert!(semaphore.acquire() && semaphore.release(1));
            assert!(segment.lock() && segment.unlock());
            drop((semaphore, segment));
            say(&there);
        });
    });
    ends_well(starter);
    say(&here);
    hear(&here);
    assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0);
    std::fs::remove_dir(&temp).unwrap();
}

#[test]
fn a_child_inside_the_lock_bars_nobody_after_it() {
    let temp = temp("inside");
    let (to_worker, worker_side) = UnixStream::pair().unwrap();
    let (to_starter, starter_side) = UnixStream::pair().unwrap();
    let starter = child(|| {
        let segment = RefCell::new(Some(memory(&temp)));
        let lock = || segment.borrow().as_ref().is_some_and(SharedMemory::lock);
        let unlock = || segment.borrow().as_ref().is_some_and(SharedMemory::unlock);
        let made = segment
            .borrow()
            .as_ref()
            .map(|segment| segment.create(4, AccessMode::ReadWrite));
        assert_eq!(made, Some(true));
        let worker = child(|| {
            assert!(lock());
            say(&worker_side);
            hear(&worker_side);
            assert!(unlock());
            say(&worker_side);
            // Idle, and alive, until the test is over.
            hear(&worker_side);
            drop(segment.take());
        });
        hear(&starter_side);
        drop(segment.take());
        say(&starter_side);
        ends_well(worker);
    });
    // The parent leaves while its child is inside.
    hear(&to_worker);
    say(&to_starter);
    hear(&to_starter);
    let third = memory(&temp);
    assert!(third.attach(AccessMode::ReadWrite), "{}", third.error());
    assert!(!third.try_lock(Duration::from_millis(20)));
    assert_eq!(third.error().to_string(), "");
    say(&to_worker);
    hear(&to_worker);
    assert!(third.lock(), "{}", third.error());
    assert!(third.unlock());
    say(&to_worker);
    ends_well(starter);
    drop(third);
    assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0);
    std::fs::remove_dir(&temp).unwrap();
}
