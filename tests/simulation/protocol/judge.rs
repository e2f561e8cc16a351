//! What has to hold when everybody is gone.

use std::sync::Arc;

use crate::scenario::{AtRest, nothing_left};
use crate::sim_process::{End, Program, User, run_alone};

/// G3 and the second half of G1: without a kill nothing is left; after one, the next start of
/// each user works at once, and after its exit nothing is left.
pub fn clean(users: Vec<User>, next: Program, except: &'static [&'static str]) -> AtRest {
    Arc::new(move |rest| {
        if !rest.killed.contains(&true) {
            return nothing_left(rest.world, except);
        }
        for user in &users {
            let (world, end, _) = run_alone(rest.world.clone(), user, &next);
            let who = format!(
                "G3: after a kill, {} for {}",
                user.cred.uid, user.identity.uid
            );
            if end != End::Finished {
                return Err(format!("{who}: {end:?}"));
            }
            nothing_left(&world, except).map_err(|what| format!("{who}: {what}"))?;
        }
        Ok(())
    })
}

/// The same for two users who have nothing to do with each other: each can start, and when both
/// have been there, nothing is left.
pub fn clean_for_strangers(users: Vec<User>, next: Program) -> AtRest {
    Arc::new(move |rest| {
        if !rest.killed.contains(&true) {
            return nothing_left(rest.world, &[]);
        }
        for turn in 0..users.len() {
            let mut world = rest.world.clone();
            // The first one once more: what the others left in its way is cleared only then.
            for position in 0..=users.len() {
                let user = &users[(turn + position) % users.len()];
                let (after, end, _) = run_alone(world, user, &next);
                if end != End::Finished {
                    return Err(format!("G3: after a kill, {}: {end:?}", user.cred.uid));
                }
                world = after;
            }
            nothing_left(&world, &[])
                .map_err(|what| format!("G3: after a kill and all: {what}"))?;
        }
        Ok(())
    })
}
