//! What is taken by one and given back by another, and what comes back when somebody is killed.

use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qshm::AccessMode;
use qshm::key::NativeKey;

use crate::processes::{child, ends_well, hear, kill, kill_and_wait, say};
use crate::support::{alone, assert_gone, files, key, memory, semaphore};

/// The value of a semaphore, as real Qt sees it.
fn value(key: &NativeKey) -> u32 {
    let [_, path] = files(key);
    let mut value = [0; 4];
    let file = std::fs::File::open(path).unwrap();
    file.read_exact_at(&mut value, 0).unwrap();
    u32::from_ne_bytes(value)
}

/// The semaphore of a segment's key is its lock: a release() lets one more in, as in Qt.
#[test]
fn a_release_lets_a_second_one_into_a_lock_and_nothing_is_lost() {
    let _alone = alone();
    let key = key("second");
    let (one, two) = (memory(&key), memory(&key));
    assert!(one.create(4, AccessMode::ReadWrite) && two.attach(AccessMode::ReadWrite));
    let count = semaphore(&key, 1);
    assert!(count.release(1));
    assert!(one.lock() && two.lock());
    assert_eq!(value(&key), 0);
    // Each has it, so to lock again is to have it already.
    assert!(one.lock() && two.lock());
    assert!(one.unlock() && two.unlock());
    assert!(!one.unlock() && !two.unlock());
    assert_eq!(value(&key), 2);
    let (here, there) = UnixStream::pair().unwrap();
    let dead = child(|| {
        let (one, two) = (memory(&key), memory(&key));
        assert!(one.attach(AccessMode::ReadWrite) && two.attach(AccessMode::ReadWrite));
        assert!(one.lock() && two.lock());
        say(&there);
        std::thread::park();
    });
    hear(&here);
    assert_eq!(value(&key), 0);
    kill_and_wait(dead);
    assert!(one.try_lock(Duration::from_secs(20)) && two.try_lock(Duration::from_secs(20)));
    assert!(one.unlock() && two.unlock());
    assert_eq!(value(&key), 2);
    drop((one, two, count));
    assert_gone(&key);
}

/// One acquires what another releases: that is no debt that would come back with a kill.
#[test]
fn signals_that_were_heard_do_not_come_back() {
    const SIGNALS: u32 = 100;
    let _alone = alone();
    let key = key("signals");
    let mine = semaphore(&key, 0);
    let (here, there) = UnixStream::pair().unwrap();
    let listener = child(|| {
        let own = semaphore(&key, 0);
        for _ in 0..SIGNALS {
            assert!(own.acquire());
            say(&there);
        }
        std::thread::park();
    });
    for _ in 0..SIGNALS {
        assert!(mine.release(1));
        hear(&here);
    }
    kill_and_wait(listener);
    // Another listener, that sees what is left of the dead one's.
    let heir = child(|| {
        let own = semaphore(&key, 0);
        assert!(own.acquire());
        say(&there);
        assert!(own.acquire());
        say(&there);
        std::thread::park();
    });
    // The last signal may have been lost with the one who heard it; none before it was.
    hear(&here);
    assert_eq!(value(&key), 0);
    assert!(mine.release(1));
    hear(&here);
    kill_and_wait(heir);
    drop(mine);
    assert_gone(&key);
}

/// What a process has released and not acquired before stays when it ends.
#[test]
fn a_signal_outlives_its_sender() {
    let _alone = alone();
    let key = key("sender");
    let mine = semaphore(&key, 0);
    let sender = child(|| assert!(semaphore(&key, 0).release(3)));
    ends_well(sender);
    assert_eq!(value(&key), 3);
    assert!(mine.acquire() && mine.acquire() && mine.acquire());
    drop(mine);
    assert_gone(&key);
}

/// Two objects of one process: what one takes the other gives back, and then nobody has anything.
#[test]
fn one_object_gives_back_what_another_took() {
    let _alone = alone();
    let key = key("objects");
    let (one, two) = (semaphore(&key, 1), semaphore(&key, 1));
    for _ in 0..3 {
        assert!(one.acquire() && two.release(1));
    }
    assert_eq!(value(&key), 1);
    drop((one, two));
    assert_gone(&key);
}

/// A release of more than one pays all that was taken, whichever way it was noted.
#[test]
fn one_release_of_all_that_was_acquired() {
    let _alone = alone();
    let key = key("all");
    let mine = semaphore(&key, 5);
    let (here, there) = UnixStream::pair().unwrap();
    let other = child(|| {
        let own = semaphore(&key, 5);
        assert!(own.acquire() && own.acquire() && own.acquire());
        assert!(own.release(3));
        assert!(own.acquire());
        say(&there);
        std::thread::park();
    });
    hear(&here);
    assert_eq!(value(&key), 4);
    kill_and_wait(other);
    for _ in 0..5 {
        assert!(mine.acquire());
    }
    assert_eq!(value(&key), 0);
    assert!(mine.release(5));
    assert_eq!(value(&key), 5);
    drop(mine);
    assert_gone(&key);
}

/// Threads of one process wait by one object, while processes are killed: two of them must not
/// both clear up after the same one.
#[test]
fn threads_of_one_object_do_not_clear_up_twice() {
    const AT_ALL: i32 = 3;
    const ROUNDS: u64 = 25;
    let _alone = alone();
    let key = key("threads");
    let mine = semaphore(&key, AT_ALL);
    let stop = AtomicBool::new(false);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            assert!(mine.acquire());
            assert!(mine.release(1));
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        for round in 0..ROUNDS {
            let workers = [(); 3].map(|()| {
                child(|| {
                    let own = semaphore(&key, 0);
                    loop {
                        assert!(own.acquire() && own.acquire() && own.release(2));
                    }
                })
            });
            std::thread::sleep(Duration::from_micros(300 + 61 * round));
            for worker in workers {
                kill(worker);
            }
            for worker in workers {
                nix::sys::wait::waitpid(worker, None).unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
    });
    for _ in 0..AT_ALL {
        assert!(mine.acquire());
    }
    assert_eq!(value(&key), 0);
    assert!(mine.release(AT_ALL));
    drop(mine);
    assert_gone(&key);
}
