//! Many starts at once: none fails, no two have the same number at the same
//! time, and nothing is left. With kills, with users mixed, in rounds and in a
//! churn where starts meet ends.
//!
//! `QSHM_SOAK=MINUTES` makes each of these tests go on for that long;
//! `QSHM_SEED` repeats one.

use crate::support::under_test::{self, seed, soak_seconds};
use crate::support::{Build, User, World, has_qt68};
use std::time::Duration;

/// One way to run `storm` or `churn`: the program, its size, and who is in it.
struct Storm {
    program: &'static str,
    size: &'static str,
    kill: bool,
    users: bool,
}

const STORMS: [Storm; 4] = [
    storm("rounds=100", false, false),
    storm("rounds=100", true, false),
    storm("rounds=60", false, true),
    storm("rounds=60", true, true),
];

const CHURNS: [Storm; 4] = [
    churn(false, false),
    churn(true, false),
    churn(false, true),
    churn(true, true),
];

const fn storm(size: &'static str, kill: bool, users: bool) -> Storm {
    Storm {
        program: "storm",
        size,
        kill,
        users,
    }
}

const fn churn(kill: bool, users: bool) -> Storm {
    Storm {
        program: "churn",
        size: "starts=2500",
        kill,
        users,
    }
}

impl Storm {
    /// Runs it in a world of its own and returns its last line.
    fn run(
        &self,
        build: Build,
        kind: &str,
        seconds: Option<u64>,
    ) -> Option<Result<String, String>> {
        let world = World::new()?;
        let mut launch = world
            .launch(self.program, build)
            .env("QSHM_TEST_KIND", kind)
            .env("XDG_RUNTIME_DIR", world.runtime(User::Root))
            .arg(self.size)
            .arg(format!("seed={}", seed()))
            .arg(format!("kill={}", u8::from(self.kill)))
            .arg(format!("users={}", u8::from(self.users)));
        if let Some(seconds) = seconds {
            launch = launch.arg(format!("seconds={seconds}"));
        }
        // It has deadlines of its own for each start, and says what hung.
        let patience = Duration::from_secs(seconds.unwrap_or(0) + 240);
        let finished = launch.start().finish(patience);
        let mut lines = finished.lines;
        let sum = lines.pop().unwrap_or_default();
        if finished.status.success() {
            world.assert_clean();
            return Some(Ok(sum));
        }
        lines.truncate(12);
        Some(Err(format!(
            "{sum}\n{:?}, at first:\n{}\n{}",
            finished.status,
            lines.join("\n"),
            last_lines(&finished.stderr)
        )))
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// `kind` is what the keys of Qt 6.6 and later begin with, if they are to be used.
fn all(storms: &[Storm], build: Build, kind: &str) {
    let share = storms.len() as u64;
    let seconds = soak_seconds().map(|all| (all / share).max(1));
    let mut failures = Vec::new();
    for storm in storms {
        match storm.run(build, kind, seconds) {
            None => return,
            Some(Ok(sum)) => println!("{sum}"),
            Some(Err(why)) => failures.push(why),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn all_start_at_once_qt5() {
    all(&STORMS, under_test::qt5(), "");
}

#[test]
fn all_start_at_once_qt6() {
    all(&STORMS, under_test::qt6(), "");
}

#[test]
fn starts_meet_ends_qt5() {
    all(&CHURNS, under_test::qt5(), "");
}

#[test]
fn starts_meet_ends_qt6() {
    all(&CHURNS, under_test::qt6(), "");
}

#[test]
fn all_start_at_once_posix() {
    if has_qt68() {
        let few = [
            storm("rounds=25", true, false),
            storm("rounds=25", true, true),
        ];
        all(&few, under_test::qt68(), "posix:");
    }
}

#[test]
fn starts_meet_ends_posix() {
    if has_qt68() {
        let few = [false, true].map(|users| Storm {
            size: "starts=800",
            ..churn(true, users)
        });
        all(&few, under_test::qt68(), "posix:");
    }
}

/// One key file for the segment and its lock.
#[test]
fn all_start_at_once_native_system_v() {
    if has_qt68() {
        let few = [storm("rounds=15", true, false)];
        all(&few, under_test::qt68(), "systemv:");
    }
}
