//! No exclusive lock goes by the close of its file alone: a child that another thread forks at that
//! moment has the same open file, and would keep everybody out for as long as it lives.

use crate::support::trace::{Call, Traced, needs_strace};
use crate::support::under_test;
use crate::support::{Build, User, World, has_qt68, program};
use std::collections::HashSet;

/// The calls that close a file with its exclusive lock.
fn kept(calls: &[Call]) -> Vec<String> {
    let mut held = HashSet::new();
    let mut kept = Vec::new();
    for call in calls {
        let arguments = call.text.split_once('(').map_or("", |(_, rest)| rest);
        let descriptor = arguments.split([',', ')']).next().unwrap_or_default();
        match call.name.as_str() {
            "flock" if call.text.ends_with(" = 0") => {
                if arguments.contains("LOCK_EX") {
                    held.insert(descriptor.to_owned());
                } else {
                    held.remove(descriptor);
                }
            }
            "close" if held.remove(descriptor) => kept.push(call.text.clone()),
            _ => {}
        }
    }
    kept
}

fn check(build: Build) {
    let Some(world) = World::new() else { return };
    if !needs_strace() {
        return;
    }
    let traced = Traced {
        world: &world,
        program: program("start_stop", build),
        preload: build.preload(),
        args: vec!["given back".to_owned(), "once".to_owned()],
        user: User::ALICE,
        more: &[],
    };
    let calls = traced.record();
    let locks = calls.iter().filter(|call| call.text.contains("LOCK_EX"));
    assert!(locks.count() > 2, "{calls:#?}");
    assert_eq!(kept(&calls), Vec::<String>::new(), "{build:?}");
    world.assert_clean();
}

#[test]
fn locks_are_given_back_before_their_files_are_closed() {
    check(under_test::qt5());
    check(under_test::qt6());
}

#[test]
fn locks_are_given_back_before_their_files_are_closed_qt68() {
    if has_qt68() {
        check(under_test::qt68());
    }
}
