//! Each system call failing in turn: a clear error or a retry; never a crash, a
//! hang, or something that stays for good.

mod errors;

use crate::support::trace::{Call, OF_POSIX, Traced, needs_strace};
use crate::support::under_test;
use crate::support::{Build, Finished, Segment, Semaphore, User, World, has_qt68, program};
use errors::{NEEDED_FOR_KEY_FILES, NEEDED_TO_CLEAR_UP};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// A run takes milliseconds; and a lock that cannot be had is given up sooner.
const PATIENCE: Duration = Duration::from_secs(8);

/// So many are enough to see what is wrong.
const MOST_FAILURES: usize = 10;

/// What a run came to in which something failed.
enum Outcome {
    Success,
    /// What the object of a class of Qt's said: its code and text.
    Failure {
        semaphore: bool,
        code: u32,
        text: String,
    },
}

/// A run in which something failed ended by itself: with success, or with a
/// status of its own and a text that says what.
fn clear(finished: &Finished, hung: bool) -> Result<Outcome, String> {
    if hung {
        return Err(format!("hung: {finished:?}"));
    }
    if let Some(signal) = finished.status.signal() {
        return Err(format!("died of signal {signal}: {finished:?}"));
    }
    if finished.status.success() {
        return Ok(Outcome::Success);
    }
    // "failed: CALL: error CODE: TEXT"
    let failure = finished.lines.iter().find_map(|line| {
        let (call, error) = line.strip_prefix("failed: ")?.split_once(": error ")?;
        let (code, text) = error.split_once(": ")?;
        Some(Outcome::Failure {
            semaphore: ["open", "acquire", "release"].contains(&call),
            code: code.parse().ok()?,
            text: text.to_owned(),
        })
    });
    failure.ok_or_else(|| format!("failed without a clear word: {finished:?}"))
}

/// The objects and files that are there.
type There = (Vec<Segment>, Vec<Semaphore>, Vec<String>);

fn there(world: &World) -> There {
    let mut files = world.left_files();
    files.extend(world.left_objects());
    files.extend(world.runtime_files());
    (world.segments(), world.semaphores(), files)
}

struct Fault<'a> {
    call: &'a Call,
    error: &'static str,
    /// All calls of this name from here on fail, as when a limit is reached.
    ever_after: bool,
}

impl Fault<'_> {
    /// `before`: what was there already, and stays.
    fn check(&self, program: &Traced, before: &There) -> Result<(), String> {
        let world = program.world;
        let mut running = program
            .failing_at(self.call, self.error, self.ever_after)
            .start();
        running.close_stdin();
        let hung = running.wait_within(PATIENCE).is_none();
        let finished = running.finish(PATIENCE);
        let outcome = clear(&finished, hung)?;
        if let Outcome::Failure {
            semaphore,
            code,
            text,
        } = &outcome
        {
            if errors::is_borne(self.call, self.error) {
                return Err(format!("could have been borne: {code}: {text}"));
            }
            if !errors::is_qts(self.call, self.error, *semaphore, *code, text) {
                return Err(format!("not what Qt says then: {code}: {text}"));
            }
            if there(world) != *before && !self.is_helpless(program) {
                return Err(format!("left behind by a failed run: {}", world.state()));
            }
        }
        let next = program.alone().start().finish(PATIENCE);
        if next.lines != ["number 0", "ended"] || !next.status.success() {
            return Err(format!("the next start: {next:?}"));
        }
        if there(world) != *before {
            return Err(format!("left behind by the next run: {}", world.state()));
        }
        Ok(())
    }

    /// Whether a run may leave something for the next one to clear: it can't when it tries.
    fn is_helpless(&self, program: &Traced) -> bool {
        let is_posix = program.args.iter().any(|arg| arg.starts_with("posix:"));
        let name = self.call.name.as_str();
        self.ever_after
            || NEEDED_TO_CLEAR_UP.contains(&name)
            || !is_posix && NEEDED_FOR_KEY_FILES.contains(&name)
    }

    fn name(&self) -> String {
        let more = if self.ever_after { " from here on" } else { "" };
        format!("{}{more} at {}", self.error, self.call.text)
    }
}

/// Every call with every error, once; and from the first call of a name on.
fn faults(calls: &[Call]) -> Vec<Fault<'_>> {
    let mut faults = Vec::new();
    let mut met: Vec<&str> = Vec::new();
    for call in calls {
        let errors = errors::of(call);
        let first = !errors.is_empty() && !met.contains(&call.name.as_str());
        if first {
            met.push(&call.name);
        }
        for error in errors {
            for ever_after in [false, true] {
                let possible = !ever_after || first && errors::may_last(call, error);
                if possible && !errors::says_gone(call, error, ever_after) {
                    faults.push(Fault {
                        call,
                        error,
                        ever_after,
                    });
                }
            }
        }
    }
    faults
}

