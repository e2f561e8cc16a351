//! What is run: a machine, the processes that run on it, and what has to hold.

use std::sync::Arc;

use crate::model::{Pid, World};
use crate::sim_process::{Program, Status, User};

/// When a call with a time limit gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Only when nobody on the machine can do anything else: everybody is fast compared with
    /// the limits. The shortest limit ends first.
    Patient,
    /// At any moment: any process may be stopped for long while another waits for it.
    Hasty,
}

/// One process to run.
#[derive(Clone)]
pub struct Member {
    pub user: User,
    pub program: Program,
}

/// The machine when all processes have come to their end.
pub struct Rest<'a> {
    pub world: &'a World,
    pub killed: &'a [bool],
}

pub type Invariant = Arc<dyn Fn(&World, &[Member], &[Status]) -> Result<(), String> + Send + Sync>;
pub type AtRest = Arc<dyn Fn(&Rest<'_>) -> Result<(), String> + Send + Sync>;

#[derive(Clone)]
pub struct Scenario {
    pub name: String,
    pub world: World,
    pub members: Vec<Member>,
    /// How many processes may be killed.
    pub kills: usize,
    pub time: Time,
    /// Holds at every step.
    pub invariant: Invariant,
    /// Holds when everybody is gone.
    pub at_rest: AtRest,
}

impl Scenario {
    pub fn new(name: &str, members: Vec<Member>) -> Self {
        Self {
            name: name.to_owned(),
            world: World::new(),
            members,
            kills: 0,
            time: Time::Patient,
            invariant: Arc::new(exclusion_and_one_place),
            at_rest: Arc::new(|_| Ok(())),
        }
    }

    /// The machine with all processes started.
    pub fn start(&self) -> World {
        let mut world = self.world.clone();
        world.long_ago = false;
        for member in &self.members {
            world.start(member.user.cred, &member.user.groups);
        }
        world
    }
}

/// A process to run, from a closure.
pub fn member(
    user: User,
    program: impl Fn(&crate::sim_process::SimProcess) + Send + Sync + 'static,
) -> Member {
    Member {
        user,
        program: Arc::new(program),
    }
}

/// A segment: a System V one by its id, or the file of a POSIX one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    SystemV(i32),
    Posix(u64),
}

/// The segment that a process says it has attached.
fn segment_of(world: &World, pid: Pid) -> Option<Segment> {
    let attached = world.processes[pid].attached.values().next_back();
    attached
        .map(|attachment| Segment::SystemV(attachment.id))
        .or_else(|| world.mapped_segment(pid).map(Segment::Posix))
}

fn is_removed(world: &World, segment: Segment) -> bool {
    match segment {
        Segment::SystemV(id) => world.segments[&id].key.is_none(),
        Segment::Posix(ino) => world.inodes[&ino].links == 0,
    }
}

/// G1 (a segment exists while somebody is attached), G2 (one holder) and G4 (one segment), each
/// among processes of one identity; the statuses are those of processes that are alive.
pub fn exclusion_and_one_place(
    world: &World,
    members: &[Member],
    statuses: &[Status],
) -> Result<(), String> {
    let alive = |pid: &Pid| world.processes[*pid].life == crate::model::Life::Alive;
    for one in (0..members.len()).filter(alive) {
        if statuses[one].attached {
            let Some(id) = segment_of(world, one) else {
                return Err(format!(
                    "G1: process {one} believes that it is attached and is not"
                ));
            };
            if is_removed(world, id) {
                return Err(format!(
                    "G1: process {one} is attached to a segment that was removed"
                ));
            }
        }
        for other in (one + 1..members.len()).filter(alive) {
            if members[one].user.identity != members[other].user.identity {
                continue;
            }
            if statuses[one].locked.is_some() && statuses[one].locked == statuses[other].locked {
                return Err(format!(
                    "G2: processes {one} and {other} both hold the lock"
                ));
            }
            if statuses[one].attached && statuses[other].attached {
                let (mine, theirs) = (segment_of(world, one), segment_of(world, other));
                if mine != theirs {
                    return Err(format!(
                        "G4: processes {one} and {other} sit on segments {mine:?} and {theirs:?}"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Nothing is left: no object, and nothing in the temp directory but what is named here.
pub fn nothing_left(world: &World, except: &[&str]) -> Result<(), String> {
    let mut segments = world.segments.iter();
    if let Some((id, segment)) = segments.find(|(_, segment)| segment.elsewhere == 0) {
        return Err(format!("segment {id} is left: {segment:?}"));
    }
    if let Some((id, set)) = world.sets.iter().next() {
        return Err(format!("semaphore {id} is left: {set:?}"));
    }
    let name = |path: &&Arc<std::path::Path>| {
        let path = path.to_str().unwrap();
        let there = [
            "/",
            "/tmp",
            "/dev",
            "/dev/shm",
            "/run",
            "/run/user",
            "/run/user/1000",
        ];
        !there.contains(&path) && !except.contains(&path)
    };
    match world.names.keys().find(name) {
        Some(path) => Err(format!("the file {} is left", path.display())),
        None => Ok(()),
    }
}
