//! Random schedules of up to five processes.

use std::sync::Arc;

use super::in_the_way::leftover_of_root;
use super::judge::{clean, clean_for_strangers};
use super::programs::{
    Keys, lock_if_alone, logic, logic_attach_first, next_run_guard, next_start, run_guard,
};
use super::{OTHER, does, everybody, roll, root, scenario, user};
use crate::scenario::nothing_left;
use crate::sim_process::{End, User, run_alone};

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
    let mut scenario = scenario(
        "strangers lock beside our segment",
        Keys::SystemV,
        &users,
        logic,
    );
    for stranger in [1, 3] {
        scenario.members[stranger] = does(&other, Keys::SystemV, lock_if_alone);
    }
    scenario.at_rest = clean_for_strangers(vec![user(), other], next_start(Keys::SystemV));
    roll(&scenario, 3);
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
