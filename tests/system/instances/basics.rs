//! What an application sees when everything is as it should be.

use super::{Stage, count, join, peers};
use crate::support::{User, base_program};

#[test]
fn numbers_are_the_lowest_that_are_free() {
    let Some(stage) = Stage::new() else { return };
    let mut all: Vec<_> = (0..5)
        .map(|number| stage.joined(User::ALICE, number))
        .collect();
    assert_eq!(count(&mut all[0]), 5);
    assert_eq!(all[0].ask("first 0"), "yes");
    assert_eq!(all[4].ask("first 0"), "no");
    all[3].kill_and_wait();
    all[1].kill_and_wait();
    assert_eq!(count(&mut all[0]), 3);
    let mut again = stage.joined(User::ALICE, 1);
    join(&mut again, "logic", 3);
    join(&mut again, "logic", 5);
    assert_eq!(count(&mut all[0]), 6);
    assert_eq!(again.ask("end 1"), "number 3");
    assert_eq!(count(&mut all[0]), 5);
}

#[test]
fn every_signal_frees_number_and_claim_at_once() {
    let Some(stage) = Stage::new() else { return };
    let mut witness = stage.joined(User::ALICE, 0);
    for signal in [
        libc::SIGKILL,
        libc::SIGTERM,
        libc::SIGABRT,
        libc::SIGSEGV,
        libc::SIGQUIT,
    ] {
        let mut dies = stage.joined(User::ALICE, 1);
        assert_eq!(dies.ask("claim 0 camera"), "mine");
        let expected = format!("taken by 1 pid {}", dies.pid());
        assert_eq!(witness.ask("claim 0 camera"), expected);
        dies.signal(signal);
        dies.wait();
        assert_eq!(witness.ask("claim 0 camera"), "mine");
        assert_eq!(witness.ask("release 0 camera"), "yes");
        assert_eq!(count(&mut witness), 1);
    }
}

#[test]
fn peers_are_described() {
    let Some(stage) = Stage::new() else { return };
    let mut user = stage.joined(User::ALICE, 0);
    let mut root = stage.joined(User::SUDO_ALICE, 1);
    let program = base_program("face_instance").display().to_string();
    let name = |uid: u32| {
        nix::unistd::User::from_uid(uid.into())
            .unwrap()
            .unwrap()
            .name
    };
    let line = |number: u32, pid: i32, user: &str| {
        format!("{number} pid {pid} user {user} program {program} since some time")
    };
    assert_eq!(peers(&mut user, 0), [line(1, root.pid(), "root")]);
    assert_eq!(peers(&mut root, 0), [line(0, user.pid(), &name(1))]);
}

#[test]
fn root_by_sudo_counts_as_the_user_both_ways() {
    let Some(stage) = Stage::new() else { return };
    let mut root = stage.joined(User::SUDO_ALICE, 0);
    let mut user = stage.joined(User::ALICE, 1);
    let _more = stage.joined(User::SUDO_ALICE, 2);
    assert_eq!(count(&mut user), 3);
    root.kill_and_wait();
    let _user = stage.joined(User::ALICE, 0);
    assert_eq!(user.ask("claim 0 x"), "mine");
    let mut root = stage.joined(User::SUDO_ALICE, 3);
    assert_eq!(
        root.ask("claim 0 x"),
        format!("taken by 1 pid {}", user.pid())
    );
}

/// Root who was called by nobody is a user like any other.
#[test]
fn users_never_meet() {
    let Some(stage) = Stage::new() else { return };
    for user in [User::ALICE, User::BOB, User::Root] {
        let mut one = stage.joined(user, 0);
        assert_eq!(one.ask("claim 0 camera"), "mine");
        assert_eq!(count(&mut one), 1);
        assert_eq!(peers(&mut one, 0), [] as [&str; 0]);
        // They stay, so that the next could meet them.
        std::mem::forget(one);
    }
}

