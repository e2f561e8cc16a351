//! A kill, and an error, at each system call in turn of one life of an instance.

use super::{Stage, count, runtime};
use crate::support::trace::{Call, OF_INSTANCES, Traced, needs_strace};
use crate::support::{Running, User, base_program};

/// One test's name for its instances. The kernel's table shows locks of other tests too, and what
/// is looked at because of them is not the same each time.
#[derive(Clone, Copy)]
struct Name(&'static str);

impl Name {
    /// Joins, claims, looks and ends.
    fn life<'a>(&self, stage: &'a Stage, user: User) -> Traced<'a> {
        let join = format!("join {}", self.0);
        let commands = [&join, "claim 0 camera", "count 0", "end 0"];
        Traced {
            world: &stage.world,
            program: base_program("face_instance"),
            preload: None,
            args: commands.map(str::to_owned).to_vec(),
            user,
            more: OF_INSTANCES,
        }
    }

    /// One that has joined.
    fn joined(&self, stage: &Stage, user: User, number: u32) -> Running {
        let mut process = stage.start(user);
        super::join(&mut process, self.0, number);
        process
    }

    /// With a registry that is there already, or with none.
    fn begin(&self, stage: &Stage, fresh: bool) {
        let _ = std::fs::remove_dir_all(runtime(1).join("qshm"));
        if !fresh {
            drop(self.joined(stage, User::ALICE, 0));
        }
    }

    /// The calls of a life. The program is loaded and runs the same way each time.
    fn calls(&self, stage: &Stage, life: &Traced<'_>, fresh: bool) -> Vec<Call> {
        self.begin(stage, fresh);
        let calls = life.record();
        assert!(calls.len() > 20, "only {} calls", calls.len());
        calls
    }
}

/// Some kills are missed: how often the table is read depends on what else there is on the
/// machine.
fn few(missed: usize, calls: usize) {
    assert!(missed * 5 < calls, "{missed} of {calls} missed");
}

/// What the next two starts find.
fn nothing_is_kept(name: Name, next: &mut Running, more: &mut Running) -> Result<(), String> {
    let join = format!("join {}", name.0);
    let answers = [
        (next.ask(&join), "number 0"),
        (next.ask("claim 0 camera"), "mine"),
        (next.ask("count 0"), "1"),
        (more.ask(&join), "number 1"),
        (next.ask("count 0"), "2"),
    ];
    let wrong = answers.iter().find(|(answer, expected)| answer != expected);
    wrong.map_or(Ok(()), |(answer, expected)| {
        Err(format!("{answer}, not {expected}"))
    })
}

fn a_kill_at_each_call(name: Name, user: User, next: User, fresh: bool) {
    let Some(stage) = Stage::new() else { return };
    if !needs_strace() {
        return;
    }
    let life = name.life(&stage, user);
    let calls = name.calls(&stage, &life, fresh);
    let (mut failures, mut missed) = (Vec::new(), 0);
    for call in &calls {
        name.begin(&stage, fresh);
        missed += usize::from(life.kill_at(call).is_err());
        let after = nothing_is_kept(name, &mut stage.start(next), &mut stage.start(user));
        if let Err(why) = after {
            failures.push(format!("killed at {}: {why}", call.text));
        }
    }
    let (points, wrong) = (calls.len(), failures.len());
    println!("{points} kill points, {missed} missed, {wrong} failed");
    few(missed, points);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nothing_is_kept_by_who_is_killed_at_any_call() {
    a_kill_at_each_call(Name("k1"), User::ALICE, User::SUDO_ALICE, false);
}

#[test]
fn nothing_is_kept_by_who_is_killed_while_making_the_registry() {
    a_kill_at_each_call(Name("k2"), User::ALICE, User::ALICE, true);
}

#[test]
fn nothing_is_kept_by_root_who_is_killed_at_any_call() {
    a_kill_at_each_call(Name("k3"), User::SUDO_ALICE, User::ALICE, true);
}

/// One runs all the time, and is neither disturbed nor met.
#[test]
fn who_runs_is_not_disturbed_by_a_kill_at_any_call() {
    let Some(stage) = Stage::new() else { return };
    if !needs_strace() {
        return;
    }
    let name = Name("k4");
    let mut runs = name.joined(&stage, User::ALICE, 0);
    assert_eq!(runs.ask("claim 0 camera"), "mine");
    let life = name.life(&stage, User::SUDO_ALICE);
    let calls = life.record();
    let mut missed = 0;
    for call in &calls {
        missed += usize::from(life.kill_at(call).is_err());
        assert_eq!(count(&mut runs), 1, "killed at {}", call.text);
        assert_eq!(runs.ask("exclusive 0"), "yes");
        let mut next = name.joined(&stage, User::ALICE, 1);
        assert!(
            next.ask("claim 0 camera").starts_with("taken by 0 "),
            "{}",
            call.text
        );
    }
    println!("{} kill points, {missed} missed", calls.len());
    few(missed, calls.len());
}

/// Any call may fail: there is always an instance, with a shared number or a reason, and the next
/// start is as good as ever.
#[test]
fn an_error_at_any_call_is_in_nobodys_way() {
    let Some(stage) = Stage::new() else { return };
    if !needs_strace() {
        return;
    }
    let name = Name("k5");
    for (fresh, ever_after, error) in [(true, false, "EIO"), (false, true, "ENOMEM")] {
        let life = name.life(&stage, User::ALICE);
        let calls = name.calls(&stage, &life, fresh);
        // Later ones are those of the end, and of the program itself.
        for call in &calls {
            // Without memory nothing runs.
            if ever_after && ["mmap", "munmap", "close"].contains(&call.name.as_str()) {
                continue;
            }
            name.begin(&stage, fresh);
            let finished = life.failing_at(call, error, ever_after).run();
            let said = finished.lines.first().cloned().unwrap_or_default();
            let fine = said == "number 0"
                || said
                    .strip_prefix("private: ")
                    .is_some_and(|why| !why.is_empty());
            assert!(
                fine && finished.status.success(),
                "{error} at {}: {finished:#?}",
                call.text
            );
            let mut next = name.joined(&stage, User::ALICE, 0);
            assert_eq!(
                next.ask("claim 0 camera"),
                "mine",
                "{error} at {}",
                call.text
            );
        }
    }
}
