//! Instance numbers and claims on the real kernel, by way of the C++ face: real processes, users,
//! sudo, kills, directories that are not what they should be.
//!
//! Each test has `/run/user`, `/dev/shm` and `/tmp` to itself.

mod basics;
mod counter;
mod deleted;
mod forks;
mod hostile;
mod kill_points;
mod list;
mod places;
mod places_that_go;
mod speed;
mod storm;

use crate::support::mounts::{self, Mounts};
use crate::support::{Launch, Running, User, World, base_program, skipped};
use std::path::{Path, PathBuf};

/// A world in which alice (1), bob (2) and root have runtime directories.
struct Stage {
    world: World,
    // After the world, whose files are on it.
    _mounts: Mounts,
}

impl Stage {
    fn new() -> Option<Self> {
        let stage = Self::bare()?;
        for uid in [0, 1, 2] {
            mounts::directory(&runtime(uid), uid, 0o700);
        }
        Some(stage)
    }

    /// Without runtime directories.
    fn bare() -> Option<Self> {
        if !crate::support::needs_root() {
            return None;
        }
        let mounts = match Mounts::enter() {
            Ok(mounts) => mounts,
            Err(error) => {
                skipped(&format!("no private mount namespace: {error}"));
                return None;
            }
        };
        World::new().map(|world| Self {
            world,
            _mounts: mounts,
        })
    }

    fn launch(&self, user: User) -> Launch {
        let launch = Launch::new(&base_program("face_instance"), self.world.temp()).user(user);
        [
            "XDG_RUNTIME_DIR",
            "XDG_SESSION_ID",
            "DISPLAY",
            "WAYLAND_DISPLAY",
        ]
        .iter()
        .fold(launch, Launch::without)
    }

    /// A process that does as it is told.
    fn start(&self, user: User) -> Running {
        self.launch(user).start()
    }

    /// One that has joined, with this number.
    fn joined(&self, user: User, number: u32) -> Running {
        let mut process = self.start(user);
        join(&mut process, "logic", number);
        process
    }
}

fn runtime(uid: u32) -> PathBuf {
    Path::new("/run/user").join(uid.to_string())
}

/// The file of the first numbers of the name that is used throughout.
fn registry(uid: u32) -> PathBuf {
    runtime(uid).join("qshm/logic.user.0")
}

fn join(process: &mut Running, name: &str, number: u32) {
    assert_eq!(
        process.ask(&format!("join {name}")),
        format!("number {number}")
    );
}

/// The lines of `peers`.
fn peers(process: &mut Running, handle: usize) -> Vec<String> {
    process.say(&format!("peers {handle}"));
    let mut lines = Vec::new();
    loop {
        match process.line() {
            line if line == "." => return lines,
            line => lines.push(line),
        }
    }
}

fn count(process: &mut Running) -> usize {
    process.ask("count 0").parse().expect("a number")
}
