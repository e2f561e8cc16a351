//! A lock or a semaphore whose holder was killed, seen by those who wait for it: whichever class the
//! two use, and whatever became of the waiter's descriptors.

use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use qshm::{AccessMode, SystemSemaphore};

use crate::processes::{child, ends_well, hear, kill_and_wait, say};
use crate::support::{alone, assert_gone, key, memory, semaphore};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// acquire(), unless it takes too long.
fn acquires(semaphore: SystemSemaphore) -> Option<SystemSemaphore> {
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        let acquired = semaphore.acquire();
        let _ = done.send(acquired.then_some(semaphore));
    });
    is_done.recv_timeout(DEADLINE).ok().flatten()
}

/// A `QSystemSemaphore` and the lock of a `QSharedMemory` of one key are one semaphore, as in Qt.
#[test]
fn a_lock_comes_back_from_a_killed_semaphore_user() {
    let _alone = alone();
    let key = key("from-semaphore");
    let (here, there) = UnixStream::pair().unwrap();
    let holder = child(|| {
        let own = semaphore(&key, 1);
        assert!(own.acquire());
        say(&there);
        std::thread::park();
    });
    hear(&here);
    let mine = memory(&key);
    assert!(mine.create(4, AccessMode::ReadWrite));
    assert!(!mine.try_lock(Duration::from_millis(1)));
    kill_and_wait(holder);
    assert!(mine.try_lock(DEADLINE));
    assert!(mine.unlock());
    drop(mine);
    assert_gone(&key);
}

#[test]
fn a_semaphore_comes_back_from_a_killed_lock_holder() {
    let _alone = alone();
    let key = key("from-lock");
    let (here, there) = UnixStream::pair().unwrap();
    let holder = child(|| {
        let segment = memory(&key);
        assert!(segment.create(4, AccessMode::ReadWrite));
        assert!(segment.lock());
        say(&there);
        std::thread::park();
    });
    hear(&here);
    let mine = semaphore(&key, 1);
    kill_and_wait(holder);
    let mine = acquires(mine).unwrap();
    assert!(mine.release(1));
    drop(mine);
    // The dead one's segment: the next one clears it.
    assert!(!memory(&key).attach(AccessMode::ReadWrite));
    assert_gone(&key);
}

/// Closes all descriptors, as a daemon does, and has other files under their numbers.
fn close_all_but(keep: &UnixStream) {
    for number in (3..200).filter(|number| *number != keep.as_raw_fd()) {
        // SAFETY: this child has nothing else to lose.
        unsafe { nix::libc::close(number) };
    }
    while std::fs::File::open("/dev/null").is_ok_and(|file| {
        let number = file.as_raw_fd();
        std::mem::forget(file);
        number < 100
    }) {}
}

#[test]
fn a_waiter_may_lose_its_descriptors() {
    let _alone = alone();
    let key = key("descriptors");
    let (here, there) = UnixStream::pair().unwrap();
    let (holder_here, holder_there) = UnixStream::pair().unwrap();
    let holder = child(|| {
        let segment = memory(&key);
        assert!(segment.create(4, AccessMode::ReadWrite));
        assert!(segment.lock());
        say(&holder_there);
        std::thread::park();
    });
    hear(&holder_here);
    let waiter = child(|| {
        let segment = memory(&key);
        assert!(segment.attach(AccessMode::ReadWrite));
        assert!(!segment.try_lock(Duration::ZERO));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| segment.try_lock(Duration::from_millis(300)));
            // It waits already, or will: either way it asks again, and by which descriptor?
            while !waits.is_finished() {
                close_all_but(&there);
                std::thread::yield_now();
            }
            assert!(!waits.join().unwrap(), "the lock of somebody who lives");
        });
        say(&there);
        hear(&there);
        // And without any descriptor from the start.
        close_all_but(&there);
        assert!(segment.try_lock(DEADLINE), "the lock of somebody dead");
        assert!(segment.unlock() && segment.detach());
    });
    hear(&here);
    kill_and_wait(holder);
    say(&here);
    ends_well(waiter);
    assert_gone(&key);
}

/// Others have the account book in their hands for a moment, at any time.
#[test]
fn a_release_without_a_descriptor_is_not_lost() {
    const EACH: i32 = 30_000;
    const AT_ALL: i32 = 10;
    let _alone = alone();
    let key = key("many");
    let mine = semaphore(&key, AT_ALL);
    let (here, there) = UnixStream::pair().unwrap();
    let workers = [(); 3].map(|()| {
        child(|| {
            let own = semaphore(&key, 0);
            // More than can be noted without the book.
            assert!(own.acquire() && own.acquire());
            close_all_but(&there);
            hear(&there);
            for _ in 0..EACH {
                assert!(own.acquire() && own.release(1), "{}", own.error());
            }
        })
    });
    for _ in 0..3 {
        say(&here);
    }
    for worker in workers {
        ends_well(worker);
    }
    for _ in 0..AT_ALL {
        assert!(mine.acquire());
    }
    assert!(mine.release(AT_ALL));
    drop(mine);
    assert_gone(&key);
}
