//! Beside builds that count their instances in shared memory: with Qt's own classes, as they
//! always were, and with the drop-in.

use super::Stage;
use crate::support::planted::semaphore_value;
use crate::support::{Build, DEADLINE, Launch, Running, Semaphore, User, base_program};
use std::time::Instant;

const KEY: &str = "logic-instance-number";

impl Stage {
    /// An old build of the example, which has this number.
    fn old(&self, build: Build, number: u32) -> Running {
        let mut old = self
            .world
            .launch_as("logic", build, User::ALICE)
            .arg("--hold")
            .start();
        old.expect(&format!("number {number}"));
        old
    }

    fn counted(&self, build: Build) -> String {
        let looks = self
            .world
            .launch_as("logic", build, User::ALICE)
            .arg("--count");
        looks.run().ok().lines.join(" ")
    }

    /// A new build, which has this number.
    fn new_build(&self, user: User, number: u32) -> Running {
        let mut new = self.start(user);
        let said = new.ask(&format!("join logic user {KEY}"));
        assert_eq!(said, format!("number {number}"));
        assert_eq!(new.ask("reason 0"), "");
        new
    }
}

fn end(process: Running) {
    process.finish(DEADLINE).ok();
}

const ALL: [Build; 4] = [Build::QT5, Build::QT6, Build::QSHM5, Build::QSHM6];

#[test]
fn an_old_build_runs_and_new_ones_start() {
    for build in ALL {
        let Some(stage) = Stage::new() else { return };
        let old = stage.old(build, 0);
        let new = stage.new_build(User::ALICE, 1);
        assert_eq!(stage.counted(build), "count 2");
        let more = stage.old(build, 2);
        let mut last = stage.new_build(User::ALICE, 3);
        assert_eq!(stage.counted(build), "count 4");
        end(old);
        end(new);
        assert_eq!(stage.counted(build), "count 2");
        assert_eq!(last.ask("count 0"), "1");
        end(more);
        assert_eq!(stage.counted(build), "count 1");
        end(last);
        stage.world.assert_clean();
    }
}

#[test]
fn new_ones_run_and_an_old_build_starts() {
    for build in ALL {
        let Some(stage) = Stage::new() else { return };
        let first = stage.new_build(User::ALICE, 0);
        let second = stage.new_build(User::ALICE, 1);
        let old = stage.old(build, 2);
        assert_eq!(stage.counted(build), "count 3");
        end(first);
        end(second);
        assert_eq!(stage.counted(build), "count 1");
        end(old);
        stage.world.assert_clean();
    }
}

/// The kernel frees the number at once; the count is put right by the next of ours.
#[test]
fn a_new_one_that_is_killed_is_not_counted_for_ever() {
    for build in ALL {
        let Some(stage) = Stage::new() else { return };
        let old = stage.old(build, 0);
        let mut stays = stage.new_build(User::ALICE, 1);
        for _ in 0..3 {
            let mut dies = stage.new_build(User::ALICE, 2);
            dies.kill_and_wait();
        }
        // It looks, and by that counts.
        assert_eq!(stays.ask("count 0"), "1");
        assert_eq!(stage.counted(build), "count 2");
        end(stays);
        assert_eq!(stage.counted(build), "count 1");
        end(old);
        stage.world.assert_clean();
    }
}

/// Its number is behind the dead one's.
#[test]
fn an_old_build_that_comes_after_a_kill_keeps_its_number() {
    for build in ALL {
        let Some(stage) = Stage::new() else { return };
        let first = stage.old(build, 0);
        let mut dies = stage.new_build(User::ALICE, 1);
        dies.kill_and_wait();
        let second = stage.old(build, 2);
        let new = stage.new_build(User::ALICE, 3);
        for process in [first, second, new] {
            end(process);
        }
        stage.world.assert_clean();
    }
}

/// Who can't count does not take the others out of the count, and itself when it ends.
#[test]
fn one_that_can_not_count_leaves_the_count_alone() {
    let Some(stage) = Stage::new() else { return };
    let stays = stage.new_build(User::ALICE, 0);
    let mut blind = stage.new_build(User::ALICE, 1);
    assert_eq!(blind.ask("no-descriptors"), "none is left");
    assert_eq!(blind.ask("count 0"), "1");
    assert_eq!(stage.counted(Build::QSHM5), "count 2");
    end(blind);
    assert_eq!(stage.counted(Build::QSHM5), "count 1");
    end(stays);
    stage.world.assert_clean();
}

