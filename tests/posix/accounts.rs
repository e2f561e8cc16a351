//! What a process has acquired is on the account of the process, not of one of its objects.

use std::os::unix::net::UnixStream;

use crate::processes::{child, ends_well, hear, kill_and_wait, say};
use crate::support::{alone, assert_gone, files, key, memory, semaphore};

/// The value of a semaphore, the first four bytes of its file.
fn value(key: &qshm::key::NativeKey) -> u32 {
    let [_, path] = files(key);
    let bytes = std::fs::read(path).unwrap();
    let four = bytes.first_chunk().copied().unwrap();
    u32::from_ne_bytes(four)
}

#[test]
fn one_object_may_release_what_another_acquired() {
    let _alone = alone();
    let key = key("two-objects");
    let (one, other) = (semaphore(&key, 1), semaphore(&key, 1));
    assert!(one.acquire() && other.release(1));
    assert!(other.acquire());
    drop(other);
    assert_eq!(value(&key), 0);
    assert!(one.release(1));
    drop(one);
    assert_gone(&key);
}

#[test]
fn a_kill_gives_back_what_is_owed_and_no_more() {
    let _alone = alone();
    let key = key("sum-of-two");
    let mine = semaphore(&key, 3);
    let (here, there) = UnixStream::pair().unwrap();
    let other = child(|| {
        let (one, other) = (semaphore(&key, 0), semaphore(&key, 0));
        assert!(one.acquire() && one.acquire() && other.release(1));
        say(&there);
        std::thread::park();
    });
    hear(&here);
    assert_eq!(value(&key), 2);
    kill_and_wait(other);
    assert!(mine.acquire() && mine.acquire() && mine.acquire());
    assert_eq!(value(&key), 0);
    assert!(mine.release(3));
    drop(mine);
    assert_gone(&key);
}

/// A process has one slot for all objects that it ever had, also where they owe something.
#[test]
fn objects_may_come_and_go_without_end() {
    const TIMES: i32 = 1100;
    let _alone = alone();
    let key = key("come-and-go");
    let mine = semaphore(&key, TIMES);
    ends_well(child(|| {
        for _ in 0..TIMES {
            let signal = semaphore(&key, 0);
            assert!(signal.acquire(), "{}", signal.error());
        }
        assert_eq!(value(&key), 0);
        let last = semaphore(&key, 0);
        assert!(last.release(TIMES));
    }));
    assert_eq!(value(&key), TIMES.unsigned_abs());
    drop(mine);
    assert_gone(&key);
}

#[test]
fn what_an_object_owed_when_it_went_another_one_pays() {
    let _alone = alone();
    let key = key("pays");
    let mine = semaphore(&key, 1);
    let (here, there) = UnixStream::pair().unwrap();
    let debtor = child(|| {
        let one = semaphore(&key, 0);
        assert!(one.acquire());
        drop(one);
        say(&there);
        hear(&there);
        let other = semaphore(&key, 0);
        assert!(other.release(1));
        drop(other);
        say(&there);
    });
    hear(&here);
    // Still taken.
    assert_eq!(value(&key), 0);
    say(&here);
    hear(&here);
    assert_eq!(value(&key), 1);
    drop(mine);
    ends_well(debtor);
    assert_gone(&key);
}

/// A program that was started without its standard files prints into whatever has their numbers.
#[test]
fn no_object_gets_the_number_of_a_standard_file() {
    let _alone = alone();
    let key = key("standard");
    ends_well(child(|| {
        for number in 0..3 {
            // SAFETY: this child prints nothing.
            unsafe { nix::libc::close(number) };
        }
        let (segment, counter) = (memory(&key), semaphore(&key, 1));
        assert!(segment.create(4, qshm::AccessMode::ReadWrite));
        assert!(segment.lock() && segment.unlock());
        assert!(counter.acquire() && counter.release(1));
        // A key file for everybody, which is made in another way.
        let temp = std::env::temp_dir();
        let shared = qshm::SharedMemory::new();
        shared.set_options(qshm::OptionsUpdate {
            access: Some(qshm::Access::World),
            ..qshm::OptionsUpdate::default()
        });
        shared.set_key(qshm::Key::new(
            key.name().as_os_str().as_encoded_bytes(),
            &temp,
        ));
        assert!(shared.create(4, qshm::AccessMode::ReadWrite));
        assert!(shared.lock() && shared.unlock());
        for number in 0..3 {
            // SAFETY: a number; the kernel says that it is none of an open file.
            assert_eq!(unsafe { nix::libc::fcntl(number, nix::libc::F_GETFD) }, -1);
        }
    }));
    assert_gone(&key);
}
