//! Children and other programs do not keep a number; closing descriptors does not lose it.

// Killing a process that is not a child.
#![allow(unsafe_code)]

use super::{Stage, count, join};
use crate::support::{Launch, Running, User, base_program};
use std::path::Path;

/// Ends a process that is nobody's child any more.
struct Orphan(i32);

impl Orphan {
    fn alive(&self) -> bool {
        // A zombie has no memory.
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.0));
        maps.is_ok_and(|maps| !maps.is_empty())
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        // SAFETY: two numbers. It sleeps until somebody kills it, which only we do.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

fn child(process: &mut Running, how: &str) -> Orphan {
    process.say(how);
    let mut lines = vec![process.line()];
    if how == "fork" {
        lines.push(process.line());
    }
    let said = lines.iter().find(|line| line.contains("in the child"));
    if how == "fork" {
        let said = said.and_then(|line| line.split_once(" counted, "));
        let (counted, said) = said.unwrap_or_else(|| panic!("{lines:?}"));
        // As in the parent.
        assert_eq!(counted.parse(), Ok(count(process)));
        let expected = "not exclusive in the child: \
            the number belongs to the process that this one was forked from";
        assert_eq!(said, expected);
    }
    let pid = lines.iter().find_map(|line| line.parse().ok());
    Orphan(pid.unwrap_or_else(|| panic!("no pid: {lines:?}")))
}

/// Two processes can have one pid, in two PID namespaces, as where a sandbox starts another.
#[test]
fn a_forked_child_that_has_its_parents_pid() {
    let Some(stage) = Stage::new() else { return };
    let program = base_program("face_instance").display().to_string();
    let mut parent = Launch::new(Path::new("/usr/bin/unshare"), stage.world.temp())
        .args(["--pid", "--fork", "--kill-child", &program])
        .start();
    join(&mut parent, "logic", 0);
    parent.say("fork-in-namespace");
    let lines = [parent.line(), parent.line()];
    let said = lines.iter().find(|line| line.contains("in the child"));
    let said = said.unwrap_or_else(|| panic!("{lines:?}"));
    assert!(said.contains("not exclusive"), "{said}");
}

/// The child has even dropped its copy of the handle, which must not free the parent's number.
#[test]
fn a_forked_child_does_not_keep_it() {
    let Some(stage) = Stage::new() else { return };
    let mut witness = stage.joined(User::ALICE, 0);
    let mut parent = stage.joined(User::ALICE, 1);
    assert_eq!(parent.ask("claim 0 camera"), "mine");
    let orphan = child(&mut parent, "fork");
    assert_eq!(count(&mut witness), 2);
    assert!(witness.ask("claim 0 camera").starts_with("taken by 1 "));
    parent.kill_and_wait();
    assert!(orphan.alive());
    assert_eq!(count(&mut witness), 1);
    assert_eq!(witness.ask("claim 0 camera"), "mine");
    let _next = stage.joined(User::ALICE, 1);
}

#[test]
fn a_spawned_program_does_not_keep_it() {
    let Some(stage) = Stage::new() else { return };
    let mut witness = stage.joined(User::ALICE, 0);
    let mut parent = stage.joined(User::ALICE, 1);
    let orphan = child(&mut parent, "spawn");
    parent.kill_and_wait();
    assert!(orphan.alive());
    assert_eq!(count(&mut witness), 1);
}

#[test]
fn a_program_that_takes_the_place_does_not_keep_it() {
    let Some(stage) = Stage::new() else { return };
    let mut witness = stage.joined(User::ALICE, 0);
    let mut process = stage.joined(User::ALICE, 1);
    assert_eq!(process.ask("exec /bin/sleep"), "becoming /bin/sleep");
    process.wait_for_system_call(&[libc::SYS_clock_nanosleep, libc::SYS_nanosleep]);
    assert_eq!(count(&mut witness), 1);
}

#[test]
fn closing_every_descriptor_does_not_lose_it() {
    let Some(stage) = Stage::new() else { return };
    let mut process = stage.start(User::ALICE);
    let descriptors = process.ask("descriptors");
    assert_eq!(process.ask("join logic"), "number 0");
    assert_eq!(process.ask("claim 0 camera"), "mine");
    assert_eq!(process.ask("descriptors"), descriptors);
    assert_eq!(process.ask("close-all"), "closed");
    let mut other = stage.joined(User::ALICE, 1);
    assert_eq!(count(&mut other), 2);
    assert!(other.ask("claim 0 camera").starts_with("taken by 0 "));
    assert_eq!(process.ask("exclusive 0"), "yes");
}

/// Forks all the time while others join and end: whoever is left of the children has nothing.
#[test]
fn a_child_that_is_forked_while_others_join_keeps_nothing() {
    let Some(stage) = Stage::new() else { return };
    let mut process = stage.start(User::ALICE);
    assert_eq!(process.ask("fork-storm 300 logic"), "300 children");
    let mut witness = stage.start(User::ALICE);
    assert_eq!(witness.ask("join logic"), "number 0");
    assert_eq!(count(&mut witness), 1);
    assert_eq!(process.ask("end-children"), "ended");
}
