//! Places that come and go, or are of no use for a time, one after the other, while instances join,
//! claim, count, end and are killed.

use super::programs::{
    self, faults_one_after_the_other, logs_in_and_out, logs_out, one_place_and_then_the_other,
    opens_and_closes, the_last_place_for_a_time, tries_to_live, tries_to_visit,
    tries_to_visit_named,
};
use super::searches::known;
use super::{bare_machine, each, machine, scenario};
use crate::model::World;
use crate::protocol::{SOME, USER, roll, root, search_some, user};
use crate::scenario::{Scenario, member};
use crate::sim_process::{SimProcess, User};

/// As many states of those that are not all looked at.
const FEW: usize = SOME / 10;

/// Two of a user, or one and root, while somebody else does something to the directories. Where that
/// one was killed half-way, the next start may have no place.
fn meanwhile(
    name: &str,
    world: &World,
    happens: impl Fn(&SimProcess) + Send + Sync + 'static,
) -> Scenario {
    let members = each(&[user(), root(), user()], tries_to_visit);
    let mut scenario = scenario(&format!("instances: {name}"), world.clone(), members);
    scenario.members[2] = member(User::root_for(USER), happens);
    let at_rest = scenario.at_rest.clone();
    scenario.at_rest = std::sync::Arc::new(move |rest| {
        if rest.killed[2] {
            Ok(())
        } else {
            at_rest(rest)
        }
    });
    scenario
}

/// What is rare among all states is likelier among schedules with few switches.
fn search_and_roll(mut scenario: Scenario) {
    search_some(&scenario, 1, FEW);
    roll(&scenario, 1);
    scenario.members[0] = member(user(), tries_to_live);
    scenario.members[1] = member(user(), tries_to_live);
    search_some(&scenario, 1, FEW);
}

/// In the last place they are known to be the only ones.
#[test]
fn a_login_that_ends() {
    for world in [bare_machine(), known(bare_machine())] {
        search_and_roll(meanwhile("a login that ends", &world, logs_in_and_out));
    }
    search_and_roll(meanwhile("logged out", &known(machine()), logs_out));
}

#[test]
fn a_registry_that_is_open_to_others_for_a_time() {
    let world = known(machine());
    search_and_roll(meanwhile(
        "open to others for a time",
        &world,
        opens_and_closes,
    ));
}

/// Whoever joins in one place has no other, and then that one is gone.
#[test]
fn two_faults_one_after_the_other() {
    for mode in [0, 0o755] {
        let world = known(bare_machine());
        let faults = move |process: &SimProcess| faults_one_after_the_other(process, mode);
        search_and_roll(meanwhile(
            "the last place fails, then the first",
            &world,
            faults,
        ));
        let world = known(machine());
        let faults = move |process: &SimProcess| one_place_and_then_the_other(process, mode);
        search_and_roll(meanwhile(
            "the first place fails, then the last",
            &world,
            faults,
        ));
    }
}

#[test]
fn a_named_place_while_the_last_one_fails() {
    let mut world = bare_machine();
    world.plant_directory(programs::NAMED, USER, USER, 0o700);
    let mut scenario = meanwhile(
        "XDG_RUNTIME_DIR, and the last place fails",
        &known(world),
        the_last_place_for_a_time,
    );
    scenario.members[0] = member(user(), tries_to_visit_named);
    search_some(&scenario, 1, SOME);
}
