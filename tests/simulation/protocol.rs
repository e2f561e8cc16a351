//! qshm's own classes on the simulated machine: the guarantees G1 to G5 under every
//! interleaving of two processes and under random ones of more, with kills.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use qshm::identity::Identity;
use qshm::kernel::FileKind;
use qshm::{AccessMode, ErrorKind, Key, OpenMode, SharedMemory, SystemSemaphore};

use crate::explore::{explore, explore_some};
use crate::model::World;
use crate::model::call::Cred;
use crate::scenario::{AtRest, Member, Scenario, Time, member, nothing_left};
use crate::schedules::{pct, random};
use crate::sim_process::{End, Program, SimProcess, User, run_alone};
use crate::{seed, soak};

/// The user, and one who has nothing to do with it.
const USER: u32 = 1000;
const OTHER: u32 = 1001;

/// How many states of a scenario that has millions.
const SOME: usize = 60_000;

fn identity(process: &SimProcess) -> Option<Identity> {
    let Cred { uid, gid } = process.identity();
    let acting_as_root = process.runs_as_root() && uid != 0;
    Some(Identity {
        uid,
        gid,
        acting_as_root,
    })
}

fn key(name: &str) -> Key {
    Key::new(name.as_bytes(), Path::new("/tmp"))
}

fn memory(process: &SimProcess) -> SharedMemory<SimProcess> {
    let memory = SharedMemory::with_kernel(process.clone(), identity(process));
    memory.set_key(key("Logic"));
    memory
}

fn semaphore(process: &SimProcess) -> SystemSemaphore<SimProcess> {
    let semaphore = SystemSemaphore::with_kernel(process.clone(), identity(process));
    semaphore.set_key(key("Guard"), 1, OpenMode::Open);
    semaphore
}

/// Ends the program, if it was not to be expected that this fails so.
fn failed(process: &SimProcess, memory: &SharedMemory<SimProcess>, call: &str) -> ! {
    process.wrong(format!("{call}: {}", memory.error()))
}

fn create(process: &SimProcess, memory: &SharedMemory<SimProcess>) -> bool {
    let done = memory.create(4, AccessMode::ReadWrite);
    if done {
        process.note(|status| status.attached = true);
    } else if memory.error().kind() != ErrorKind::AlreadyExists {
        failed(process, memory, "create");
    }
    done
}

fn attach(process: &SimProcess, memory: &SharedMemory<SimProcess>) -> bool {
    let done = memory.attach(AccessMode::ReadWrite);
    if done {
        process.note(|status| status.attached = true);
    } else if memory.error().kind() != ErrorKind::NotFound {
        failed(process, memory, "attach");
    }
    done
}

/// create(), else attach(); again if whoever was there went in between.
fn join(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    for _ in 0..6 {
        if create(process, memory) || attach(process, memory) {
            return;
        }
    }
    process.wrong("neither create nor attach, again and again");
}

/// The order of RunGuard and of many others.
fn join_attach_first(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    for _ in 0..6 {
        if attach(process, memory) || create(process, memory) {
            return;
        }
    }
    process.wrong("neither attach nor create, again and again");
}

fn locked(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    if !memory.lock() {
        failed(process, memory, "lock");
    }
    process.note(|status| status.locked = Some(0));
}

fn unlocked(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    process.note(|status| status.locked = None);
    if !memory.unlock() {
        failed(process, memory, "unlock");
    }
}

fn count(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    locked(process, memory);
    let address = memory.data() as usize;
    let number = process.peek(address);
    process.poke(address, number + 1);
    unlocked(process, memory);
}

fn left(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    process.note(|status| status.attached = false);
    if !memory.detach() {
        failed(process, memory, "detach");
    }
}

/// What the application of the report does, from start to exit.
fn logic(process: &SimProcess) {
    let memory = memory(process);
    join(process, &memory);
    count(process, &memory);
    left(process, &memory);
}

fn logic_attach_first(process: &SimProcess) {
    let memory = memory(process);
    join_attach_first(process, &memory);
    count(process, &memory);
    left(process, &memory);
}

/// The lock is used before and after the segment is.
fn logic_lock_outlives(process: &SimProcess) {
    let memory = memory(process);
    join(process, &memory);
    left(process, &memory);
    locked(process, &memory);
    unlocked(process, &memory);
}

/// RunGuard: a semaphore around looking and making.
fn run_guard(process: &SimProcess) {
    let guard = semaphore(process);
    let held = |act: &dyn Fn() -> bool| {
        if !guard.acquire() {
            process.wrong(format!("acquire: {}", guard.error()));
        }
        process.note(|status| status.locked = Some(1));
        let result = act();
        process.note(|status| status.locked = None);
        if !guard.release(1) {
            process.wrong(format!("release: {}", guard.error()));
        }
        result
    };
    let memory = memory(process);
    let running = held(&|| {
        attach(process, &memory) && {
            left(process, &memory);
            true
        }
    });
    if !running && held(&|| create(process, &memory)) {
        process.note(|status| status.outcome = Some("runs"));
        left(process, &memory);
    }
}

