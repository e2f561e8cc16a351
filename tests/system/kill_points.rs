//! A kill at each system call in turn of one start and one end: the next
//! start, by somebody else who shares, works at once and gets the right
//! number, and its clean end leaves nothing.

use crate::support::trace::{Call, Traced, needs_strace};
use crate::support::under_test;
use crate::support::{Build, Launch, User, World, has_qt68, program};
use std::time::{Duration, Instant};

/// A start that meets something of a crash must not wait for it. Far above
/// what a start takes on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// What is run and killed, and what starts afterwards.
struct Plan<'a> {
    killed: Traced<'a>,
    next: Traced<'a>,
}

impl Plan<'_> {
    fn world(&self) -> &World {
        self.killed.world
    }

    /// Kills at one call; what then went wrong.
    fn try_call(&self, call: &Call) -> Result<(), String> {
        self.killed.kill_at(call)?;
        next_start(self.next.alone(), &["number 0", "ended"])?;
        self.world().clean()
    }

    /// Every call in turn. Returns what failed, a line each.
    fn failures(&self) -> (usize, Vec<String>) {
        let calls = self.killed.record();
        self.world().assert_clean();
        let mut failures = Vec::new();
        for call in &calls {
            if let Err(why) = self.try_call(call) {
                failures.push(format!("killed at {}: {why}", call.text));
                self.world().restart();
            }
        }
        (calls.len(), failures)
    }

    fn check(&self, name: &str) {
        let (points, failures) = self.failures();
        println!("{name}: {points} kill points, {} failed", failures.len());
        assert!(points > 15, "{name}: only {points} calls were found");
        assert!(failures.is_empty(), "{name}:\n{}", failures.join("\n"));
    }
}

/// Starts, ends, in time, with these lines.
fn next_start(launch: Launch, wanted: &[&str]) -> Result<(), String> {
    let begun = Instant::now();
    let finished = launch.run();
    let took = begun.elapsed();
    if finished.lines != wanted || !finished.status.success() {
        return Err(format!("the next start: {finished:?}"));
    }
    if took > AT_ONCE {
        return Err(format!("the next start took {took:?}"));
    }
    Ok(())
}

/// The build that is under test, and the kind of its keys.
#[derive(Clone, Copy)]
struct Subject {
    build: Build,
    key: &'static str,
}

fn qt5() -> Subject {
    Subject {
        build: under_test::qt5(),
        key: "kill points",
    }
}

fn qt6() -> Subject {
    Subject {
        build: under_test::qt6(),
        ..qt5()
    }
}

/// Qt 6.8 with a POSIX key, or one of its own System V keys.
fn qt68(key: &'static str) -> Option<Subject> {
    has_qt68().then(|| Subject {
        build: under_test::qt68(),
        key,
    })
}

const POSIX: &str = "posix:kill points";

fn start_stop(world: &World, subject: Subject, user: User) -> Traced<'_> {
    Traced {
        world,
        program: program("start_stop", subject.build),
        preload: subject.build.preload(),
        args: vec![subject.key.to_owned(), "once".to_owned()],
        user,
        more: &[],
    }
}

fn start_stop_plan(world: &World, subject: Subject, killed: User, next: User) -> Plan<'_> {
    Plan {
        killed: start_stop(world, subject, killed),
        next: start_stop(world, subject, next),
    }
}

fn check_both_ways(subject: Subject) {
    let Some(world) = World::new() else { return };
    if !needs_strace() {
        return;
    }
    start_stop_plan(&world, subject, User::SUDO_ALICE, User::ALICE).check("root, then the user");
    start_stop_plan(&world, subject, User::ALICE, User::SUDO_ALICE).check("the user, then root");
}

#[test]
fn the_next_start_works_after_a_kill_at_each_call_qt5() {
    check_both_ways(qt5());
}

#[test]
fn the_next_start_works_after_a_kill_at_each_call_qt6() {
    check_both_ways(qt6());
}

#[test]
fn the_next_start_works_after_a_kill_at_each_call_posix() {
    if let Some(subject) = qt68(POSIX) {
        check_both_ways(subject);
    }
}

/// Another user, who has nothing to do with the one that was killed.
#[test]
fn a_stranger_starts_after_a_kill_at_each_call() {
    stranger(qt6());
}

#[test]
fn a_stranger_starts_after_a_kill_at_each_call_posix() {
    if let Some(subject) = qt68(POSIX) {
        stranger(subject);
    }
}

