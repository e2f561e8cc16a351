//! A registry that is deleted, replaced or moved while instances run: nobody gets a number that
//! is taken, and all of them count each other.

use super::{Stage, count, join, peers, registry, runtime};
use crate::support::mounts;
use crate::support::{Running, User};
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many bytes of a registry's file come before the first record.
const HEADER: usize = 512;

/// Three who run while something happens to the registry in the runtime directory, and to that in the
/// last place or not, and what is true afterwards.
fn all_is_well_after(happens: impl Fn(&Path)) {
    let last = Path::new("/tmp/qshm-instances-1/logic.user.0");
    well_after(|| happens(&registry(1)));
    well_after(|| happens(last));
    well_after(|| {
        happens(&registry(1));
        happens(last);
    });
}

fn well_after(happens: impl Fn()) {
    let Some(stage) = Stage::new() else { return };
    let mut old = [
        stage.joined(User::ALICE, 0),
        stage.joined(User::SUDO_ALICE, 1),
        stage.joined(User::ALICE, 2),
    ];
    assert_eq!(old[1].ask("claim 0 camera"), "mine");
    happens();
    // One who only joins, and one who looks.
    let mut next = stage.joined(User::SUDO_ALICE, 3);
    assert_eq!(count(&mut next), 4);
    let said = next.ask("claim 0 camera");
    assert!(said.starts_with("taken by 1 "), "{said}");
    let mut user = stage.joined(User::ALICE, 4);
    assert_eq!(count(&mut user), 5);
    // One who has a place on the old file leaves; its number is free.
    old[0].kill_and_wait();
    let mut again = stage.joined(User::ALICE, 0);
    // Those who were there agree, and are on the new file from now on.
    for process in old
        .iter_mut()
        .skip(1)
        .chain([&mut next, &mut user, &mut again])
    {
        assert_eq!(count(process), 5);
        assert_eq!(process.ask("exclusive 0"), "yes");
    }
    assert_eq!(old[1].ask("release 0 camera"), "yes");
    assert_eq!(next.ask("claim 0 camera"), "mine");
    old[1].kill_and_wait();
    assert_eq!(count(&mut next), 4);
    let _last = stage.joined(User::ALICE, 1);
    let _one_more = stage.joined(User::ALICE, 5);
}

#[test]
fn a_file_that_is_deleted() {
    all_is_well_after(|file| fs::remove_file(file).unwrap());
}

#[test]
fn a_directory_that_is_deleted() {
    all_is_well_after(|file| fs::remove_dir_all(file.parent().unwrap()).unwrap());
}

#[test]
fn a_directory_that_is_moved_away() {
    all_is_well_after(|file| {
        let directory = file.parent().unwrap();
        fs::rename(directory, directory.with_file_name("old")).unwrap();
    });
}

/// The copy says of itself what was true of the first one.
#[test]
fn a_file_that_is_replaced_by_a_copy() {
    all_is_well_after(|file| {
        let copy = file.with_file_name("copy");
        fs::copy(file, &copy).unwrap();
        std::os::unix::fs::chown(&copy, Some(1), Some(1)).unwrap();
        fs::rename(&copy, file).unwrap();
    });
}

#[test]
fn a_file_that_is_emptied_or_filled_with_anything() {
    all_is_well_after(|file| fs::write(file, b"").unwrap());
    all_is_well_after(|file| fs::write(file, vec![0xff; 20_000]).unwrap());
}

#[test]
fn a_file_that_is_deleted_again_and_again() {
    let Some(stage) = Stage::new() else { return };
    let mut all: Vec<Running> = Vec::new();
    for number in 0..8 {
        all.push(stage.joined(User::ALICE, number));
        fs::remove_file(registry(1)).unwrap();
    }
    for process in &mut all {
        assert_eq!(count(process), 8);
    }
}

/// What is claimed comes along as well: then those see it who can't look at its holder.
#[test]
fn a_claim_comes_along() {
    let Some(stage) = Stage::new() else { return };
    let mut root = stage.joined(User::SUDO_ALICE, 0);
    assert_eq!(root.ask("claim 0 camera"), "mine");
    fs::remove_dir_all(runtime(1).join("qshm")).unwrap();
    fs::remove_dir_all("/tmp/qshm-instances-1").unwrap();
    assert_eq!(count(&mut root), 1);
    let mut user = stage.joined(User::ALICE, 1);
    assert!(user.ask("claim 0 camera").starts_with("taken by 0 "));
    assert_eq!(root.ask("release 0 camera"), "yes");
    assert_eq!(user.ask("claim 0 camera"), "mine");
}