/// One start that must succeed at once, and ends cleanly.
fn next_start() -> Program {
    Arc::new(|process: &SimProcess| {
        let memory = memory(process);
        if !memory.create(4, AccessMode::ReadWrite) {
            failed(process, &memory, "create, when nobody is there");
        }
        count(process, &memory);
        left(process, &memory);
    })
}

fn next_run_guard() -> Program {
    Arc::new(|process: &SimProcess| {
        run_guard(process);
        if process.status().outcome.is_none() {
            process.wrong("RunGuard does not run, though nobody else does");
        }
    })
}

/// G3 and the second half of G1: without a kill nothing is left; after one, the next start of
/// each user works at once, and after its exit nothing is left.
fn clean(users: Vec<User>, next: Program, except: &'static [&'static str]) -> AtRest {
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
fn clean_for_strangers(users: Vec<User>, next: Program) -> AtRest {
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

fn user() -> User {
    User::plain(USER)
}

fn root() -> User {
    User::root_for(USER)
}

fn everybody() -> Vec<User> {
    vec![user(), root()]
}

fn members(users: &[User], program: fn(&SimProcess)) -> Vec<Member> {
    users
        .iter()
        .map(|user| member(user.clone(), program))
        .collect()
}

/// Every interleaving, and with one kill at every call.
fn search(scenario: &Scenario, kills: usize) {
    search_some(scenario, kills, usize::MAX);
}

/// The same for scenarios with more states than there is time for: so many of them, or all in a
/// long run.
fn search_some(scenario: &Scenario, kills: usize, limit: usize) {
    for kills in 0..=kills {
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

fn roll(scenario: &Scenario, kills: usize) {
    let schedules = if soak() { 200_000 } else { 1500 };
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

fn scenario(name: &str, users: &[User], program: fn(&SimProcess)) -> Scenario {
    let mut scenario = Scenario::new(name, members(users, program));
    scenario.at_rest = clean(everybody(), next_start(), &[]);
    scenario
}

#[test]
fn one_user_twice() {
    search(
        &scenario(
            "create else attach, user and user",
            &[user(), user()],
            logic,
        ),
        1,
    );
}

#[test]
fn one_user_twice_where_inode_numbers_are_never_used_again() {
    let mut scenario = scenario("the same on tmpfs", &[user(), user()], logic);
    scenario.world.reuse_inodes = false;
    search(&scenario, 1);
}

#[test]
fn root_and_its_user() {
    search(
        &scenario(
            "create else attach, root and user",
            &[root(), user()],
            logic,
        ),
        1,
    );
}

#[test]
fn attach_first() {
    search_some(
        &scenario(
            "attach else create, root and user",
            &[root(), user()],
            logic_attach_first,
        ),
        1,
        SOME,
    );
}

#[test]
fn the_lock_outlives_the_segment() {
    search_some(
        &scenario(
            "lock after detach, user and user",
            &[user(), user()],
            logic_lock_outlives,
        ),
        1,
        SOME,
    );
}

#[test]
fn run_guards() {
    let mut scenario = scenario("RunGuard, user and user", &[user(), user()], run_guard);
    scenario.at_rest = clean(everybody(), next_run_guard(), &[]);
    search_some(&scenario, 1, SOME);
}

#[test]
fn two_strangers() {
    let mut scenario = scenario(
        "create else attach, user and other",
        &[user(), User::plain(OTHER)],
        logic,
    );
    scenario.at_rest = clean_for_strangers(vec![user(), User::plain(OTHER)], next_start());
    search(&scenario, 1);
}

/// Any wait may give up at any moment: then a call may fail with `Busy`, but nothing else.
#[test]
fn impatient_waits() {
    let name = "any wait may give up, user and user";
    let mut scenario = scenario(name, &[user(), user()], |process| {
        let memory = memory(process);
        let may_fail = [ErrorKind::Busy, ErrorKind::NotFound];
        if !memory.create(4, AccessMode::ReadWrite) && !memory.attach(AccessMode::ReadWrite) {
            if !may_fail.contains(&memory.error().kind()) {
                failed(process, &memory, "create and attach");
            }
            return;
        }
        process.note(|status| status.attached = true);
        if memory.lock() {
            process.note(|status| status.locked = Some(0));
            process.poke(memory.data() as usize, 1);
            unlocked(process, &memory);
        } else if memory.error().kind() != ErrorKind::LockError {
            failed(process, &memory, "lock");
        }
        left(process, &memory);
    });
    scenario.time = Time::Hasty;
    // What one process could not clear, because it would have had to wait, the next one does.
    let next = next_start();
    scenario.at_rest = Arc::new(move |rest| {
        let (world, end, _) = run_alone(rest.world.clone(), &user(), &next);
        if end != End::Finished {
            return Err(format!("the next start: {end:?}"));
        }
        nothing_left(&world, &[])
    });
    search_some(&scenario, 0, SOME);
}

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
fn leftover_of_root(world: &mut World) {
    let segment = key_of_new_file(world, SEGMENT_FILE);
    let semaphore = key_of_new_file(world, SEMAPHORE_FILE);
    let cred = Cred { uid: 0, gid: 0 };
    world.plant_segment(segment, cred, 0);
    world.plant_semaphore(semaphore, cred, 1);
}

#[test]
fn two_users_meet_a_leftover_of_root() {
    let mut scenario = scenario("root's leftover, user and user", &[user(), user()], logic);
    leftover_of_root(&mut scenario.world);
    // A user alone can't clear it; root for the user does.
    scenario.at_rest = Arc::new(|rest| {
        if !rest.killed.contains(&true) {
            nothing_left_aside(rest.world)?;
        }
        let (world, end, _) = run_alone(rest.world.clone(), &user(), &next_start());
        if end != End::Finished {
            return Err(format!("G3: the user's next start: {end:?}"));
        }
        nothing_left_aside(&world)?;
        let (world, end, _) = run_alone(rest.world.clone(), &root(), &next_start());
        if end != End::Finished {
            return Err(format!("G3: root's next start: {end:?}"));
        }
        nothing_left(&world, &[])
    });
    search_some(&scenario, 1, SOME);
}

#[test]
fn root_clears_its_leftover_while_the_user_starts() {
    let mut scenario = scenario("root's leftover, root and user", &[root(), user()], logic);
    leftover_of_root(&mut scenario.world);
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
    search_some(&scenario, 1, SOME);
}

/// A key is half a device and a quarter of an inode number: another program's segment, in use,
/// has the key that our new key file leads to.
#[test]
fn another_key_leads_to_the_same_number() {
    for reuse_inodes in [false, true] {
        let name = format!("the key is taken, inodes used again: {reuse_inodes}");
        let mut scenario = scenario(&name, &[user(), user()], logic);
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
    let mut members = members(&[user(), user()], logic);
    members.push(member(user(), |process| {
        use qshm::kernel::Kernel as _;
        let _ = process.unlink(Path::new(SEGMENT_FILE));
    }));
    let mut scenario = Scenario::new("the key file is deleted, user and user", members);
    let next = next_start();
    scenario.at_rest = Arc::new(move |rest| {
        let (world, end, _) = run_alone(rest.world.clone(), &user(), &next);
        if end != End::Finished {
            return Err(format!("the next start: {end:?}"));
        }
        nothing_left(&world, &[])
    });
    search_some(&scenario, 0, SOME);
}

#[test]
fn strangers_and_root_at_once() {
    let other = User::plain(OTHER);
    let users = [user(), root(), other.clone(), user(), User::root_for(OTHER)];
    let mut scenario = scenario(
        "create else attach, two identities and root for both",
        &users,
        logic,
    );
    scenario.at_rest = clean_for_strangers(vec![user(), other], next_start());
    roll(&scenario, 3);
    leftover_of_root(&mut scenario.world);
    scenario.name = "the same, with root's leftover".to_owned();
    let next = next_start();
    scenario.at_rest = Arc::new(move |rest| {
        let mut world = rest.world.clone();
        for user in [
            user(),
            User::plain(OTHER),
            User::root_for(OTHER),
            root(),
            user(),
            User::plain(OTHER),
        ] {
            let (after, end, _) = run_alone(world, &user, &next);
            if end != End::Finished {
                return Err(format!("G3: {user:?}: {end:?}"));
            }
            world = after;
        }
        nothing_left(&world, &[])
    });
    roll(&scenario, 3);
}

#[test]
fn run_guards_at_once() {
    let users = [user(), root(), user(), root()];
    let mut scenario = scenario("RunGuard, four of one identity", &users, run_guard);
    scenario.at_rest = clean(everybody(), next_run_guard(), &[]);
    roll(&scenario, 2);
}

#[test]
fn up_to_five_at_once() {
    let users = [user(), root(), user(), root(), user()];
    roll(
        &scenario("create else attach, five of one identity", &users, logic),
        3,
    );
    roll(
        &scenario(
            "attach else create, five of one identity",
            &users,
            logic_attach_first,
        ),
        3,
    );
}
