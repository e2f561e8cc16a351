//! How applications use the two classes: the guards that let one instance run,
//! blocks with a checksum, a semaphore as a signal.

use crate::support::under_test;
use crate::support::{Build, DEADLINE, Running, User, World};

const WAITING: &[i64] = &[libc::SYS_semop, libc::SYS_semtimedop];

fn all(case: fn(&World, Build)) {
    for build in under_test::all() {
        let Some(world) = World::new() else { return };
        case(&world, build);
    }
}

fn guard(world: &World, build: Build, user: User, mode: &[&str]) -> Running {
    world
        .launch_as("run_guard", build, user)
        .arg("guard")
        .args(mode)
        .start()
}

fn holder(world: &World, build: Build, user: User) -> Running {
    world.launch_as("holder", build, user).start()
}

fn end(running: Running) {
    running.finish(DEADLINE).ok();
}

#[test]
fn a_run_guard_lets_one_run_at_a_time() {
    all(|world, build| {
        for user in [User::ALICE, User::SUDO_ALICE, User::Root] {
            let mut first = guard(world, build, user, &[]);
            first.expect("first");
            let mut second = guard(world, build, user, &[]);
            second.expect("another one is running");
            end(second);
            end(first);
            world.assert_clean();
        }
    });
}

#[test]
fn a_run_guard_works_again_after_a_kill() {
    all(|world, build| {
        for mode in ["kill", "kill-inside"] {
            guard(world, build, User::SUDO_ALICE, &[mode]).wait();
            let mut next = guard(world, build, User::ALICE, &[]);
            next.expect("first");
            end(next);
            world.assert_clean();
        }
    });
}

#[test]
fn a_run_guard_of_one_user_does_not_lock_another_out() {
    all(|world, build| {
        let mut alice = guard(world, build, User::ALICE, &[]);
        alice.expect("first");
        let mut bob = guard(world, build, User::BOB, &[]);
        bob.expect("first");
        let mut bob_again = guard(world, build, User::BOB, &[]);
        bob_again.expect("another one is running");
        let mut root = guard(world, build, User::SUDO_ALICE, &[]);
        root.expect("another one is running");
        for one in [bob_again, root, alice, bob] {
            end(one);
        }
        world.assert_clean();
    });
}

#[test]
fn a_killed_run_guard_of_one_user_does_not_lock_another_out() {
    all(|world, build| {
        for mode in ["kill", "kill-inside"] {
            guard(world, build, User::ALICE, &[mode]).wait();
            for user in [User::BOB, User::ALICE] {
                let mut next = guard(world, build, user, &[]);
                next.expect("first");
                end(next);
            }
            world.assert_clean();
        }
    });
}

/// The semaphore is everybody's own; its value comes back when who holds it
/// dies, so the one who waits gets it.
#[test]
fn run_guards_that_start_together_let_one_run() {
    all(|world, build| {
        for _ in 0..10 {
            let mut all: Vec<Running> = (0..8)
                .map(|_| guard(world, build, User::ALICE, &[]))
                .collect();
            let lines: Vec<String> = all.iter_mut().map(Running::line).collect();
            let first = lines.iter().filter(|line| *line == "first").count();
            assert_eq!(first, 1, "{lines:?}");
            all.into_iter().for_each(end);
            world.assert_clean();
        }
    });
}

#[test]
fn a_block_with_a_checksum_knows_its_primary() {
    all(|world, build| {
        let mut first = guard(world, build, User::SUDO_ALICE, &["block"]);
        first.expect("primary");
        let mut second = guard(world, build, User::ALICE, &["block"]);
        second.expect("secondary");
        end(first);
        let mut third = guard(world, build, User::ALICE, &["block"]);
        third.expect("primary");
        end(second);
        end(third);
        world.assert_clean();
    });
}

/// A crash leaves a block that says "there is a primary", or one half written:
/// nobody sees it any more.
#[test]
fn a_block_of_a_crash_is_not_believed() {
    all(|world, build| {
        for mode in [&["block"][..], &["block", "wrong"]] {
            let mut crashed = guard(world, build, User::SUDO_ALICE, mode);
            crashed.expect("primary");
            crashed.kill_and_wait();
            let mut next = guard(world, build, User::ALICE, &["block"]);
            next.expect("primary");
            end(next);
            world.assert_clean();
        }
    });
}

