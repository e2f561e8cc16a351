//! Instance numbers and claims on the simulated machine: at no moment do two have the same number
//! or the same claim, whoever is killed when; what a dead one had is free; and all this also while
//! the registry is deleted, replaced, or in different places for different processes.

mod counter;
mod places;
mod programs;
mod searches;

use std::sync::Arc;

use crate::model::{Life, World};
use crate::protocol::{OTHER, USER, everybody};
use crate::scenario::{Member, Scenario, member};
use crate::sim_process::{End, SimProcess, Status, User, run_alone};

/// A machine on which two users have runtime directories.
fn machine() -> World {
    let mut world = bare_machine();
    for uid in [USER, OTHER] {
        world.plant_directory(&format!("/run/user/{uid}"), uid, uid, 0o700);
    }
    world
}

/// One without.
fn bare_machine() -> World {
    let mut world = World::new();
    world.plant_directory("/run", 0, 0, 0o755);
    // So that a user can log in: see `programs::logs_in`.
    world.plant_directory("/run/user", 0, 0, 0o777);
    world.plant_directory("/dev", 0, 0, 0o755);
    world.plant_directory("/dev/shm", 0, 0, 0o1777);
    world
}

/// Processes that each run a program, and afterwards, whoever was killed, the next of each user
/// has the first number and the claim.
fn scenario(name: &str, world: World, members: Vec<Member>) -> Scenario {
    let mut scenario = Scenario::new(name, members);
    scenario.world = world;
    scenario.invariant = Arc::new(numbers_and_claims_differ);
    scenario.at_rest = Arc::new(|rest| {
        for user in everybody() {
            let (_, end, _) = run_alone(rest.world.clone(), &user, &programs::alone());
            if end != End::Finished {
                return Err(format!("the next one, {user:?}: {end:?}"));
            }
        }
        Ok(())
    });
    scenario
}

fn each(users: &[User], program: fn(&SimProcess)) -> Vec<Member> {
    users
        .iter()
        .map(|user| member(user.clone(), program))
        .collect()
}

/// Live handles of one identity have different numbers, and one of them the claim; who believes
/// that it has a number has a lock.
fn numbers_and_claims_differ(
    world: &World,
    members: &[Member],
    statuses: &[Status],
) -> Result<(), String> {
    let alive = |pid: &usize| world.processes[*pid].life == Life::Alive;
    for one in (0..members.len()).filter(alive) {
        let Some(number) = statuses[one].number else {
            continue;
        };
        if !world.has_ranges(one) {
            return Err(format!("process {one} has lost its number {number}"));
        }
        for other in (one + 1..members.len()).filter(alive) {
            if members[one].user.identity != members[other].user.identity {
                continue;
            }
            if statuses[other].number == Some(number) {
                return Err(format!(
                    "processes {one} and {other} both have number {number}"
                ));
            }
            if statuses[one].claims && statuses[other].claims {
                return Err(format!("processes {one} and {other} both have the claim"));
            }
        }
    }
    Ok(())
}
