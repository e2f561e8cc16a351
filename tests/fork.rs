//! Forked children that go on using what their parent opened.

#![allow(clippy::unwrap_used)]

mod processes;

use std::cell::RefCell;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::libc;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use processes::{child, ends_well, hear, say};
use qshm::key::{KeyType, NativeKey};
use qshm::{AccessMode, Key, OpenMode, SharedMemory, SystemSemaphore};

/// A child of one test would have what another has open, and count for a user of it: they take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let _alone = alone();
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
    let _alone = alone();
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

/// Whether a process waits for a semaphore.
fn is_in_semop(pid: Pid) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|word| word.parse().ok());
    [libc::SYS_semop, libc::SYS_semtimedop]
        .map(Some)
        .contains(&number)
}

/// As daemons do, the holder of a semaphore closes every descriptor that it knows nothing of.
#[test]
fn who_closes_all_descriptors_still_uses_a_semaphore() {
    let _alone = alone();
    let temp = temp("closed");
    let key = Key::new(b"closed", &temp);
    let native = NativeKey::new(KeyType::SystemV(b'Q'), temp.join("native"), false);
    for native in [None, Some(native)] {
        let file = native
            .as_ref()
            .map_or_else(|| key.semaphore_file(), |key| key.name().to_owned());
        let semaphore = || {
            let semaphore = SystemSemaphore::new();
            match &native {
                Some(key) => semaphore.set_native_ipc_key(key.clone(), 1, OpenMode::Open),
                None => semaphore.set_key(key.clone(), 1, OpenMode::Open),
            }
            semaphore
        };
        let (here, there) = UnixStream::pair().unwrap();
        let holder = child(|| {
            let own = semaphore();
            assert!(own.acquire(), "{}", own.error());
            for fd in (3..256).filter(|fd| *fd != there.as_raw_fd()) {
                let _ = nix::unistd::close(fd);
            }
            say(&there);
            hear(&there);
            assert!(own.release(1));
            drop(own);
        });
        hear(&here);
        // Not the last one out, nor alone.
        drop(semaphore());
        assert!(file.exists());
        let next = semaphore();
        let waiter = child(|| assert!(next.acquire()));
        while !is_in_semop(waiter) {
            let state = waitpid(waiter, Some(WaitPidFlag::WNOHANG));
            assert_eq!(state, Ok(WaitStatus::StillAlive), "two are inside");
            std::thread::yield_now();
        }
        say(&here);
        ends_well(holder);
        ends_well(waiter);
        drop(next);
        assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0);
    }
    std::fs::remove_dir(&temp).unwrap();
}