/// What is run, and as whom.
#[derive(Clone, Copy)]
struct Subject {
    build: Build,
    key: &'static str,
    /// Of `start_stop`.
    mode: &'static str,
    user: User,
    /// Only each so-manieth fault is tried, others each time; all with `QSHM_SOAK`.
    share: usize,
}

const fn system_v(build: Build, user: User) -> Subject {
    Subject {
        build,
        key: "faults",
        mode: "once",
        user,
        share: 1,
    }
}

/// `prepare` makes what the program meets.
fn check(subject: Subject, prepare: impl Fn(&World)) {
    let Some(world) = World::new() else { return };
    if !needs_strace() {
        return;
    }
    prepare(&world);
    let mut before = there(&world);
    let build = subject.build;
    let start_stop = program("start_stop", build);
    let program = Traced {
        world: &world,
        // With a runtime directory, for the keys that are there.
        program: "/usr/bin/env".into(),
        preload: build.preload(),
        args: vec![
            format!("XDG_RUNTIME_DIR={}", world.runtime(subject.user).display()),
            start_stop.display().to_string(),
            subject.key.to_owned(),
            subject.mode.to_owned(),
        ],
        user: subject.user,
        more: OF_POSIX,
    };
    let calls = program.record();
    assert_eq!(there(&world), before, "left without any fault");
    let mut faults = faults(&calls);
    let all = faults.len();
    if subject.share > 1 && under_test::soak_seconds().is_none() {
        let first = under_test::seed() as usize % subject.share;
        println!(
            "only from {first} on every {}th: QSHM_SEED={first} repeats it",
            subject.share
        );
        faults = faults
            .into_iter()
            .skip(first)
            .step_by(subject.share)
            .collect();
    }
    let mut failures = Vec::new();
    for fault in &faults {
        if let Err(why) = fault.check(&program, &before) {
            failures.push(format!("{}: {why}", fault.name()));
            world.restart();
            prepare(&world);
            before = there(&world);
        }
        if failures.len() == MOST_FAILURES {
            failures.push("and perhaps more: the rest was not tried".to_owned());
            break;
        }
    }
    println!(
        "{} faults of {all}, {} not borne",
        faults.len(),
        failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn each_call_fails_in_turn_for_a_user() {
    check(system_v(under_test::qt6(), User::ALICE), |_| {});
}

#[test]
fn each_call_fails_in_turn_for_root_by_sudo() {
    check(system_v(under_test::qt5(), User::SUDO_ALICE), |_| {});
}

/// Root's leftover, of a program with Qt, is in the way: the start makes the
/// place aside as well, and its end removes it.
#[test]
fn each_call_fails_in_turn_while_stepping_aside() {
    let subject = Subject {
        share: 4,
        ..system_v(under_test::qt5(), User::ALICE)
    };
    check(subject, |world| leave(world, Build::QT5, "faults"));
}

/// What a crash of root's leaves, with Qt's own classes.
fn leave(world: &World, build: Build, key: &str) {
    let crash = world.launch("start_stop", build).args([key, "crash"]).run();
    assert!(!crash.status.success(), "{crash:?}");
}

/// With a key of Qt 6.6 and later, if there is one.
fn check_68(key: &'static str, mode: &'static str, user: User, prepare: impl Fn(&World)) {
    if has_qt68() {
        let build = under_test::qt68();
        let subject = Subject {
            build,
            key,
            mode,
            user,
            share: 4,
        };
        check(subject, prepare);
    }
}

const POSIX: &str = "posix:faults";

#[test]
fn each_call_fails_in_turn_posix() {
    check_68(POSIX, "once", User::ALICE, |_| {});
}

#[test]
fn each_call_fails_in_turn_posix_for_root_by_sudo() {
    check_68(POSIX, "once", User::SUDO_ALICE, |_| {});
}

#[test]
fn each_call_fails_in_turn_posix_while_stepping_aside() {
    check_68(POSIX, "once", User::ALICE, |world| {
        leave(world, Build::QT68, POSIX);
    });
}

#[test]
fn each_call_fails_in_turn_posix_semaphore() {
    check_68(POSIX, "signal", User::ALICE, |_| {});
}

#[test]
fn each_call_fails_in_turn_native_system_v() {
    check_68("systemv:faults", "once", User::ALICE, |_| {});
}

#[test]
fn each_call_fails_in_turn_native_system_v_semaphore() {
    check_68("systemv:faults", "signal", User::ALICE, |_| {});
}