#[test]
fn claims_are_taken_given_back_and_waited_for() {
    let Some(stage) = Stage::new() else { return };
    let mut one = stage.joined(User::ALICE, 0);
    let mut two = stage.joined(User::ALICE, 1);
    assert_eq!(one.ask("claim 0 db"), "mine");
    assert_eq!(one.ask("claim 0 db"), "mine");
    assert_eq!(one.ask("claim 0 other"), "mine");
    assert_eq!(
        two.ask("claim 0 db"),
        format!("taken by 0 pid {}", one.pid())
    );
    assert_eq!(
        two.ask("claim 0 db 5"),
        format!("taken by 0 pid {}", one.pid())
    );
    two.say("claim 0 db 20000");
    two.wait_for_system_call(&[libc::SYS_clock_nanosleep, libc::SYS_nanosleep]);
    assert_eq!(one.ask("release 0 db"), "yes");
    assert_eq!(two.line(), "mine");
    assert_eq!(one.ask("release 0 db"), "no");
    assert_eq!(
        one.ask("claim 0 db"),
        format!("taken by 1 pid {}", two.pid())
    );
    assert_eq!(two.ask("end 0"), "number 1");
    assert_eq!(one.ask("claim 0 db"), "mine");
}

#[test]
fn many_handles_of_one_name_and_of_many() {
    let Some(stage) = Stage::new() else { return };
    let mut process = stage.start(User::ALICE);
    let descriptors = process.ask("descriptors");
    for number in 0..70 {
        join(&mut process, "logic", number);
    }
    for name in 0..70 {
        join(&mut process, &format!("name{name}"), 0);
    }
    assert_eq!(count(&mut process), 70);
    assert_eq!(process.ask("claim 3 a"), "mine");
    assert_eq!(
        process.ask("claim 4 a"),
        format!("taken by 3 pid {}", process.pid())
    );
    assert_eq!(process.ask("claim 71 a"), "mine");
    // Handle 64 is the first in the second file.
    assert_eq!(process.ask("end 64"), "number 64");
    assert_eq!(process.ask("join logic"), "number 64");
    assert_eq!(process.ask("descriptors"), descriptors);
}

#[test]
fn threads_join_at_once() {
    let Some(stage) = Stage::new() else { return };
    let mut process = stage.start(User::ALICE);
    let numbers: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    assert_eq!(
        process.ask("threads 40 logic"),
        format!("numbers {}", numbers.join(" "))
    );
    assert_eq!(process.ask("join logic"), "number 0");
}

#[test]
fn an_instance_may_be_there_before_main() {
    let Some(stage) = Stage::new() else { return };
    let mut process = stage
        .launch(User::ALICE)
        .env("QSHM_TEST_STATIC", "logic")
        .start();
    assert_eq!(process.ask("number 0"), "0");
    assert_eq!(process.ask("exclusive 0"), "yes");
    let _other = stage.joined(User::ALICE, 1);
}

#[test]
fn two_copies_of_the_library_in_a_process() {
    let Some(stage) = Stage::new() else { return };
    let mut process = stage.joined(User::ALICE, 0);
    let copy = base_program("instance_copy.so").display().to_string();
    assert_eq!(process.ask(&format!("copy {copy} logic")), "number 1");
    assert_eq!(count(&mut process), 2);
    let mut other = stage.joined(User::ALICE, 2);
    assert_eq!(count(&mut other), 3);
    process.kill_and_wait();
    assert_eq!(count(&mut other), 1);
}

#[test]
fn a_moved_from_handle_has_nothing() {
    let Some(stage) = Stage::new() else { return };
    let mut process = stage.joined(User::ALICE, 0);
    assert_eq!(process.ask("move 0"), "number 0");
    assert_eq!(process.ask("number 0"), "-1");
    assert_eq!(process.ask("exclusive 0"), "no");
    assert_eq!(process.ask("count 0"), "0");
    assert_eq!(
        process.ask("claim 0 x"),
        "unavailable: the instance was moved from"
    );
    assert_eq!(process.ask("number 1"), "0");
    assert_eq!(process.ask("claim 1 x"), "mine");
}

#[test]
fn names_and_resources_may_be_anything() {
    let Some(stage) = Stage::new() else { return };
    let mut process = stage.start(User::ALICE);
    let long = "x".repeat(5000);
    for name in [
        "a/../../b",
        ".",
        "..",
        "%41",
        "A",
        "ä",
        &long,
        &format!("{long}y"),
    ] {
        join(&mut process, name, 0);
    }
    assert_eq!(process.ask("claim 0 /"), "mine");
    assert_eq!(process.ask(&format!("claim 0 {long}")), "mine");
    assert_eq!(process.ask(&format!("claim 0 {long}y")), "mine");
}
