//! Random schedules of up to five processes.

use std::sync::Arc;

use qshm::kernel::FileKind;

use super::in_the_way::leftover_of_root;
use super::judge::{clean, clean_for_strangers};
use super::programs::{
    Keys, attach, lock_alone, lock_if_alone, locked, logic, logic_attach_first, memory,
    next_run_guard, next_start, run_guard, unlocked,
};
use super::{OTHER, does, everybody, roll, root, scenario, user};
use crate::scenario::{exclusion_and_one_place, nothing_left};
use crate::sim_process::{End, SimProcess, User, run_alone};

#[test]
fn strangers_and_root_at_once() {
    let other = User::plain(OTHER);
    let users = [user(), root(), other.clone(), user(), User::root_for(OTHER)];
    let mut scenario = scenario(
        "create else attach, two identities and root for both",
        Keys::SystemV,
        &users,
        logic,
    );
    scenario.at_rest = clean_for_strangers(vec![user(), other], next_start(Keys::SystemV));
    roll(&scenario, 3);
    leftover_of_root(&mut scenario.world);
    scenario.name = "the same, with root's leftover".to_owned();
    let next = next_start(Keys::SystemV);
    scenario.at_rest = Arc::new(move |rest| {
        let mut world = rest.world.clone();
        for user in [
            user(),
            User::plain(OTHER),
            User::root_for(OTHER),
            root(),
            user(),
            User::plain(OTHER),
        ] {
            let (after, end, _) = run_alone(world, &user, &next);
            if end != End::Finished {
                return Err(format!("G3: {user:?}: {end:?}"));
            }
            world = after;
        }
        nothing_left(&world, &[])
    });
    roll(&scenario, 3);
}

#[test]
fn strangers_lock_among_us() {
    let other = User::plain(OTHER);
    let users = [user(), other.clone(), root(), other.clone(), user()];
    for keys in [Keys::SystemV, Keys::Posix] {
        let mut scenario = scenario("strangers lock beside our segment", keys, &users, logic);
        for stranger in [1, 3] {
            scenario.members[stranger] = does(&other, keys, lock_if_alone);
        }
        scenario.at_rest = clean_for_strangers(vec![user(), other.clone()], next_start(keys));
        roll(&scenario, 3);
    }
}

/// Steps aside with the lock because of a stranger's file, which is gone the next moment.
fn lock_while_barred(process: &SimProcess, keys: Keys) {
    let memory = memory(process, keys);
    attach(process, &memory);
    locked(process, &memory);
    process.vanishes(lock_file(keys));
    unlocked(process, &memory);
}

/// Where the machine-wide lock of a key has its file.
fn lock_file(keys: Keys) -> &'static str {
    match keys {
        Keys::Posix => "/dev/shm/sem.Logic",
        _ => "/tmp/S-Logic",
    }
}

/// Who followed others aside must not be left there when those have died, beside one who has seen
/// that nobody was there.
#[test]
fn followers_of_one_who_was_aside() {
    let users = [user(), user(), user()];
    for keys in [Keys::SystemV, Keys::Posix] {
        let mut scenario = scenario("followers aside", keys, &users, lock_alone);
        scenario.members[0] = does(&user(), keys, lock_while_barred);
        let file = lock_file(keys);
        scenario
            .world
            .plant(file, FileKind::Regular, OTHER, OTHER, 0o600);
        scenario.invariant = Arc::new(exclusion_and_one_place);
        scenario.at_rest = Arc::new(|_| Ok(()));
        roll(&scenario, 1);
    }
}

#[test]
fn run_guards_at_once() {
    let users = [user(), root(), user(), root()];
    let mut scenario = scenario(
        "RunGuard, four of one identity",
        Keys::SystemV,
        &users,
        run_guard,
    );
    scenario.at_rest = clean(everybody(), next_run_guard(Keys::SystemV), &[]);
    roll(&scenario, 2);
}

#[test]
fn up_to_five_at_once() {
    let users = [user(), root(), user(), root(), user()];
    roll(
        &scenario(
            "create else attach, five of one identity",
            Keys::SystemV,
            &users,
            logic,
        ),
        3,
    );
    roll(
        &scenario(
            "attach else create, five of one identity",
            Keys::SystemV,
            &users,
            logic_attach_first,
        ),
        3,
    );
}
