//! The processes that an error names are those that are in the way, and no others.

use crate::support::{Build, Launch, User, World, program};
use std::path::Path;

#[test]
fn of_another_ipc_namespace_nobody_is_named() {
    let Some(world) = World::new() else { return };
    let mut live = world.launch_as("holder", Build::QT5, User::BOB).start();
    live.ask("key named");
    assert_eq!(live.ask("create 4"), "ok");
    // The same id there, of another segment.
    let mut other = Launch::new(Path::new("/usr/bin/unshare"), world.temp())
        .arg("--ipc")
        .arg(program("holder", Build::QT5))
        .start();
    other.ask("key other");
    assert_eq!(other.ask("create 4"), "ok");

    let mut ours = world
        .launch("holder", Build::QSHM5)
        .env("QSHM_IN_THE_WAY", "fail")
        .start();
    ours.ask("key named");
    let said = ours.ask("create 4");
    assert!(said.starts_with("error 1 "), "{said}");
    assert!(said.contains(&format!("(pid {},", live.pid())), "{said}");
    assert!(!said.contains(&format!("(pid {},", other.pid())), "{said}");
}
