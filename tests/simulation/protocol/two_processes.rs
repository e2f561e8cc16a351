//! Every interleaving of two processes.

use std::sync::Arc;

use qshm::{AccessMode, ErrorKind};

use super::judge::{clean, clean_for_strangers};
use super::programs::*;
use super::{Behaviour, OTHER, SOME, does, everybody, root, scenario, search, search_some, user};
use crate::scenario::{Time, nothing_left};
use crate::sim_process::{End, User, run_alone};

/// With and without the lock: the two together have some ten million states, each alone has few.
#[test]
fn one_user_twice() {
    let users = [user(), user()];
    search(
        &scenario("come and go, user and user", Keys::SystemV, &users, visit),
        1,
    );
    search(
        &scenario("lock, user and user", Keys::SystemV, &users, lock_alone),
        1,
    );
    let name = "create else attach, user and user";
    search_some(&scenario(name, Keys::SystemV, &users, logic), 1, SOME);
}

#[test]
fn one_user_twice_where_inode_numbers_are_never_used_again() {
    for (name, program) in [
        ("come and go on tmpfs", visit as Behaviour),
        ("lock on tmpfs", lock_alone),
        ("create else attach on tmpfs", logic),
    ] {
        let mut scenario = scenario(name, Keys::SystemV, &[user(), user()], program);
        scenario.world.reuse_inodes = false;
        search_some(&scenario, 1, SOME);
    }
}

#[test]
fn root_and_its_user() {
    let users = [root(), user()];
    search(
        &scenario("come and go, root and user", Keys::SystemV, &users, visit),
        1,
    );
    search(
        &scenario("lock, root and user", Keys::SystemV, &users, lock_alone),
        1,
    );
    let name = "create else attach, root and user";
    search_some(&scenario(name, Keys::SystemV, &users, logic), 1, SOME);
}

#[test]
fn attach_first() {
    search_some(
        &scenario(
            "attach else create, root and user",
            Keys::SystemV,
            &[root(), user()],
            logic_attach_first,
        ),
        1,
        SOME,
    );
}

#[test]
fn the_lock_outlives_the_segment() {
    search_some(
        &scenario(
            "lock after detach, user and user",
            Keys::SystemV,
            &[user(), user()],
            logic_lock_outlives,
        ),
        1,
        SOME,
    );
}

#[test]
fn two_objects_in_a_process() {
    let users = [user(), user()];
    let mut scenario = scenario("two objects, user and user", Keys::SystemV, &users, logic);
    scenario.members[0] = does(&user(), Keys::SystemV, logic_two_objects);
    search_some(&scenario, 1, SOME);
}

#[test]
fn run_guards() {
    let mut scenario = scenario(
        "RunGuard, user and user",
        Keys::SystemV,
        &[user(), user()],
        run_guard,
    );
    scenario.at_rest = clean(everybody(), next_run_guard(Keys::SystemV), &[]);
    search(&scenario, 1);
}

#[test]
fn two_strangers() {
    let mut scenario = scenario(
        "create else attach, user and other",
        Keys::SystemV,
        &[user(), User::plain(OTHER)],
        logic,
    );
    scenario.at_rest =
        clean_for_strangers(vec![user(), User::plain(OTHER)], next_start(Keys::SystemV));
    search(&scenario, 1);
}

/// Somebody else's semaphore may come to stand beside a segment of ours: a semaphore is made when
/// somebody first locks. Ours then go aside with theirs, all of them.
#[test]
fn a_stranger_locks_first() {
    let stranger = User::plain(OTHER);
    let name = "a stranger locks beside our segment";
    let mut scenario = scenario(name, Keys::SystemV, &[user(), stranger.clone()], logic);
    scenario.members[1] = does(&stranger, Keys::SystemV, lock_if_alone);
    scenario.at_rest = clean_for_strangers(vec![user(), stranger], next_start(Keys::SystemV));
    search(&scenario, 1);
}

/// Any wait may give up at any moment: then a call may fail with `Busy`, but nothing else.
#[test]
fn impatient_waits() {
    let name = "any wait may give up, user and user";
    let mut scenario = scenario(name, Keys::SystemV, &[user(), user()], |process, _| {
        let memory = memory(process, Keys::SystemV);
        let may_fail = [ErrorKind::Busy, ErrorKind::NotFound];
        if !memory.create(4, AccessMode::ReadWrite) && !memory.attach(AccessMode::ReadWrite) {
            if !may_fail.contains(&memory.error().kind()) {
                failed(process, &memory, "create and attach");
            }
            return;
        }
        process.note(|status| status.attached = true);
        if memory.lock() {
            process.note(|status| status.locked = Some(0));
            process.poke(memory.data() as usize, 1);
            unlocked(process, &memory);
        } else if memory.error().kind() != ErrorKind::LockError {
            failed(process, &memory, "lock");
        }
        left(process, &memory);
    });
    scenario.time = Time::Hasty;
    // What one process could not clear, because it would have had to wait, the next one does.
    let next = next_start(Keys::SystemV);
    scenario.at_rest = Arc::new(move |rest| {
        let (world, end, _) = run_alone(rest.world.clone(), &user(), &next);
        if end != End::Finished {
            return Err(format!("the next start: {end:?}"));
        }
        nothing_left(&world, &[])
    });
    search_some(&scenario, 0, SOME);
}
