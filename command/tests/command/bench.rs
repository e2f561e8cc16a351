//! What every test of the command needs: a world, leftovers in it, and the command.

use std::path::{Path, PathBuf};

use crate::support::mounts::{self, Mounts};
use crate::support::{
    Build, Finished, Launch, Running, User, World, needs_root, planted, repository, skipped,
};

/// A path that is the same in every run: of it Qt 5.0 to 5.8 make project ids.
pub const TEMP: &str = "/tmp/world";

/// A world whose `/dev/shm`, `/run/user` and `/tmp` are its own too, so that nothing else of the
/// machine shows.
pub struct Bench {
    pub world: World,
    // After the world, whose files are on it.
    _mounts: Mounts,
}

impl Bench {
    /// `None`, after saying so, where it can't be had.
    pub fn new() -> Option<Self> {
        if !needs_root() {
            return None;
        }
        let entered = Mounts::enter().map_err(|error| {
            skipped(&format!("no private mount namespace: {error}"));
        });
        let mounts = entered.ok()?;
        let world = World::new()?;
        mounts::bind(world.temp(), Path::new(TEMP)).unwrap();
        Some(Self {
            world,
            _mounts: mounts,
        })
    }

    /// The command, to be run by somebody.
    pub fn qshm(&self, user: User, arguments: &[&str]) -> Finished {
        self.command(user, arguments).run()
    }

    /// The same, not started yet.
    pub fn command(&self, user: User, arguments: &[&str]) -> Launch {
        Launch::new(Path::new(env!("CARGO_BIN_EXE_qshm")), Path::new(TEMP))
            .user(user)
            .env("XDG_RUNTIME_DIR", self.runtime_dir())
            .env("COLUMNS", "100")
            .args(arguments)
    }

    /// A runtime directory, for keys of Qt 6.6 and later.
    pub fn runtime_dir(&self) -> PathBuf {
        self.world.base().join("run")
    }

    /// A program with real Qt that does what it is told.
    pub fn holder(&self, build: Build, user: User) -> Launch {
        self.world
            .launch_as("holder", build, user)
            .env("TMPDIR", TEMP)
    }

    /// A program with real Qt whose object has this key and this many bytes.
    pub fn running(&self, build: Build, user: User, key: &str, size: usize) -> Running {
        let mut program = self.holder(build, user).start();
        program.ask(&format!("key {key}"));
        assert_eq!(program.ask(&format!("create {size}")), "ok");
        program
    }

    /// What such a program leaves when it crashes.
    pub fn leftover(&self, build: Build, user: User, key: &str) {
        let mut program = self.running(build, user, key, 4);
        program.kill_and_wait();
    }

    /// The same on another Qt than the one that it was built with.
    pub fn leftover_on(&self, library: &Path, build: Build, user: User, key: &str) {
        let launch = self.holder(build, user);
        let mut program = launch.env("LD_LIBRARY_PATH", library).start();
        program.ask(&format!("key {key}"));
        assert_eq!(program.ask("create 4"), "ok");
        program.kill_and_wait();
    }

    /// Makes a leftover of a program's segment while it stays inside its lock.
    pub fn leftover_of_lock(&self, holder: &mut Running) {
        assert_eq!(holder.ask("lock"), "ok");
        // It goes on with the old one, which has no key any more; the new one has nobody, as
        // between shmget and shmat of a process that makes one.
        let key = self.world.segments()[0].key;
        planted::remove_segment(self.world.segments()[0].id);
        let id = planted::make_segment(key, 4, 0o600, 0);
        planted::give_segment(id, 1, 0o600);
    }

    /// The command in a PID namespace of its own, where no other program with Qt is seen.
    #[allow(clippy::unused_self)] // Its world is the thread's.
    pub fn alone(&self, arguments: &[&str]) -> Finished {
        Launch::new(Path::new("/usr/bin/unshare"), Path::new(TEMP))
            .args([
                "--pid",
                "--fork",
                "--mount-proc",
                env!("CARGO_BIN_EXE_qshm"),
            ])
            .args(arguments)
            .run()
    }

    /// A script with real Qt 6.8 and a `QNativeIpcKey`.
    pub fn script(&self, python: &Path, user: User) -> Running {
        let runtime = self.runtime_dir();
        std::fs::create_dir_all(&runtime).unwrap();
        // Qt uses it only if it is the user's alone.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&runtime, mode).unwrap();
        let uid = if let User::Uid(uid) = user { uid } else { 0 };
        std::os::unix::fs::chown(&runtime, Some(uid), Some(uid)).unwrap();
        let script = repository().join("tests/programs/native_holder.py");
        Launch::new(Path::new("/usr/bin/python3"), Path::new(TEMP))
            .user(user)
            .env("PYTHONPATH", python)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("XDG_RUNTIME_DIR", runtime)
            .arg(script)
            .start()
    }
}

/// All that a command printed, as one text.
pub fn text(finished: &Finished) -> String {
    finished.lines.join("\n")
}

/// It ended with this code.
#[track_caller]
pub fn code(finished: &Finished, expected: i32) {
    assert_eq!(finished.status.code(), Some(expected), "{finished:#?}");
}
