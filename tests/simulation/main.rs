//! The protocols on a simulated machine, and the simulated machine against the real one.
//!
//! - `model`: the machine: files, locks, System V objects, processes and their death.
//! - `conformance`: the same random calls on the model and on the real kernel.
//! - `explore`: every interleaving of two processes, with a kill at every call.
//! - `schedules`: random and PCT schedules of up to five, by shuttle.
//! - `known_races`: protocols with a known race, which the searches have to find.
//! - `protocol`: qshm's own classes for shared memory.
//! - `instances`: instance numbers and claims.
//!
//! Where a scenario has millions of states, the default run looks at a part of them, spread at
//! random, and says `only`; `QSHM_SOAK=1` looks at all (hours instead of a minute, and several
//! gigabytes of memory), rolls more random schedules, and kills two processes instead of one
//! where everything is looked at in any case. `QSHM_SEED=n` chooses other random calls, states
//! and schedules. To see the numbers: `cargo test --test simulation -- --nocapture`.
//!
//! What is wrong is told call by call, by the shortest way that leads there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::similar_names,
    // Calls that can't fail answer like those that can.
    clippy::unnecessary_wraps
)]

mod conformance;
mod explore;
mod instances;
mod known_races;
mod model;
mod protocol;
mod scenario;
mod schedules;
mod sim_process;

/// Numbers that look random and are the same for a seed in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.roll(100) < percent
    }
}

/// The seed of random calls and schedules.
fn seed() -> u64 {
    let given = std::env::var("QSHM_SEED").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Whether to take the time for more.
fn soak() -> bool {
    std::env::var_os("QSHM_SOAK").is_some_and(|value| value != "0")
}