/// Root by sudo shares with the user, where the old build is one that does.
#[test]
fn root_by_sudo_counts_with_the_user() {
    for build in [Build::QSHM5, Build::QSHM6] {
        let Some(stage) = Stage::new() else { return };
        let root = stage.new_build(User::SUDO_ALICE, 0);
        let old = stage.old(build, 1);
        let user = stage.new_build(User::ALICE, 2);
        assert_eq!(stage.counted(build), "count 3");
        for process in [old, root, user] {
            end(process);
        }
        stage.world.assert_clean();
    }
}

/// An old build that is stopped inside the lock delays a start by some seconds, no more.
#[test]
fn an_old_build_that_is_stuck_is_not_waited_for_for_long() {
    let Some(stage) = Stage::new() else { return };
    let mut old = stage
        .world
        .launch_as("logic", Build::QT5, User::ALICE)
        .args(["--hold", "--work-in-lock", "600000000"])
        .start();
    // It counts, inside the lock, when that stays locked: making the segment takes a moment of it.
    let locked = || {
        let semaphores = stage.world.semaphores();
        let locked = |semaphore: &Semaphore| semaphore_value(semaphore.id) == 0;
        !stage.world.segments().is_empty() && semaphores.iter().all(locked)
    };
    let until = Instant::now() + DEADLINE;
    let mut looks = 0;
    while looks < 500 {
        assert!(Instant::now() < until, "the old build does not lock");
        looks = if locked() { looks + 1 } else { 0 };
    }
    let mut new = stage.start(User::ALICE);
    assert_eq!(new.ask(&format!("join logic user {KEY}")), "number 0");
    let reason = new.ask("reason 0");
    assert!(
        reason.starts_with("the old counter can't be kept"),
        "{reason}"
    );
    old.kill_and_wait();
}

/// Another scope has no counter, and says so.
#[test]
fn only_a_users_numbers_go_with_a_counter() {
    let Some(stage) = Stage::new() else { return };
    let mut new = stage.start(User::ALICE);
    assert_eq!(new.ask(&format!("join logic session {KEY}")), "number 0");
    let reason = new.ask("reason 0");
    assert_eq!(reason, "only the scope of a user goes with an old counter");
    assert!(stage.world.segments().is_empty());
}

/// Old and new ones start and end at the same time; when all are there, all are counted.
#[test]
fn a_crowd_of_old_and_new_ones() {
    for build in [Build::QSHM5, Build::QSHM6] {
        let Some(stage) = Stage::new() else { return };
        let mut old: Vec<Running> = Vec::new();
        let mut new: Vec<Running> = Vec::new();
        for _ in 0..8 {
            old.push(
                stage
                    .world
                    .launch_as("logic", build, User::ALICE)
                    .arg("--hold")
                    .start(),
            );
            let mut process = stage.start(User::ALICE);
            process.say(&format!("join logic user {KEY}"));
            new.push(process);
        }
        let mut numbers: Vec<String> = old.iter_mut().chain(&mut new).map(Running::line).collect();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 16, "{numbers:?}");
        assert_eq!(stage.counted(build), "count 16");
        for process in old.into_iter().chain(new) {
            end(process);
        }
        stage.world.assert_clean();
    }
}

/// The example as it was, with Qt alone, and as it is with an instance number.
#[test]
fn the_example_before_and_after() {
    for build in [Build::QT5, Build::QT6] {
        let Some(stage) = Stage::new() else { return };
        let file = base_program(&format!("{}/logic-instance", build.folder()));
        let new = |number: u32| {
            let launch = Launch::new(&file, stage.world.temp()).user(User::ALICE);
            let mut new = launch.arg("--hold").start();
            new.expect(&format!("number {number}"));
            new
        };
        let old = stage.old(build, 0);
        let mut dies = new(1);
        assert_eq!(stage.counted(build), "count 2");
        dies.kill_and_wait();
        let next = new(1);
        assert_eq!(stage.counted(build), "count 2");
        let last = stage.old(build, 2);
        for process in [old, next, last] {
            end(process);
        }
        assert!(stage.world.segments().is_empty() && stage.world.semaphores().is_empty());
    }
}
