//! The same guarantees where one key file leads to the segment and to its lock.

use super::judge::{clean, clean_for_strangers};
use super::programs::*;
use super::{OTHER, does, everybody, roll, root, scenario, search_some, user};
use crate::sim_process::User;

/// How many states of a scenario that has millions; `QSHM_SOAK` looks at all.
const FEW: usize = 40_000;

const KEYS: Keys = Keys::OneFile;

#[test]
fn one_user_twice() {
    let users = [user(), user()];
    let name = "come and go, user and user";
    search_some(&scenario(name, KEYS, &users, visit), 1, FEW);
    let name = "lock, user and user";
    search_some(&scenario(name, KEYS, &users, lock_alone), 1, FEW);
    let name = "create else attach, user and user";
    search_some(&scenario(name, KEYS, &users, logic), 1, FEW);
}

#[test]
fn one_user_twice_where_inode_numbers_are_never_used_again() {
    let name = "create else attach on tmpfs, user and user";
    let mut scenario = scenario(name, KEYS, &[user(), user()], logic);
    scenario.world.reuse_inodes = false;
    search_some(&scenario, 1, FEW);
}

#[test]
fn root_and_its_user() {
    let users = [root(), user()];
    let name = "come and go, root and user";
    search_some(&scenario(name, KEYS, &users, visit), 1, FEW);
    let name = "create else attach, root and user";
    search_some(&scenario(name, KEYS, &users, logic), 1, FEW);
    let name = "attach else create, root and user";
    search_some(&scenario(name, KEYS, &users, logic_attach_first), 1, FEW);
}

#[test]
fn the_lock_outlives_the_segment() {
    let name = "lock after detach, user and user";
    let scenario = scenario(name, KEYS, &[user(), user()], logic_lock_outlives);
    search_some(&scenario, 1, FEW);
}

#[test]
fn semaphores_give_back() {
    let users = [user(), root()];
    let mut scenario = scenario("a semaphore around it", KEYS, &users, guarded);
    scenario.at_rest = clean(everybody(), next_guarded(KEYS), &[]);
    search_some(&scenario, 1, FEW);
}

/// In a directory where both may make files.
#[test]
fn two_strangers() {
    let other = User::plain(OTHER);
    let users = [user(), other.clone()];
    let mut scenario = scenario("create else attach, user and other", KEYS, &users, logic);
    scenario.world.plant_directory(RUNTIME, 0, 0, 0o1777);
    scenario.at_rest = clean_for_strangers(vec![user(), other.clone()], next_start(KEYS));
    search_some(&scenario, 1, FEW);
    scenario.name = "OneFile: a stranger locks beside our segment".to_owned();
    scenario.members[1] = does(&other, KEYS, lock_if_alone);
    search_some(&scenario, 1, FEW);
}

#[test]
fn five_at_once() {
    let users = [user(), root(), user(), root(), user()];
    let name = "create else attach, five of one identity";
    roll(&scenario(name, KEYS, &users, logic), 3);
}
