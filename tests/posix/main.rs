//! POSIX objects without Qt: forked children, what stays open, and what many users come to.

#![allow(clippy::unwrap_used, unsafe_code)]

mod accounts;
mod in_the_way;
mod others_dead;
mod own_slots;
#[path = "../processes/mod.rs"]
mod processes;
mod stolen;
mod support;

use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use processes::{child, ends_well, hear, kill, kill_and_wait, say};
use qshm::key::{KeyType, NativeKey};
use qshm::{AccessMode, OpenMode, SystemSemaphore};

use support::{alone, assert_gone, key, memory, semaphore};

#[test]
fn a_forked_child_is_attached_like_its_parent() {
    let _alone = alone();
    let key = key("daemon");
    let (here, there) = UnixStream::pair().unwrap();
    let starter = child(|| {
        let segment = memory(&key);
        assert!(segment.create(4, AccessMode::ReadWrite));
        child(|| {
            hear(&there);
            assert!(segment.lock() && segment.unlock());
            assert!(segment.detach());
            say(&there);
        });
    });
    ends_well(starter);
    // Its parent has gone, and it has not said anything to the kernel since.
    let other = memory(&key);
    assert!(other.attach(AccessMode::ReadWrite));
    assert!(other.detach());
    say(&here);
    hear(&here);
    assert!(!other.attach(AccessMode::ReadWrite));
    assert_gone(&key);
}

/// What the parent has locked is not the child's: it is free when the parent is dead.
#[test]
fn a_forked_child_keeps_no_lock_of_its_dead_parent() {
    let _alone = alone();
    let key = key("inside");
    let (here, there) = UnixStream::pair().unwrap();
    let mine = memory(&key);
    assert!(mine.create(4, AccessMode::ReadWrite));
    let holder = child(|| {
        let segment = memory(&key);
        assert!(segment.attach(AccessMode::ReadWrite));
        assert!(segment.lock());
        // It lives on, with all that it inherited, until the test is over.
        let _child = child(|| hear(&there));
        say(&there);
        std::thread::park();
    });
    hear(&here);
    assert!(!mine.try_lock(Duration::ZERO));
    kill_and_wait(holder);
    assert!(mine.try_lock(Duration::from_secs(10)));
    assert!(mine.unlock());
    say(&here);
    assert!(mine.detach());
    drop(here);
    drop(mine);
    // The child of the dead one may still be attached; then the next one clears up.
    let last = memory(&key);
    while !last.create(4, AccessMode::ReadWrite) {
        std::thread::yield_now();
    }
    drop(last);
    assert_gone(&key);
}

/// A child that uses its parent's objects is another user, and its unlock() frees nothing of its
/// parent's.
#[test]
fn a_forked_child_has_a_slot_of_its_own() {
    let _alone = alone();
    let key = key("child");
    let mine = memory(&key);
    let count = SystemSemaphore::new();
    let counter = NativeKey::new(
        KeyType::Posix,
        format!("{}-count", key.name().display()).into(),
        false,
    );
    count.set_native_ipc_key(counter.clone(), 2, OpenMode::Open);
    assert!(mine.create(4, AccessMode::ReadWrite));
    assert!(mine.lock());
    assert!(count.acquire());
    let heir = child(|| {
        assert!(!mine.unlock());
        assert!(!mine.try_lock(Duration::ZERO));
        assert!(count.acquire());
    });
    ends_well(heir);
    // What the child acquired came back with its end, what the parent has did not.
    assert!(count.acquire());
    let waiter = child(|| {
        let other = semaphore(&counter, 0);
        assert!(other.acquire());
    });
    assert!(count.release(1));
    ends_well(waiter);
    assert!(mine.unlock());
    drop(mine);
    drop(count);
    assert_gone(&key);
    assert_gone(&counter);
}

/// The kill may come anywhere between the steps of an operation: the sum is right all the same.
#[test]
fn counts_survive_kills_at_any_moment() {
    const AT_ALL: i32 = 3;
    let _alone = alone();
    let key = key("sum");
    let mine = semaphore(&key, AT_ALL);
    for round in 0..60 {
        let workers = [(); 3].map(|()| {
            child(|| {
                let own = semaphore(&key, 0);
                loop {
                    assert!(own.acquire() && own.release(1));
                }
            })
        });
        std::thread::sleep(Duration::from_micros(200 + 37 * round));
        for worker in workers {
            kill(worker);
        }
        for worker in workers {
            waitpid(worker, None).unwrap();
        }
        for _ in 0..AT_ALL {
            assert!(mine.acquire());
        }
        let one_more = child(|| {
            let own = semaphore(&key, 0);
            assert!(own.acquire());
        });
        // It ends if there were more, and waits if there were not.
        let waiting = format!("{} ", nix::libc::SYS_futex);
        let is_waiting = || {
            std::fs::read_to_string(format!("/proc/{one_more}/syscall"))
                .is_ok_and(|call| call.starts_with(&waiting))
        };
        while !is_waiting() {
            assert!(
                waitpid(one_more, Some(nix::sys::wait::WaitPidFlag::WNOHANG))
                    .is_ok_and(|state| state == WaitStatus::StillAlive),
                "there were more than {AT_ALL}"
            );
            std::thread::yield_now();
        }
        assert!(mine.release(AT_ALL));
        ends_well(one_more);
    }
    drop(mine);
    assert_gone(&key);
}

#[test]
fn an_attached_segment_needs_no_descriptor() {
    let _alone = alone();
    let key = key("fd");
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let segment = memory(&key);
    let counted = child(|| {
        let before = open();
        assert!(segment.create(4, AccessMode::ReadWrite));
        assert_eq!(open(), before);
        assert!(segment.lock());
        assert_eq!(open(), before + 1);
        drop(segment);
        assert_eq!(open(), before);
    });
    ends_well(counted);
    assert_gone(&key);
}
