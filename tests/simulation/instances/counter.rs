//! Beside builds that count in shared memory.

use std::path::Path;
use std::sync::Arc;

use qshm::AccessMode;
use qshm::instance::{Options, Scope, Surroundings};
use qshm::kernel::Kernel as _;

use super::programs::{ends, joined, options};
use super::{each, machine, scenario};
use crate::protocol::{Keys, SOME, everybody, key, memory, roll, root, search_some, user};
use crate::scenario::{Scenario, member};
use crate::sim_process::{End, Program, SimProcess, run_alone};

fn plain() -> &'static Surroundings {
    static PLAIN: std::sync::OnceLock<Surroundings> = std::sync::OnceLock::new();
    PLAIN.get_or_init(Surroundings::default)
}

fn with_counter() -> Options {
    Options {
        counter: Some(key("Logic")),
        ..options(Scope::User)
    }
}

/// A new build.
fn new_build(process: &SimProcess) {
    let instance = joined(process, plain(), &with_counter());
    let _ = process.lstat(Path::new("/"));
    if !instance.reason().is_empty() {
        process.wrong(instance.reason());
    }
    ends(process, instance);
}

/// An old one: its number is what it finds in the segment.
fn old_build(process: &SimProcess) {
    let memory = memory(process, Keys::SystemV);
    let made = |_| memory.create(4, AccessMode::ReadWrite) || memory.attach(AccessMode::ReadWrite);
    if !(0..6).any(made) || !memory.lock() {
        process.wrong(format!("an old build: {}", memory.error()));
    }
    let address = memory.data() as usize;
    let number = process.peek(address);
    process.poke(address, number + 1);
    memory.unlock();
    process.note(|status| status.outcome = Some(if number == 0 { "old 0" } else { "old 1" }));
    if !memory.lock() {
        process.wrong(format!("an old build: {}", memory.error()));
    }
    process.note(|status| status.outcome = None);
    process.poke(address, process.peek(address) - 1);
    memory.unlock();
    memory.detach();
}

/// The only one: it is counted as one, and nothing is left.
fn counted_alone() -> Program {
    Arc::new(|process: &SimProcess| {
        let instance = joined(process, plain(), &with_counter());
        let memory = memory(process, Keys::SystemV);
        if !memory.attach(AccessMode::ReadWrite) {
            process.wrong("the old counter is not there");
        }
        let count = process.peek(memory.data() as usize);
        if (instance.number(), count) != (0, 1) {
            process.wrong(format!("number {}, counted {count}", instance.number()));
        }
        memory.detach();
        ends(process, instance);
    })
}

/// Two at most, so that nobody leaves before the last one comes: then the old one's number is
/// never the new one's.
fn checked(mut scenario: Scenario) -> Scenario {
    scenario.invariant = Arc::new(|world, members, statuses| {
        super::numbers_and_claims_differ(world, members, statuses)?;
        let alive = |pid: usize| world.processes[pid].life == crate::model::Life::Alive;
        for (one, other) in [(0, 1), (1, 0)] {
            let old = match statuses[one].outcome {
                Some("old 0") => 0,
                Some("old 1") => 1,
                _ => continue,
            };
            if alive(one) && alive(other) && statuses[other].number == Some(old) {
                return Err(format!("old and new have number {old}"));
            }
        }
        Ok(())
    });
    scenario.at_rest = Arc::new(|rest| {
        let left = |world: &crate::model::World| world.segments.is_empty() && world.sets.is_empty();
        if !rest.killed.contains(&true) && !left(rest.world) {
            return Err("something is left".to_owned());
        }
        for user in everybody() {
            let (world, end, _) = run_alone(rest.world.clone(), &user, &counted_alone());
            if end != End::Finished || !left(&world) {
                return Err(format!("the next one, {user:?}: {end:?}"));
            }
        }
        Ok(())
    });
    scenario
}

#[test]
fn two_new_builds() {
    for (name, users) in [
        ("counter: new and new", [user(), user()]),
        ("counter: new, root and user", [root(), user()]),
    ] {
        let scenario = checked(scenario(name, machine(), each(&users, new_build)));
        search_some(&scenario, 1, SOME / 3);
    }
}

#[test]
fn an_old_and_a_new_build() {
    let members = each(&[user(), user()], new_build);
    let mut scenario = checked(scenario("counter: old and new", machine(), members));
    scenario.members[0] = member(user(), old_build);
    search_some(&scenario, 1, SOME / 3);
}

#[test]
fn a_crowd() {
    let users = [user(), root(), user(), root()];
    let mut scenario = checked(scenario(
        "counter: four",
        machine(),
        each(&users, new_build),
    ));
    roll(&scenario, 2);
    scenario.invariant = Arc::new(super::numbers_and_claims_differ);
    scenario.members[0] = member(user(), old_build);
    scenario.members[1] = member(root(), old_build);
    scenario.name = "counter: two old, two new".to_owned();
    roll(&scenario, 2);
}
