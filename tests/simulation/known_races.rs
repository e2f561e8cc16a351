//! Protocols with a known race. A checker that does not find these is worth nothing.

use std::path::Path;

use qshm::kernel::{Errno, FileLock, IpcId, Kernel, Open, Wait};

use crate::explore::explore;
use crate::scenario::{Member, Scenario, member, nothing_left};
use crate::schedules::{pct, random};
use crate::sim_process::{SimProcess, User};

const SEGMENT: i32 = 0x5101_0001;
const SEMAPHORE: i32 = 0x5101_0002;
const FILE: &str = "/tmp/key";

/// create(), else attach(), in the order of Qt.
fn segment(process: &SimProcess) -> usize {
    let id = match process.shm_create(SEGMENT, 4, 0o600) {
        Ok(id) => id,
        Err(Errno::EEXIST) => match process.shm_find(SEGMENT) {
            Ok(id) => id,
            Err(errno) => process.wrong(format!("shm_find: {errno}")),
        },
        Err(errno) => process.wrong(format!("shm_create: {errno}")),
    };
    match process.shm_attach(id, false) {
        Ok(address) => address,
        Err(errno) => process.wrong(format!("shm_attach: {errno}")),
    }
}

fn count(process: &SimProcess, address: usize, semaphore: IpcId) {
    if process.sem_op(semaphore, -1, Wait::Forever).is_err() {
        process.wrong("unable to set key on lock");
    }
    process.note(|status| status.locked = Some(0));
    let number = process.peek(address);
    process.poke(address, number + 1);
    process.note(|status| status.locked = None);
    let _ = process.sem_op(semaphore, 1, Wait::No);
}

/// As Qt does it: whoever meets no segment sets the semaphore to 1, whoever holds it.
fn set_on_create(process: &SimProcess) {
    let made = process.shm_find(SEGMENT).is_err();
    let semaphore = match process.sem_create(SEMAPHORE, 0o600) {
        Ok(id) => id,
        Err(_) => process
            .sem_find(SEMAPHORE)
            .unwrap_or_else(|_| process.wrong("no semaphore")),
    };
    if made {
        let _ = process.sem_set_value(semaphore, 1);
    }
    let address = segment(process);
    count(process, address, semaphore);
}

/// A lock file that the last one out removes without a look whether it is still the file there.
fn unlink_without_lock(process: &SimProcess) {
    let fd = loop {
        match process.open(Path::new(FILE), Open::Existing) {
            Ok(fd) => break fd,
            Err(_) => {
                if let Ok(fd) = process.open(Path::new(FILE), Open::New(0o600)) {
                    break fd;
                }
            }
        }
    };
    let _ = process.flock(fd, FileLock::Exclusive, Wait::Forever);
    process.note(|status| status.locked = Some(0));
    let _ = process.lstat(Path::new(FILE));
    process.note(|status| status.locked = None);
    let _ = process.unlink(Path::new(FILE));
    process.close(fd);
}

/// The same, done right: after locking, the file has to be the one at the path.
fn unlink_under_lock(process: &SimProcess) {
    let path = Path::new(FILE);
    let fd = loop {
        let opened = process
            .open(path, Open::Existing)
            .or_else(|_| process.open(path, Open::New(0o600)));
        let Ok(fd) = opened else { continue };
        let _ = process.flock(fd, FileLock::Exclusive, Wait::Forever);
        let same = match (process.fstat(fd), process.lstat(path)) {
            (Ok(mine), Ok(there)) => mine.same_file(&there),
            _ => false,
        };
        if same {
            break fd;
        }
        process.close(fd);
    };
    process.note(|status| status.locked = Some(0));
    let _ = process.lstat(path);
    process.note(|status| status.locked = None);
    let _ = process.unlink(path);
    process.close(fd);
}

fn two(program: fn(&SimProcess)) -> Vec<Member> {
    vec![
        member(User::plain(1000), program),
        member(User::plain(1000), program),
    ]
}

#[test]
fn a_value_set_at_creation_is_caught() {
    let found = explore(&Scenario::new("set on create", two(set_on_create)));
    let wrong = found.wrong.expect("the race must be found");
    println!("{} states; {wrong}", found.states);
    assert!(wrong.contains("G2"), "{wrong}");
}

#[test]
fn a_lock_file_removed_in_use_is_caught() {
    // The third one makes a new file while the second gets its lock on the old one.
    let mut members = two(unlink_without_lock);
    members.extend(members.first().cloned());
    let found = explore(&Scenario::new("unlink without lock", members));
    let wrong = found.wrong.expect("the race must be found");
    println!("{} states; {wrong}", found.states);
    assert!(wrong.contains("G2"), "{wrong}");
}

#[test]
fn a_lock_file_removed_under_its_lock_is_not() {
    let mut scenario = Scenario::new("unlink under lock", two(unlink_under_lock));
    scenario.kills = 1;
    scenario.at_rest = std::sync::Arc::new(|rest| {
        if rest.killed.contains(&true) {
            Ok(())
        } else {
            nothing_left(rest.world, &[])
        }
    });
    let found = explore(&scenario);
    println!("{found:?}");
    assert_eq!(found.wrong, None);
}

#[test]
fn random_schedules_find_them_too() {
    let scenario = Scenario::new("set on create", two(set_on_create));
    for (how, ran) in [
        ("random", random(&scenario, 2000, 1)),
        ("PCT", pct(&scenario, 3, 2000, 1)),
    ] {
        println!("{how}: found after {} schedules", ran.schedules);
        let wrong = ran.wrong.expect("the race must be found");
        assert!(wrong.contains("G2"), "{wrong}");
    }
}

#[test]
fn random_schedules_find_nothing_where_nothing_is() {
    let mut members = two(unlink_under_lock);
    members.extend(two(unlink_under_lock));
    let mut scenario = Scenario::new("unlink under lock", members);
    scenario.kills = 2;
    for (how, ran) in [
        ("random", random(&scenario, 1000, 1)),
        ("PCT", pct(&scenario, 3, 1000, 1)),
    ] {
        println!(
            "{how}: {} schedules, {} calls, {} kills",
            ran.schedules, ran.calls, ran.kills
        );
        assert_eq!(ran.wrong, None);
    }
}