/// Holders who move to the new files just when others look for them are seen all the same.
#[test]
fn holders_who_move_while_others_look() {
    let Some(stage) = Stage::new() else { return };
    let mut movers: Vec<Running> = (0..3)
        .map(|number| stage.joined(User::ALICE, number))
        .collect();
    for _ in 0..25 {
        let _ = fs::remove_dir_all(runtime(1).join("qshm"));
        let _ = fs::remove_dir_all("/tmp/qshm-instances-1");
        let mut next = stage.start(User::ALICE);
        next.say("join logic");
        for process in &mut movers {
            process.say("count 0");
        }
        assert_eq!(next.line(), "number 3");
        for process in &mut movers {
            let counted = process.line();
            assert!(["3", "4"].contains(&counted.as_str()), "{counted}");
        }
    }
}

/// Those on a file behind the first are counted also when that alone is deleted.
#[test]
fn a_later_file_that_is_deleted() {
    let Some(stage) = Stage::new() else { return };
    let mut many = stage.start(User::ALICE);
    for number in 0..70 {
        join(&mut many, "logic", number);
    }
    assert_eq!(many.ask("end 3"), "number 3");
    fs::remove_file(registry(1).with_extension("1")).unwrap();
    let mut next = stage.joined(User::ALICE, 3);
    assert_eq!(count(&mut next), 70);
    assert_eq!(peers(&mut next, 0).len(), 69);
}

/// Who moves to a new file has joined when it joined.
#[test]
fn the_time_of_joining_stays() {
    let Some(stage) = Stage::new() else { return };
    let since = || fs::read(registry(1)).unwrap()[HEADER + 8..HEADER + 16].to_vec();
    let mut one = stage.joined(User::ALICE, 0);
    let joined = since();
    fs::remove_file(registry(1)).unwrap();
    let second = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let then = u64::from_le_bytes(joined[..].try_into().unwrap());
    while second() == then {
        std::thread::yield_now();
    }
    assert_eq!(count(&mut one), 1);
    assert_eq!(since(), joined);
}

/// After all have come along, the new file is as good as the first: the table is not asked.
#[test]
fn a_new_file_is_trusted_once_everybody_is_on_it() {
    let Some(stage) = Stage::new() else { return };
    let mut one = stage.joined(User::ALICE, 0);
    fs::remove_file(registry(1)).unwrap();
    let settled = || fs::read(registry(1)).unwrap()[8..16] != [0; 8];
    let _two = stage.joined(User::ALICE, 1);
    assert!(!settled());
    assert_eq!(count(&mut one), 2);
    let _three = stage.joined(User::ALICE, 2);
    assert!(settled());
}

/// The login session ends, its runtime directory is unmounted; one instance goes on. The user
/// logs in again and gets a new one.
#[test]
fn a_runtime_directory_that_ends_with_the_session() {
    let Some(stage) = Stage::bare() else { return };
    let log_in = || {
        mounts::directory(&runtime(1), 1, 0o700);
        mounts::empty(&runtime(1), 0o700).unwrap();
        mounts::directory(&runtime(1), 1, 0o700);
    };
    log_in();
    let mut stays = stage.joined(User::ALICE, 0);
    assert_eq!(stays.ask("claim 0 camera"), "mine");
    mounts::gone(&runtime(1));
    fs::remove_dir(runtime(1)).unwrap();
    // Nobody is logged in.
    let mut between = stage.joined(User::ALICE, 1);
    assert_eq!(count(&mut between), 2);
    log_in();
    let mut next = stage.joined(User::ALICE, 2);
    assert!(next.ask("claim 0 camera").starts_with("taken by 0 "));
    for process in [&mut next, &mut stays, &mut between] {
        assert_eq!(count(process), 3);
    }
    stays.kill_and_wait();
    join(&mut next, "logic", 0);
    mounts::gone(&runtime(1));
}
