//! Every interleaving of two, with a kill at each call, and random ones of five.

use std::path::Path;

use super::programs::{
    self, claim, claim_another, claim_twice, cleaner, cleaner_of_claims, copier, live, live_named,
    logs_in, look, two_handles, visit, visit_named,
};
use super::{bare_machine, each, machine, scenario};
use crate::explore::explore;
use crate::model::World;
use crate::protocol::{OTHER, SOME, USER, roll, root, search, search_some, user};
use crate::scenario::member;
use crate::sim_process::{End, User, run_alone};

/// As many states of those that are not all looked at.
const FEW: usize = SOME / 3;

#[test]
fn two_of_a_user() {
    let users = [user(), user()];
    let new = |name, program| scenario(name, machine(), each(&users, program));
    search_some(
        &new("instances: join and end, user and user", visit),
        1,
        SOME,
    );
    search_some(&new("instances: claim, user and user", claim), 1, SOME);
    search_some(
        &new("instances: claim, give back, claim", claim_twice),
        1,
        FEW,
    );
    search_some(&new("instances: all of it, user and user", live), 1, FEW);
}

/// The machine after somebody was there: the registry is known to be the only one.
pub fn known(before: World) -> World {
    let (mut world, end, _) = run_alone(before, &user(), &programs::alone());
    assert_eq!(end, End::Finished);
    world.processes.clear();
    world
}

/// The registry is there, from before.
#[test]
fn two_of_a_user_again() {
    let users = [user(), user()];
    let world = known(machine());
    let new = |name, program| scenario(name, world.clone(), each(&users, program));
    search(&new("instances: join and end, known registry", visit), 0);
    search_some(
        &new("instances: join and end, known registry", visit),
        1,
        SOME,
    );
    search_some(&new("instances: claim, known registry", claim), 1, SOME);
    search_some(&new("instances: all of it, known registry", live), 1, SOME);
}

#[test]
fn root_and_its_user() {
    let users = [root(), user()];
    let new = |name, program| scenario(name, machine(), each(&users, program));
    search_some(
        &new("instances: join and end, root and user", visit),
        1,
        SOME,
    );
    search_some(&new("instances: all of it, root and user", live), 1, FEW);
}

#[test]
fn two_handles_in_a_process() {
    let mut scenario = scenario(
        "instances: two handles",
        machine(),
        each(&[user(), user()], visit),
    );
    scenario.members[0] = member(user(), two_handles);
    search_some(&scenario, 1, FEW);
}

/// Somebody deletes the registry at any moment; or replaces it by a copy of it.
#[test]
fn a_registry_that_goes() {
    for (name, program) in [
        ("instances: a cleaner", cleaner as fn(&_)),
        ("instances: a copy in its place", copier),
    ] {
        let world = known(machine());
        let mut scenario = scenario(name, world, each(&[user(), user(), user()], visit));
        scenario.members[2] = member(user(), program);
        search_some(&scenario, 0, SOME);
        scenario.members[0] = member(root(), look);
        search_some(&scenario, 1, FEW);
    }
}

/// The file of the claims is deleted while one is held. A second one that is claimed must not let
/// the new file be taken for the only one.
#[test]
fn a_file_of_claims_that_goes() {
    let world = known(machine());
    let members = each(&[user(), user(), user(), user()], claim);
    let mut scenario = scenario("instances: a cleaner of claims", world, members);
    scenario.members[1] = member(user(), claim_another);
    scenario.members[3] = member(user(), cleaner_of_claims);
    search_some(&scenario, 0, SOME);
    roll(&scenario, 1);
}

/// There is no runtime directory, and the environment names one for one of them alone.
#[test]
fn places_that_differ() {
    let mut world = bare_machine();
    world.plant_directory(programs::NAMED, USER, USER, 0o700);
    let both = each(&[user(), user()], visit);
    let mut scenario = scenario("instances: one has XDG_RUNTIME_DIR", world.clone(), both);
    scenario.members[0] = member(user(), visit_named);
    search_some(&scenario, 1, SOME);
    scenario.members[0] = member(user(), live_named);
    scenario.members[1] = member(user(), live);
    search_some(&scenario, 0, FEW);
    // The last place is known to be the only one when the first of the others comes.
    scenario.world = known(world);
    assert!(
        scenario
            .world
            .names
            .contains_key(Path::new(programs::LAST_REGISTRY))
    );
    scenario.members.push(member(user(), visit));
    search_some(&scenario, 0, SOME);
}

#[test]
fn a_user_logs_in_meanwhile() {
    let mut scenario = scenario(
        "instances: the runtime directory comes later",
        bare_machine(),
        each(&[user(), user(), root()], visit),
    );
    scenario.members[2] = member(User::root_for(USER), logs_in);
    search_some(&scenario, 0, SOME);
    scenario.members[0] = member(user(), look);
    search_some(&scenario, 1, FEW);
    // The place where they have been so far is known to be the only one.
    scenario.world = known(bare_machine());
    scenario.members[0] = member(user(), visit);
    search_some(&scenario, 0, SOME);
}

#[test]
fn five_at_once() {
    let users = [user(), root(), user(), User::plain(OTHER), root()];
    roll(
        &scenario("instances: five", machine(), each(&users, live)),
        3,
    );
    let mut world = bare_machine();
    world.plant_directory(programs::NAMED, USER, USER, 0o700);
    let mut mixed = scenario(
        "instances: three in different places, a cleaner, a login",
        world,
        each(&users, live),
    );
    mixed.members[0] = member(user(), live_named);
    mixed.members[2] = member(user(), live_named);
    mixed.members[3] = member(user(), cleaner);
    mixed.members[4] = member(User::root_for(USER), logs_in);
    roll(&mixed, 2);
}

/// A protocol that does not look whether the file that it has locked is still the one at the path.
/// A search that does not find what is wrong with it is worth nothing.
#[test]
fn a_number_on_a_file_that_is_gone_is_found() {
    let world = known(machine());
    let members = each(&[user(), user(), user()], programs::locks_and_believes);
    let mut scenario = scenario("instances: locks and believes", world, members);
    search(&scenario, 0);
    scenario.members[2] = member(user(), cleaner);
    let wrong = explore(&scenario).wrong.unwrap_or_default();
    assert!(wrong.contains("both have number 0"), "{wrong}");
}
