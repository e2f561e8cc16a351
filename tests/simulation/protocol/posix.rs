//! The same guarantees with POSIX objects.

use std::sync::Arc;

use qshm::kernel::FileKind;

use super::accounts::with_sum;
use super::judge::{clean, clean_for_strangers};
use super::programs::*;
use super::{OTHER, everybody, members, roll, root, search, search_some, user};
use crate::model::World;
use crate::scenario::{Scenario, exclusion_and_one_place, member, nothing_left};
use crate::sim_process::{End, Program, SimProcess, User, run_alone};

/// How many states of a scenario that has millions; `QSHM_SOAK` looks at all.
pub const FEW: usize = 40_000;

const SEGMENT: &str = "/dev/shm/Logic";
pub const SEMAPHORE: &str = "/dev/shm/sem.Logic";

fn visit(process: &SimProcess) {
    let memory = posix_memory(process);
    join(process, &memory);
    left(process, &memory);
}

fn lock_alone(process: &SimProcess) {
    let memory = posix_memory(process);
    if attach(process, &memory) {
        process.wrong("attached to a segment that nobody made");
    }
    locked(process, &memory);
    unlocked(process, &memory);
}

fn lock_if_alone(process: &SimProcess) {
    let memory = posix_memory(process);
    if attach(process, &memory) {
        process.wrong("attached to somebody else's segment");
    }
    if !memory.lock() {
        failed(process, &memory, "lock");
    }
    if !memory.unlock() {
        failed(process, &memory, "unlock");
    }
}

fn logic(process: &SimProcess) {
    let memory = posix_memory(process);
    join(process, &memory);
    count(process, &memory);
    left(process, &memory);
}

fn logic_attach_first(process: &SimProcess) {
    let memory = posix_memory(process);
    join_attach_first(process, &memory);
    count(process, &memory);
    left(process, &memory);
}

fn logic_lock_outlives(process: &SimProcess) {
    let memory = posix_memory(process);
    join(process, &memory);
    left(process, &memory);
    locked(process, &memory);
    unlocked(process, &memory);
}

/// A semaphore of the value 1 around something: whoever is killed inside gives it back.
fn guarded(process: &SimProcess) {
    let guard = posix_semaphore(process);
    if !guard.acquire() {
        process.wrong(format!("acquire: {}", guard.error()));
    }
    process.note(|status| status.locked = Some(1));
    process.note(|status| status.locked = None);
    if !guard.release(1) {
        process.wrong(format!("release: {}", guard.error()));
    }
}

pub fn next_start() -> Program {
    Arc::new(|process: &SimProcess| {
        let memory = posix_memory(process);
        if !create(process, &memory) {
            failed(process, &memory, "create, when nobody is there");
        }
        count(process, &memory);
        left(process, &memory);
    })
}

fn next_guarded() -> Program {
    Arc::new(guarded)
}

fn scenario(name: &str, users: &[User], program: fn(&SimProcess)) -> Scenario {
    let mut scenario = Scenario::new(&format!("POSIX: {name}"), members(users, program));
    scenario.at_rest = clean(everybody(), next_start(), &[]);
    with_sum(&mut scenario, 1);
    scenario
}

#[test]
fn one_user_twice() {
    let users = [user(), user()];
    search(&scenario("come and go, user and user", &users, visit), 1);
    search_some(&scenario("lock, user and user", &users, lock_alone), 1, FEW);
    let name = "create else attach, user and user";
    search_some(&scenario(name, &users, logic), 1, FEW);
}

#[test]
fn root_and_its_user() {
    let users = [root(), user()];
    search(&scenario("come and go, root and user", &users, visit), 1);
    let name = "create else attach, root and user";
    search_some(&scenario(name, &users, logic), 1, FEW);
}

#[test]
fn attach_first() {
    let name = "attach else create, root and user";
    let scenario = scenario(name, &[root(), user()], logic_attach_first);
    search_some(&scenario, 1, FEW);
}

#[test]
fn the_lock_outlives_the_segment() {
    let name = "lock after detach, user and user";
    let scenario = scenario(name, &[user(), user()], logic_lock_outlives);
    search_some(&scenario, 1, FEW);
}

#[test]
fn semaphores_give_back() {
    let mut scenario = scenario("a semaphore around it", &[user(), user()], guarded);
    scenario.at_rest = clean(everybody(), next_guarded(), &[]);
    search_some(&scenario, 1, FEW);
}

#[test]
fn two_strangers() {
    let other = User::plain(OTHER);
    let users = [user(), other.clone()];
    let mut scenario = scenario("create else attach, user and other", &users, logic);
    scenario.at_rest = clean_for_strangers(vec![user(), other], next_start());
    search_some(&scenario, 1, FEW);
}

#[test]
fn a_stranger_locks_first() {
    let stranger = User::plain(OTHER);
    let name = "a stranger locks beside our segment";
    let mut scenario = scenario(name, &[user(), stranger.clone()], logic);
    scenario.members[1] = member(stranger.clone(), lock_if_alone);
    scenario.at_rest = clean_for_strangers(vec![user(), stranger], next_start());
    search_some(&scenario, 1, FEW);
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
        let mut scenario = scenario("root's leftover", &users, logic);
        leftover_of_root(&mut scenario.world);
        // Its semaphore is at 0, until somebody puts it right.
        scenario.invariant = Arc::new(exclusion_and_one_place);
        scenario.at_rest = Arc::new(|rest| {
            let (world, end, _) = run_alone(rest.world.clone(), &user(), &next_start());
            if end != End::Finished {
                return Err(format!("G3: the user's next start: {end:?}"));
            }
            nothing_left_aside(&world)?;
            let (world, end, _) = run_alone(world, &root(), &next_start());
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
    roll(&scenario(name, &users, logic), 3);
    let mut guards = scenario("five around a semaphore", &users, guarded);
    guards.at_rest = clean(everybody(), next_guarded(), &[]);
    roll(&guards, 3);
}

#[test]
fn strangers_and_root_at_once() {
    let other = User::plain(OTHER);
    let users = [user(), root(), other.clone(), user(), User::root_for(OTHER)];
    let name = "two identities and root for both";
    let mut scenario = scenario(name, &users, logic);
    scenario.at_rest = clean_for_strangers(vec![user(), other], next_start());
    roll(&scenario, 3);
}
