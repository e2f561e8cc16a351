//! qshm's own classes on the simulated machine: the guarantees G1 to G5 under every
//! interleaving of two processes and under random ones of more, with kills.

mod accounts;
mod in_the_way;
mod judge;
mod many_processes;
mod one_file;
mod posix;
mod programs;
mod two_processes;

use std::time::Instant;

use crate::explore::{explore, explore_some};
use crate::scenario::{Member, Scenario, member};
use crate::schedules::{pct, random};
use crate::sim_process::{SimProcess, User};
use crate::{seed, soak};
use judge::clean;
pub use programs::{Keys, identity, key, memory};
use programs::{RUNTIME, next_start};

/// The user, and one who has nothing to do with it.
pub const USER: u32 = 1000;
pub const OTHER: u32 = 1001;

/// How many states of a scenario that has millions.
pub const SOME: usize = 100_000;

pub fn user() -> User {
    User::plain(USER)
}

pub fn root() -> User {
    User::root_for(USER)
}

pub fn everybody() -> Vec<User> {
    vec![user(), root()]
}

/// What a process does with a kind of key.
type Behaviour = fn(&SimProcess, Keys);

fn does(user: &User, keys: Keys, behaviour: Behaviour) -> Member {
    member(user.clone(), move |process| behaviour(process, keys))
}

/// Every interleaving, and with one kill at every call.
pub fn search(scenario: &Scenario, kills: usize) {
    search_some(scenario, kills, usize::MAX);
}

/// The same for scenarios with more states than there is time for: so many of them, or all in a
/// long run.
pub fn search_some(scenario: &Scenario, kills: usize, limit: usize) {
    // Where a long run goes through everything in any case, it kills one more.
    let more = usize::from(soak() && limit == usize::MAX);
    for kills in 0..=kills + more {
        let mut scenario = scenario.clone();
        scenario.kills = kills;
        let begin = Instant::now();
        let found = if limit == usize::MAX || soak() {
            explore(&scenario)
        } else {
            explore_some(&scenario, limit)
        };
        println!(
            "explore: {}, {kills} kills: {} {} states, {} steps, {} histories, {} ends, {:.1} s",
            scenario.name,
            if found.cut { "only" } else { "all" },
            found.states,
            found.steps,
            found.histories,
            found.ends,
            begin.elapsed().as_secs_f32(),
        );
        if let Some(wrong) = found.wrong {
            panic!("{wrong}");
        }
    }
}

pub fn roll(scenario: &Scenario, kills: usize) {
    let schedules = if soak() { 100_000 } else { 2000 };
    let mut scenario = scenario.clone();
    scenario.kills = kills;
    let begin = Instant::now();
    let runs = [
        ("random", random(&scenario, schedules, seed())),
        ("PCT", pct(&scenario, 3, schedules, seed())),
    ];
    for (how, ran) in runs {
        println!(
            "{how}: {}, up to {kills} kills: {} schedules, {} calls, {} killed, {:.1} s",
            scenario.name,
            ran.schedules,
            ran.calls,
            ran.kills,
            begin.elapsed().as_secs_f32(),
        );
        if let Some(wrong) = ran.wrong {
            panic!("{wrong}");
        }
    }
}

fn scenario(name: &str, keys: Keys, users: &[User], behaviour: Behaviour) -> Scenario {
    let members = users.iter().map(|user| does(user, keys, behaviour));
    let mut scenario = Scenario::new(&format!("{keys:?}: {name}"), members.collect());
    // As on tmpfs.
    scenario.world.reuse_inodes = keys != Keys::Posix;
    if keys == Keys::OneFile {
        scenario.world.plant_directory("/run", 0, 0, 0o755);
        scenario.world.plant_directory("/run/user", 0, 0, 0o755);
        scenario.world.plant_directory(RUNTIME, USER, USER, 0o700);
    }
    scenario.at_rest = clean(everybody(), next_start(keys), &[]);
    if keys == Keys::Posix {
        accounts::with_sum(&mut scenario, 1);
    }
    scenario
}
