//! `qshm who`, and the registries in `qshm status`.

use std::path::Path;

use crate::bench::{Bench, TEMP, code, text};
use crate::snapshot::same;
use crate::support::{Launch, Running, User, base_program, mounts};

/// A process that has joined, with this number.
fn joined(user: User, number: u32) -> Running {
    let launch = Launch::new(&base_program("face_instance"), Path::new(TEMP)).user(user);
    let mut process = launch.without("XDG_RUNTIME_DIR").start();
    assert_eq!(process.ask("join logic"), format!("number {number}"));
    process
}

#[test]
fn instances_and_claims_are_shown() {
    let Some(bench) = Bench::new() else { return };
    for uid in [0, 1, 2] {
        mounts::directory(&Path::new("/run/user").join(uid.to_string()), uid, 0o700);
    }
    let ask = |user, arguments: &[&str]| bench.qshm(user, arguments);
    let nobody = ask(User::ALICE, &["who", "logic"]);
    code(&nobody, 1);
    assert_eq!(text(&nobody), "No instance of logic runs.");

    let mut first = joined(User::ALICE, 0);
    let second = joined(User::ALICE, 1);
    let _other = joined(User::BOB, 0);
    assert_eq!(first.ask("claim 0 camera"), "mine");
    let alice = ask(User::ALICE, &["who", "logic"]);
    code(&alice, 0);
    same("who.txt", &text(&alice));
    let root = text(&ask(User::Root, &["who", "logic"]));
    assert_eq!(root.lines().count(), 5, "{root}");
    code(&ask(User::Root, &["who", "other"]), 1);

    let said = text(&ask(User::ALICE, &["who", "logic", "--json"]));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let registry = &said["registries"][0];
    assert_eq!(registry["instances"][1]["pid"], second.pid());
    assert_eq!(registry["claims"][0]["resource"], "camera");
    assert_eq!(registry["claims"][0]["holder"]["pid"], first.pid());
    for status in [&["status"][..], &["status", "--json"]] {
        let said = text(&ask(User::ALICE, status).ok());
        assert!(said.contains("camera"), "{said}");
    }
}
