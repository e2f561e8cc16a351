//! A process with real Qt and one with the drop-in share a segment, its lock,
//! its size and its content, whoever comes first: with each kind of key, and
//! with real Qt of other versions and in Python.

mod legacy;
mod native;
mod scenes;

use crate::support::{Build, DEADLINE, Flavour, Launch, Qt, Running, User, World, repository};
use scenes::SCENES;
use std::path::{Path, PathBuf};

/// The name of the key file of the key `peers`.
const KEY_FILE: &str = "qipc_sharedmemory_peers4ba3854d6d8261bcf3b345a7a3527e1f8d66a323";

/// Where a process waits for a lock: with System V, and with POSIX.
pub const WAITING: [i64; 3] = [libc::SYS_semop, libc::SYS_semtimedop, libc::SYS_futex];

/// A kind of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Those of `setKey()`.
    Legacy,
    /// The others are those of Qt 6.6 and later.
    Posix,
    SystemV,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Legacy, Self::Posix, Self::SystemV];

    /// A key, for the test programs.
    pub fn key(self, name: &str) -> String {
        let begin = match self {
            Self::Legacy => "",
            Self::Posix => "posix:",
            Self::SystemV => "systemv:",
        };
        format!("{begin}{name}")
    }

    /// What `create()` says of a segment that is there.
    pub fn exists(self) -> &'static str {
        match self {
            Self::Posix => "error 4 QSharedMemory::attach (shm_open): already exists",
            _ => "error 4 QSharedMemory::create: already exists",
        }
    }

    /// What `attach()` says where none is.
    pub fn is_missing(self, answer: &str) -> bool {
        let said: &[&str] = match self {
            // Of Qt up to 6.5, and later.
            Self::Legacy => &[
                "QSharedMemory::handle:: UNIX key file doesn't exist",
                "QSharedMemory::handle: doesn't exist",
            ],
            Self::Posix => &["QSharedMemory::attach (shm_open): doesn't exist"],
            // With the key file, which is made with the lock, and without.
            Self::SystemV => &[
                "QSharedMemory::attach (shmget): doesn't exist",
                "QSharedMemory::handle: doesn't exist",
            ],
        };
        let error = text(answer).strip_prefix("error 5 ");
        error.is_some_and(|error| said.contains(&error))
    }
}

/// One of a pair of processes.
#[derive(Clone, Copy, Debug)]
struct Side<'a> {
    build: Build,
    user: User,
    kind: Kind,
    /// A variable of its environment: another Qt to run on than the one it was
    /// built with, or to get on with.
    variable: Option<(&'a str, &'a str)>,
    /// Instead of the build: real Qt in Python, by the name and the folder of the package.
    python: Option<(&'a str, &'a Path)>,
}

impl Side<'_> {
    const fn new(build: Build, user: User) -> Self {
        Self {
            build,
            user,
            kind: Kind::Legacy,
            variable: None,
            python: None,
        }
    }

    const fn with(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    fn is_ours(self) -> bool {
        self.build.flavour != Flavour::Plain
    }

    fn launch(self, world: &World) -> Launch {
        let launch = match self.python {
            None => world.launch_as("holder", self.build, self.user),
            Some((package, folder)) => Launch::new(Path::new("/usr/bin/python3"), world.temp())
                .user(self.user)
                .env("PYTHONPATH", folder)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .arg(repository().join("tests/programs/holder.py"))
                .arg(package),
        };
        let launch = launch.env("XDG_RUNTIME_DIR", world.runtime(self.user));
        match self.variable {
            Some((name, value)) => launch.env(name, value),
            None => launch,
        }
    }

    /// Started, and its object has the key.
    fn start(self, world: &World) -> Running {
        let mut running = self.launch(world).start();
        let native = running.ask(&format!("key {}", self.kind.key("peers")));
        assert_eq!(native, self.native_key(world).display().to_string());
        running
    }

    fn native_key(self, world: &World) -> PathBuf {
        match self.kind {
            Kind::Legacy => world.temp().join(KEY_FILE),
            Kind::Posix => PathBuf::from("/peers"),
            Kind::SystemV => world.runtime(self.user).join("peers"),
        }
    }

    /// The segments that are there, of its kind.
    fn segments(self, world: &World) -> usize {
        match self.kind {
            Kind::Posix => {
                let objects = world.left_objects();
                objects.iter().filter(|name| *name == "peers").count()
            }
            _ => world.segments().len(),
        }
    }
}

/// Everything that two peers do with each other.
fn peers(first: Side, second: Side) {
    let Some(world) = World::new() else { return };
    for (name, scene) in SCENES {
        println!("{name}: {first:?} and {second:?}");
        scene(&world, first, second);
        world.restart();
    }
}

/// The same, whoever comes first.
fn both_ways(one: Side, other: Side) {
    peers(one, other);
    peers(other, one);
}

/// An answer without what the drop-in adds in parentheses. (Qt itself puts the system call there.)
pub fn text(answer: &str) -> &str {
    let of_qt = ["shm_open): ", "mmap): ", "shmget): ", "shmat): "];
    let added = answer
        .match_indices(" (")
        .find(|(at, _)| !of_qt.iter().any(|call| answer[at + 2..].starts_with(call)));
    added.map_or(answer, |(at, _)| &answer[..at])
}

pub fn quit(mut running: Running) {
    running.say("quit");
    let finished = running.finish(DEADLINE);
    assert!(finished.status.success(), "{finished:#?}");
}

/// Who may not use what another user has, learns it at once, from Qt as from us.
fn is_denied(answer: &str) -> bool {
    answer.starts_with("error 1 ")
}

/// A process that holds nothing of what a segment of its user's is for.
fn is_qt(side: Side, version: Qt) -> bool {
    side.build.flavour == Flavour::Plain && side.build.qt == version
}
