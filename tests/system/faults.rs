//! Each system call failing in turn: a clear error or a retry; never a crash, a
//! hang, or something that stays for good.

use crate::support::trace::{Call, Traced, needs_strace};
use crate::support::under_test;
use crate::support::{Build, Finished, Segment, Semaphore, User, World, program};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// A run takes milliseconds; and a lock that cannot be had is given up sooner.
const PATIENCE: Duration = Duration::from_secs(8);

/// So many are enough to see what is wrong.
const MOST_FAILURES: usize = 10;

/// The errors that a call may return on some machine at some time.
fn errors_of(call: &str) -> &'static [&'static str] {
    match call {
        "open" | "openat" | "openat2" => &["EACCES", "EMFILE", "ENOSPC", "EINTR", "EROFS"],
        "flock" => &["EINTR", "ENOLCK", "ENOSYS"],
        "fstat" | "newfstatat" | "stat" | "lstat" | "statx" => &["ENOMEM", "EACCES"],
        "readlink" | "readlinkat" | "access" | "faccessat" | "faccessat2" => &["EACCES"],
        "unlink" | "unlinkat" | "rmdir" => &["EACCES", "EROFS", "EBUSY"],
        "mkdir" | "mkdirat" => &["EACCES", "ENOSPC", "EROFS"],
        "fchmod" | "fchown" => &["EPERM", "EIO"],
        "shmget" => &["EACCES", "ENOSPC", "ENOMEM", "EINVAL", "ENOSYS"],
        "shmat" => &["EACCES", "ENOMEM", "EINVAL", "EIDRM"],
        "semget" => &["EACCES", "ENOSPC", "ENOMEM", "ENOSYS"],
        "shmctl" | "semctl" => &["EACCES", "EINVAL", "EIDRM", "EPERM"],
        "semop" | "semtimedop" => &["EACCES", "EIDRM", "EINTR", "EINVAL", "ENOSPC", "ENOMEM"],
        "setresuid" | "setresgid" => &["EPERM", "EAGAIN"],
        "close" => &["EINTR", "EIO"],
        "shmdt" | "prctl" | "fcntl" => &["EINVAL"],
        "clock_nanosleep" | "nanosleep" => &["EINTR"],
        other => panic!("which errors may {other} return?"),
    }
}

/// Giving a semaphore back fails for one reason alone, that the semaphore is
/// gone. An error without that leaves it taken for good, which no kernel does.
/// (Semaphores that are really gone: hostile.rs.)
fn cannot_fail(call: &Call) -> bool {
    call.text.contains("sem_op=1,")
}

/// "It is gone", in answer to removing it: whoever hears that is done, and an
/// injected one would leave the object for good.
fn says_gone(call: &Call, error: &str, ever_after: bool) -> bool {
    ["shmctl", "semctl"].contains(&call.name.as_str())
        && ["EINVAL", "EIDRM"].contains(&error)
        && (ever_after || call.text.contains("IPC_RMID"))
}

/// Calls whose failure keeps a start from clearing up after itself; the next
/// clean run does it then.
const NEEDED_TO_CLEAR_UP: &[&str] = &[
    "unlink",
    "unlinkat",
    "shmctl",
    "semctl",
    "openat",
    "flock",
    "shmdt",
    "setresuid",
    "setresgid",
    "newfstatat",
    "fstat",
    "close",
    "shmget",
    "semget",
];

/// A run in which something failed ended by itself: with success, or with a
/// status of its own and a text that says what.
fn clear(finished: &Finished, hung: bool) -> Result<bool, String> {
    if hung {
        return Err(format!("hung: {finished:?}"));
    }
    if let Some(signal) = finished.status.signal() {
        return Err(format!("died of signal {signal}: {finished:?}"));
    }
    if finished.status.success() {
        return Ok(true);
    }
    let says = finished.lines.iter().any(|line| {
        let code = line
            .split("error ")
            .nth(1)
            .and_then(|rest| rest.split(':').next());
        let text = line.rsplit(": ").next().unwrap_or_default();
        line.starts_with("failed: ") && code.is_some_and(|code| code != "0") && !text.is_empty()
    });
    if says {
        Ok(false)
    } else {
        Err(format!("failed without a clear word: {finished:?}"))
    }
}

/// The objects and files that are there.
type There = (Vec<Segment>, Vec<Semaphore>, Vec<String>);

fn there(world: &World) -> There {
    (world.segments(), world.semaphores(), world.left_files())
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
        let succeeded = clear(&finished, hung)?;
        let helpless = self.ever_after || NEEDED_TO_CLEAR_UP.contains(&self.call.name.as_str());
        if there(world) != *before && !succeeded && !helpless {
            return Err(format!("left behind by a failed run: {}", world.state()));
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

    fn name(&self) -> String {
        let more = if self.ever_after { " from here on" } else { "" };
        format!("{}{more} at {}", self.error, self.call.text)
    }
}

/// Every call with every error, once; and from the first call of a name on.
fn faults(calls: &[Call]) -> Vec<Fault<'_>> {
    let mut faults = Vec::new();
    let mut met: Vec<&str> = Vec::new();
    for call in calls.iter().filter(|call| !cannot_fail(call)) {
        let first = !met.contains(&call.name.as_str());
        met.push(&call.name);
        for error in errors_of(&call.name) {
            for ever_after in [false, true] {
                // A call that is always interrupted is no kernel's.
                let possible = !ever_after || first && *error != "EINTR";
                if possible && !says_gone(call, error, ever_after) {
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

/// `prepare` makes what the program meets.
fn check(build: Build, user: User, prepare: impl Fn(&World)) {
    let Some(world) = World::new() else { return };
    if !needs_strace() {
        return;
    }
    prepare(&world);
    let mut before = there(&world);
    let program = Traced {
        world: &world,
        program: program("start_stop", build),
        preload: build.preload(),
        args: vec!["faults".to_owned(), "once".to_owned()],
        user,
        more: &[],
    };
    let calls = program.record();
    assert_eq!(there(&world), before, "left without any fault");
    let faults = faults(&calls);
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
    println!("{} faults, {} not borne", faults.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn each_call_fails_in_turn_for_a_user() {
    check(under_test::qt6(), User::ALICE, |_| {});
}

#[test]
fn each_call_fails_in_turn_for_root_by_sudo() {
    check(under_test::qt5(), User::SUDO_ALICE, |_| {});
}

/// Root's leftover, of a program with Qt, is in the way: the start makes the
/// place aside as well, and its end removes it.
#[test]
fn each_call_fails_in_turn_while_stepping_aside() {
    check(under_test::qt5(), User::ALICE, |world| {
        let crash = world
            .launch("start_stop", Build::QT5)
            .args(["faults", "crash"])
            .run();
        assert!(!crash.status.success(), "{crash:?}");
    });
}
