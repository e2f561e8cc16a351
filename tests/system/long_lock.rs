//! Some applications stay between `lock()` and `unlock()` for as long as they run.
//! Others must still be able to look whether they are there, at once, and must
//! not get the lock by that.

use crate::support::under_test;
use crate::support::{Build, Running, User, World};

/// The system calls in which somebody waits for a semaphore.
const WAITING: &[i64] = &[libc::SYS_semop, libc::SYS_semtimedop];

fn holder(world: &World, build: Build, user: User) -> Running {
    let mut holder = world.launch_as("holder", build, user).start();
    holder.ask("key long lock");
    holder
}

/// The first is inside for the whole time; `others` look and wait.
fn check(build: Build, inside: User, others: User) {
    let Some(world) = World::new() else { return };
    let mut first = holder(&world, build, inside);
    assert_eq!(first.ask("create 4"), "ok");
    assert_eq!(first.ask("put 7"), "ok");
    assert_eq!(first.ask("lock"), "ok");

    let mut second = holder(&world, build, others);
    let answer = second.ask("create 4");
    assert!(answer.starts_with("error 4 "), "{answer}");
    assert_eq!(second.ask("attach"), "ok");
    assert_eq!(second.ask("get"), "7");

    let mut third = holder(&world, build, others);
    assert_eq!(third.ask("attach"), "ok");
    third.say("lock");
    third.wait_for_system_call(WAITING);

    // One more comes and goes, attaches and detaches, while one waits.
    let mut fourth = holder(&world, build, inside);
    assert!(fourth.ask("create 4").starts_with("error 4 "));
    assert_eq!(fourth.ask("attach"), "ok");
    assert_eq!(fourth.ask("detach"), "ok");
    fourth.finish(crate::support::DEADLINE).ok();
    third.wait_for_system_call(WAITING);

    // The third is let in by the first's unlock() and by nothing else: it has
    // not answered before, and sees what was written just before.
    assert_eq!(first.ask("put 8"), "ok");
    assert_eq!(third.line_now(), None, "the third got the lock too early");
    assert_eq!(first.ask("unlock"), "ok");
    third.expect("ok");
    assert_eq!(third.ask("get"), "8");

    // And now the third's lock is its own.
    second.say("lock");
    second.wait_for_system_call(WAITING);
    assert_eq!(second.line_now(), None, "the second got the lock too early");
    assert_eq!(third.ask("unlock"), "ok");
    second.expect("ok");
    for one in [first, second, third] {
        one.finish(crate::support::DEADLINE).ok();
    }
    world.assert_clean();
}

#[test]
fn a_lock_held_for_long_is_no_obstacle_and_stays_its_own_qt5() {
    check(under_test::qt5(), User::ALICE, User::ALICE);
}

#[test]
fn a_lock_held_for_long_is_no_obstacle_and_stays_its_own_qt6() {
    check(under_test::qt6(), User::ALICE, User::ALICE);
}

#[test]
fn a_users_lock_stays_its_own_when_root_looks_by_sudo() {
    check(under_test::qt5(), User::ALICE, User::SUDO_ALICE);
}

#[test]
fn roots_lock_by_sudo_stays_its_own_when_the_user_looks() {
    check(under_test::qt6(), User::SUDO_ALICE, User::ALICE);
}

/// Killed inside: the lock goes to who waits.
#[test]
fn a_kill_inside_lets_the_next_in() {
    for build in [under_test::qt5(), under_test::qt6()] {
        let Some(world) = World::new() else { return };
        let mut first = holder(&world, build, User::SUDO_ALICE);
        assert_eq!(first.ask("create 4"), "ok");
        assert_eq!(first.ask("lock"), "ok");
        let mut second = holder(&world, build, User::ALICE);
        assert_eq!(second.ask("attach"), "ok");
        second.say("lock");
        second.wait_for_system_call(WAITING);
        first.kill_and_wait();
        second.expect("ok");
        assert_eq!(second.ask("unlock"), "ok");
        second.finish(crate::support::DEADLINE).ok();
        world.assert_clean();
    }
}

/// Ends without `unlock()`, and without `detach()`: the kernel's undo frees it.
#[test]
fn an_end_without_unlock_lets_the_next_in() {
    for (build, end) in [(under_test::qt5(), "exit"), (under_test::qt6(), "quit")] {
        let Some(world) = World::new() else { return };
        let mut first = holder(&world, build, User::ALICE);
        assert_eq!(first.ask("create 4"), "ok");
        assert_eq!(first.ask("lock"), "ok");
        let mut second = holder(&world, build, User::ALICE);
        assert_eq!(second.ask("attach"), "ok");
        second.say("lock");
        second.wait_for_system_call(WAITING);
        first.say(end);
        first.wait();
        second.expect("ok");
        second.finish(crate::support::DEADLINE).ok();
        world.assert_clean();
    }
}