fn stranger(subject: Subject) {
    let Some(world) = World::new() else { return };
    if !needs_strace() {
        return;
    }
    let plan = start_stop_plan(&world, subject, User::SUDO_ALICE, User::BOB);
    let mut failures = Vec::new();
    for call in &plan.killed.record() {
        let kill = plan.killed.kill_at(call);
        let stranger = next_start(plan.next.alone(), &["number 0", "ended"]);
        // What was left is alice's; her own next start clears it.
        let again = next_start(
            start_stop(&world, subject, User::ALICE).alone(),
            &["number 0", "ended"],
        );
        if let Err(why) = kill.and(stranger).and(again).and_then(|()| world.clean()) {
            failures.push(format!("killed at {}: {why}", call.text));
            world.restart();
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Somebody is attached all the time: their segment stays, nobody gets their
/// number, the lock is free.
#[test]
fn a_live_instance_is_not_disturbed_by_a_kill_at_each_call() {
    live_instance(qt5());
}

#[test]
fn a_live_instance_is_not_disturbed_by_a_kill_at_each_call_posix() {
    if let Some(subject) = qt68(POSIX) {
        live_instance(subject);
    }
}

fn live_instance(subject: Subject) {
    let Some(world) = World::new() else { return };
    if !needs_strace() {
        return;
    }
    let hold = vec![subject.key.to_owned(), "hold".to_owned()];
    let begin = || {
        let mut holder = Traced {
            args: hold.clone(),
            ..start_stop(&world, subject, User::ALICE)
        }
        .alone()
        .start();
        holder.expect("number 0");
        holder
    };
    let killed = start_stop(&world, subject, User::SUDO_ALICE);
    let calls = {
        let _holder = begin();
        killed.record()
    };
    world.restart();
    let mut failures = Vec::new();
    for call in &calls {
        let mut holder = begin();
        let kill = killed.kill_at(call);
        // The killed one may have died with its number, or before or after.
        let next = start_stop(&world, subject, User::ALICE).alone().run();
        let numbered = next.lines.first().is_some_and(|line| {
            ["number 1", "number 2"].contains(&line.as_str()) && next.status.success()
        });
        holder.close_stdin();
        let ended = holder.finish(crate::support::DEADLINE);
        let result = if !numbered {
            Err(format!("the next start: {next:?}"))
        } else if !ended.status.success() {
            Err(format!("the one that was there: {ended:?}"))
        } else {
            world.clean()
        };
        if let Err(why) = kill.and(result) {
            failures.push(format!("killed at {}: {why}", call.text));
            world.restart();
        }
    }
    println!("{} kill points, {} failed", calls.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Alice is there; bob steps aside, and is killed while he does.
#[test]
fn who_steps_aside_starts_after_a_kill_at_each_call() {
    who_steps_aside(qt6());
}

#[test]
fn who_steps_aside_starts_after_a_kill_at_each_call_posix() {
    if let Some(subject) = qt68(POSIX) {
        who_steps_aside(subject);
    }
}

fn who_steps_aside(subject: Subject) {
    let Some(world) = World::new() else { return };
    if !needs_strace() {
        return;
    }
    let begin = || {
        let mut holder = Traced {
            args: vec![subject.key.to_owned(), "hold".to_owned()],
            ..start_stop(&world, subject, User::ALICE)
        }
        .alone()
        .start();
        holder.expect("number 0");
        holder
    };
    let bob = start_stop(&world, subject, User::BOB);
    let mut holder = begin();
    // His log line names alice's process, for which all of /proc is read:
    // calls that change nothing, and never the same number of them.
    let calls: Vec<Call> = bob
        .record()
        .into_iter()
        .filter(|call| !["statx", "close", "readlink", "newfstatat"].contains(&call.name.as_str()))
        .filter(|call| !call.text.contains("\"/proc/"))
        .collect();
    let mut failures = Vec::new();
    let mut missed = 0;
    for (turn, call) in calls.iter().enumerate() {
        // Now she is still there when he starts again, now she has gone.
        let stays = turn % 2 == 0;
        missed += i32::from(bob.kill_at(call).is_err());
        if !stays {
            holder.close_stdin();
            holder.wait();
        }
        let next = next_start(bob.alone(), &["number 0", "ended"]);
        if stays {
            holder.close_stdin();
            holder.wait();
        }
        if let Err(why) = next.and_then(|()| world.clean()) {
            failures.push(format!("killed at {} ({stays}): {why}", call.text));
            world.restart();
        }
        holder = begin();
    }
    println!(
        "{} kill points, {missed} missed, {} failed",
        calls.len(),
        failures.len()
    );
    assert!(missed < 10, "{missed} of {} missed", calls.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A semaphore of its own around it all, as run guards have.
#[test]
fn a_run_guard_starts_after_a_kill_at_each_call() {
    let Some(world) = World::new() else { return };
    if !needs_strace() {
        return;
    }
    let guard = |user| Traced {
        world: &world,
        program: program("run_guard", under_test::qt5()),
        preload: under_test::qt5().preload(),
        args: vec!["guard".to_owned()],
        user,
        more: &[],
    };
    let killed = guard(User::SUDO_ALICE);
    let calls = killed.record();
    let mut failures = Vec::new();
    for call in &calls {
        let kill = killed.kill_at(call);
        let next = next_start(guard(User::ALICE).alone(), &["first"]);
        if let Err(why) = kill.and(next).and_then(|()| world.clean()) {
            failures.push(format!("killed at {}: {why}", call.text));
            world.restart();
        }
    }
    println!("{} kill points, {} failed", calls.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The example itself, as an application is built.
#[test]
fn the_example_starts_after_a_kill_at_each_call() {
    for build in [under_test::qt5(), under_test::qt6()] {
        let Some(world) = World::new() else { return };
        if !needs_strace() {
            return;
        }
        let logic = |user| Traced {
            world: &world,
            program: program("logic", build),
            preload: build.preload(),
            args: Vec::new(),
            user,
            more: &[],
        };
        // Its lines say more than a number: what it says without a kill is right.
        let wanted = logic(User::ALICE).alone().run().ok().lines;
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let killed = logic(User::SUDO_ALICE);
        let calls = killed.record();
        let mut failures = Vec::new();
        for call in &calls {
            let kill = killed.kill_at(call);
            let next = next_start(logic(User::ALICE).alone(), &wanted);
            // Its database stays where it was killed: that is its own affair.
            let files = world.left_files();
            let left = files.iter().any(|name| name.contains("qipc_"))
                || !world.segments().is_empty()
                || !world.semaphores().is_empty();
            let clean = if left {
                Err(format!("left behind: {}", world.state()))
            } else {
                Ok(())
            };
            if let Err(why) = kill.and(next).and(clean) {
                failures.push(format!("killed at {}: {why}", call.text));
                world.restart();
            }
        }
        println!("{} kill points, {} failed", calls.len(), failures.len());
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