#[test]
fn attach_and_delete_at_the_start_clears_and_harms_nobody() {
    all(|world, build| {
        let mut first = holder(world, build, User::ALICE);
        first.ask("key k");
        assert_eq!(first.ask("create 4"), "ok");
        assert_eq!(first.ask("put 5"), "ok");
        let mut second = holder(world, build, User::ALICE);
        second.ask("key k");
        assert_eq!(second.ask("attach"), "ok");
        assert_eq!(second.ask("new"), "ok");
        second.ask("key k");
        assert!(second.ask("create 4").starts_with("error 4 "));
        assert_eq!(second.ask("attach"), "ok");
        assert_eq!(second.ask("get"), "5");

        first.kill_and_wait();
        second.kill_and_wait();
        let mut next = holder(world, build, User::ALICE);
        next.ask("key k");
        next.ask("attach");
        assert_eq!(next.ask("new"), "ok");
        next.ask("key k");
        assert_eq!(next.ask("create 4"), "ok");
        assert_eq!(next.ask("get"), "0");
        end(next);
        world.assert_clean();
    });
}

#[test]
fn a_lock_guard_and_a_read_only_attachment_work() {
    all(|world, build| {
        let mut writer = holder(world, build, User::ALICE);
        writer.ask("key k");
        assert_eq!(writer.ask("create 4"), "ok");
        let mut reader = holder(world, build, User::SUDO_ALICE);
        reader.ask("key k");
        assert_eq!(reader.ask("attach ro"), "ok");
        assert_eq!(writer.ask("guarded 11"), "ok");
        assert_eq!(reader.ask("lock"), "ok");
        writer.say("guarded 12");
        writer.wait_for_system_call(WAITING);
        assert_eq!(reader.ask("get"), "11");
        assert_eq!(reader.ask("unlock"), "ok");
        writer.expect("ok");
        assert_eq!(reader.ask("get"), "12");
        end(writer);
        end(reader);
        world.assert_clean();
    });
}

/// One waits for long in a thread, others say "go", one at a time, each ended
/// before the next starts. The kernel's undo at the end of who said it would
/// take the "go" back, if nobody was waiting for it: the same as with Qt.
#[test]
fn a_semaphore_is_a_signal_between_processes() {
    all(|world, build| {
        let mut waiter = holder(world, build, User::ALICE);
        assert_eq!(waiter.ask("sem signal 0 create"), "ok");
        for user in [User::ALICE, User::SUDO_ALICE, User::ALICE] {
            assert_eq!(waiter.ask("acquire-aside"), "ok");
            let mut sayer = holder(world, build, user);
            assert_eq!(sayer.ask("sem signal 0 open"), "ok");
            assert_eq!(waiter.line_now(), None);
            wait_for_thread(&waiter);
            assert_eq!(sayer.ask("release"), "ok");
            waiter.expect("acquired");
            assert_eq!(sayer.ask("acquire-aside"), "ok");
            wait_for_thread(&sayer);
            sayer.kill_and_wait();
        }
        end(waiter);
        let mut last = holder(world, build, User::ALICE);
        assert_eq!(last.ask("sem signal 0 create"), "ok");
        end(last);
        world.assert_clean();
    });
}

/// Waits until a thread of the process, not the first, is asleep in semop.
fn wait_for_thread(running: &Running) {
    let until = std::time::Instant::now() + DEADLINE;
    let folder = format!("/proc/{}/task", running.pid());
    while std::time::Instant::now() < until {
        for thread in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(thread.path().join("syscall")).unwrap_or_default();
            let number = text.split(' ').next().and_then(|word| word.parse().ok());
            if number.is_some_and(|number: i64| WAITING.contains(&number)) {
                return;
            }
        }
        std::thread::yield_now();
    }
    panic!("no thread of {} waits for a semaphore", running.pid());
}
