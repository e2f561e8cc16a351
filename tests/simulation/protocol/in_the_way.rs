//! Two processes, and something that stands where their objects should.

use std::path::Path;
use std::sync::Arc;

use qshm::kernel::FileKind;

use super::programs::{Keys, logic, next_start};
use super::{SOME, does, root, scenario, search_some, user};
use crate::model::World;
use crate::model::call::Cred;
use crate::scenario::{Scenario, member, nothing_left};
use crate::sim_process::{End, run_alone};

const SEGMENT_FILE: &str = "/tmp/qipc_sharedmemory_Logic3d52a6d8fedcc48a65297c07bf5f7e3e41aab5aa";
const SEMAPHORE_FILE: &str = "/tmp/qipc_systemsem_Logic3d52a6d8fedcc48a65297c07bf5f7e3e41aab5aa";

/// Plants a key file of root's and says which key it leads to.
fn key_of_new_file(world: &mut World, path: &str) -> i32 {
    let ino = world.plant(path, FileKind::Regular, 0, 0, 0o640);
    let generation = qshm::key::Generation::default();
    qshm::key::ipc_key(generation, Path::new(path), &world.stat_of(ino))
}

/// The case of the report: an older build ran as root and crashed. Segment, semaphore and both
/// key files are root's alone.
pub fn leftover_of_root(world: &mut World) {
    let segment = key_of_new_file(world, SEGMENT_FILE);
    let semaphore = key_of_new_file(world, SEMAPHORE_FILE);
    let cred = Cred { uid: 0, gid: 0 };
    world.plant_segment(segment, cred, 0);
    world.plant_semaphore(semaphore, cred, 1);
}

#[test]
fn two_users_meet_a_leftover_of_root() {
    let mut scenario = scenario(
        "root's leftover, user and user",
        Keys::SystemV,
        &[user(), user()],
        logic,
    );
    leftover_of_root(&mut scenario.world);
    // A user alone can't clear it; root for the user does.
    scenario.at_rest = Arc::new(|rest| {
        if !rest.killed.contains(&true) {
            nothing_left_aside(rest.world)?;
        }
        let (world, end, _) = run_alone(rest.world.clone(), &user(), &next_start(Keys::SystemV));
        if end != End::Finished {
            return Err(format!("G3: the user's next start: {end:?}"));
        }
        nothing_left_aside(&world)?;
        let (world, end, _) = run_alone(rest.world.clone(), &root(), &next_start(Keys::SystemV));
        if end != End::Finished {
            return Err(format!("G3: root's next start: {end:?}"));
        }
        nothing_left(&world, &[])
    });
    search_some(&scenario, 1, SOME);
}

#[test]
fn root_clears_its_leftover_while_the_user_starts() {
    let mut scenario = scenario(
        "root's leftover, root and user",
        Keys::SystemV,
        &[root(), user()],
        logic,
    );
    leftover_of_root(&mut scenario.world);
    scenario.at_rest = Arc::new(|rest| {
        let (world, end, _) = run_alone(rest.world.clone(), &user(), &next_start(Keys::SystemV));
        if end != End::Finished {
            return Err(format!("G3: the user's next start: {end:?}"));
        }
        nothing_left_aside(&world)?;
        let (world, end, _) = run_alone(world, &root(), &next_start(Keys::SystemV));
        if end != End::Finished {
            return Err(format!("G3: root's next start: {end:?}"));
        }
        nothing_left(&world, &[])
    });
    search_some(&scenario, 1, SOME);
}

/// A key is half a device and a quarter of an inode number: another program's segment, in use,
/// has the key that our new key file leads to.
#[test]
fn another_key_leads_to_the_same_number() {
    for reuse_inodes in [false, true] {
        let name = format!("the key is taken, inodes used again: {reuse_inodes}");
        let mut scenario = scenario(&name, Keys::SystemV, &[user(), user()], logic);
        scenario.world.reuse_inodes = reuse_inodes;
        let mut world = scenario.world.clone();
        let key = key_of_new_file(&mut world, SEGMENT_FILE);
        let Cred { uid, gid } = user().cred;
        scenario.world.plant_segment(key, Cred { uid, gid }, 1);
        search_some(&scenario, 1, SOME);
    }
}

/// Nothing of the user's is left: what there is belongs to root's leftover.
fn nothing_left_aside(world: &World) -> Result<(), String> {
    let mut own = world.clone();
    own.segments.retain(|_, segment| segment.perm.cuid != 0);
    own.sets.retain(|_, set| set.perm.cuid != 0);
    nothing_left(&own, &[SEGMENT_FILE, SEMAPHORE_FILE])
}

/// A cleaner takes the segment's key file away while it is in use: no promise of one place is
/// left then, but nobody hangs, nobody fails, and in the end nothing is left.
#[test]
fn a_cleaner_takes_the_key_file() {
    let mut members = vec![does(&user(), Keys::SystemV, logic); 2];
    members.push(member(user(), |process| {
        use qshm::kernel::Kernel as _;
        let _ = process.unlink(Path::new(SEGMENT_FILE));
    }));
    let mut scenario = Scenario::new("the key file is deleted, user and user", members);
    let next = next_start(Keys::SystemV);
    scenario.at_rest = Arc::new(move |rest| {
        let (world, end, _) = run_alone(rest.world.clone(), &user(), &next);
        if end != End::Finished {
            return Err(format!("the next start: {end:?}"));
        }
        nothing_left(&world, &[])
    });
    search_some(&scenario, 0, SOME);
}
