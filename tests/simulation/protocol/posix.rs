//! The same guarantees with POSIX objects.

use std::sync::Arc;

use qshm::kernel::FileKind;

use super::judge::{clean, clean_for_strangers};
use super::programs::*;
use super::{OTHER, does, everybody, roll, root, scenario, search, search_some, user};
use crate::model::World;
use crate::scenario::{exclusion_and_one_place, nothing_left};
use crate::sim_process::{End, User, run_alone};

/// How many states of a scenario that has millions; `QSHM_SOAK` looks at all.
pub const FEW: usize = 40_000;

const SEGMENT: &str = "/dev/shm/Logic";
pub const SEMAPHORE: &str = "/dev/shm/sem.Logic";

#[test]
fn one_user_twice() {
    let users = [user(), user()];
    search(
        &scenario("come and go, user and user", Keys::Posix, &users, visit),
        1,
    );
    search_some(
        &scenario("lock, user and user", Keys::Posix, &users, lock_alone),
        1,
        FEW,
    );
    let name = "create else attach, user and user";
    search_some(&scenario(name, Keys::Posix, &users, logic), 1, FEW);
}

#[test]
fn root_and_its_user() {
    let users = [root(), user()];
    search(
        &scenario("come and go, root and user", Keys::Posix, &users, visit),
        1,
    );
    let name = "create else attach, root and user";
    search_some(&scenario(name, Keys::Posix, &users, logic), 1, FEW);
}

#[test]
fn attach_first() {
    let name = "attach else create, root and user";
    let scenario = scenario(name, Keys::Posix, &[root(), user()], logic_attach_first);
    search_some(&scenario, 1, FEW);
}

#[test]
fn the_lock_outlives_the_segment() {
    let name = "lock after detach, user and user";
    let scenario = scenario(name, Keys::Posix, &[user(), user()], logic_lock_outlives);
    search_some(&scenario, 1, FEW);
}

#[test]
fn semaphores_give_back() {
    let mut scenario = scenario(
        "a semaphore around it",
        Keys::Posix,
        &[user(), user()],
        guarded,
    );
    scenario.at_rest = clean(everybody(), next_guarded(Keys::Posix), &[]);
    search_some(&scenario, 1, FEW);
}

#[test]
fn two_strangers() {
    let other = User::plain(OTHER);
    let users = [user(), other.clone()];
    let mut scenario = scenario(
        "create else attach, user and other",
        Keys::Posix,
        &users,
        logic,
    );
    scenario.at_rest = clean_for_strangers(vec![user(), other], next_start(Keys::Posix));
    search(&scenario, 1);
}

#[test]
fn a_stranger_locks_first() {
    let stranger = User::plain(OTHER);
    let name = "a stranger locks beside our segment";
    let mut scenario = scenario(name, Keys::Posix, &[user(), stranger.clone()], logic);
    scenario.members[1] = does(&stranger, Keys::Posix, lock_if_alone);
    scenario.at_rest = clean_for_strangers(vec![user(), stranger], next_start(Keys::Posix));
    search(&scenario, 1);
}

/// What Qt as root has left: it never removes a segment, and a kill leaves the semaphore, too.
fn leftover_of_root(world: &mut World) {
    for path in [SEGMENT, SEMAPHORE] {
        let ino = world.plant(path, FileKind::Regular, 0, 0, 0o600);
        world.inodes.get_mut(&ino).unwrap().memory.resize(32);
    }
}

/// Nothing of the user's is left: what there is belongs to root's leftover.
fn nothing_left_aside(world: &World) -> Result<(), String> {
    nothing_left(world, &[SEGMENT, SEMAPHORE])
}

#[test]
fn a_leftover_of_root() {
    for users in [[user(), user()], [root(), user()]] {
        let mut scenario = scenario("root's leftover", Keys::Posix, &users, logic);
        leftover_of_root(&mut scenario.world);
        // Its semaphore is at 0, until somebody puts it right.
        scenario.invariant = Arc::new(exclusion_and_one_place);
        scenario.at_rest = Arc::new(|rest| {
            let (world, end, _) = run_alone(rest.world.clone(), &user(), &next_start(Keys::Posix));
            if end != End::Finished {
                return Err(format!("G3: the user's next start: {end:?}"));
            }
            nothing_left_aside(&world)?;
            let (world, end, _) = run_alone(world, &root(), &next_start(Keys::Posix));
            if end != End::Finished {
                return Err(format!("G3: root's next start: {end:?}"));
            }
            nothing_left(&world, &[])
        });
        search_some(&scenario, 1, FEW);
    }
}

#[test]
fn up_to_five_at_once() {
    let users = [user(), root(), user(), root(), user()];
    let name = "create else attach, five of one identity";
    roll(&scenario(name, Keys::Posix, &users, logic), 3);
    let mut guards = scenario("five around a semaphore", Keys::Posix, &users, guarded);
    guards.at_rest = clean(everybody(), next_guarded(Keys::Posix), &[]);
    roll(&guards, 3);
}

#[test]
fn strangers_and_root_at_once() {
    let other = User::plain(OTHER);
    let users = [user(), root(), other.clone(), user(), User::root_for(OTHER)];
    let name = "two identities and root for both";
    let mut scenario = scenario(name, Keys::Posix, &users, logic);
    scenario.at_rest = clean_for_strangers(vec![user(), other], next_start(Keys::Posix));
    roll(&scenario, 3);
}
