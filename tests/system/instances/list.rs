//! What a tool shows: all registries, and who is in them.

use super::{Stage, join};
use crate::support::{User, base_program};
use qshm::instance::{Registry, list, list_named};

fn one<'a>(all: &'a [Registry], name: &str, uid: Option<u32>, scope: &str) -> &'a Registry {
    let mut found = all
        .iter()
        .filter(|registry| registry.name == name && registry.uid == uid && registry.scope == scope);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("{name}, {uid:?}, {scope}: {all:#?}"));
    assert_eq!(found.next(), None);
    first
}

fn numbers(registry: &Registry) -> Vec<u32> {
    registry.instances.iter().map(|peer| peer.number).collect()
}

#[test]
fn root_sees_the_registries_of_all() {
    let Some(stage) = Stage::new() else { return };
    let mut alice = stage.joined(User::ALICE, 0);
    let root = stage.joined(User::SUDO_ALICE, 1);
    let mut bob = stage.joined(User::BOB, 0);
    join(&mut bob, "org.example/Other%Name", 0);
    assert_eq!(alice.ask("claim 0 camera"), "mine");
    assert_eq!(bob.ask("join logic world"), "number 0");
    assert_eq!(alice.ask("join logic group:1"), "number 0");
    let mut session = stage.launch(User::ALICE).env("XDG_SESSION_ID", "7").start();
    assert_eq!(session.ask("join logic session"), "number 0");
    let mut long = stage.start(User::ALICE);
    join(&mut long, &"x".repeat(400), 0);

    let all = list();
    assert_eq!(all.len(), 7, "{all:#?}");
    let logic = one(&all, "logic", Some(1), "user");
    assert_eq!(logic.place, super::runtime(1).join("qshm"));
    assert_eq!(numbers(logic), [0, 1]);
    let program = base_program("face_instance").display().to_string();
    let [user, by_sudo] = &logic.instances[..] else {
        panic!("{logic:#?}")
    };
    assert_eq!((user.pid, user.uid), (Some(alice.pid()), Some(1)));
    assert_eq!((by_sudo.pid, by_sudo.uid), (Some(root.pid()), Some(0)));
    assert!(user.program == program && by_sudo.user() == "root");
    assert!(user.since.unwrap().elapsed().unwrap() < std::time::Duration::from_secs(600));
    let [claim] = &logic.claims[..] else {
        panic!("{logic:#?}")
    };
    assert_eq!(
        (claim.resource.as_str(), claim.holder.pid),
        ("camera", Some(alice.pid()))
    );

    assert_eq!(numbers(one(&all, "logic", Some(2), "user")), [0]);
    assert_eq!(
        numbers(one(&all, "org.example/Other%Name", Some(2), "user")),
        [0]
    );
    assert_eq!(numbers(one(&all, "logic", None, "world")), [0]);
    assert_eq!(numbers(one(&all, "logic", None, "group 1")), [0]);
    assert_eq!(numbers(one(&all, &"x".repeat(400), Some(1), "user")), [0]);
    let kernel = std::fs::read_to_string("/proc/self/sessionid").unwrap_or_default();
    if kernel.trim() == u32::MAX.to_string() {
        assert_eq!(numbers(one(&all, "logic", Some(1), "session x7")), [0]);
    }
    assert_eq!(list_named("logic").len(), 5);
    assert_eq!(list_named("logi"), []);

    for mut process in [alice, root] {
        process.kill_and_wait();
    }
    let after = list();
    let logic = one(&after, "logic", Some(1), "user");
    assert!(logic.instances.is_empty() && logic.claims.is_empty());
}

/// In the place for those without a runtime directory, and somebody's nonsense beside.
#[test]
fn what_is_not_a_registry_is_left_out() {
    let Some(stage) = Stage::bare() else { return };
    let _alice = stage.joined(User::ALICE, 0);
    let junk = [
        "/tmp/qshm-instances-1/logic.user.x",
        "/tmp/qshm-instances-1/logic.0",
        "/tmp/qshm-instances-1/bad%zz.user.0",
        "/tmp/qshm-instances-1/logic.elsewhere.0",
        "/tmp/qshm-instances.logic.group-x.0",
        "/dev/shm/qshm-instances.logic.user.0",
        "/dev/shm/qshm-instances.fake.world.0",
    ];
    for path in junk {
        std::fs::write(path, [0xff; 9000]).unwrap();
    }
    crate::support::mounts::directory("/tmp/qshm-instances-2".as_ref(), 1, 0o700);
    std::fs::write("/tmp/qshm-instances-2/logic.user.0", "").unwrap();
    let all = list();
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!(numbers(one(&all, "logic", Some(1), "user")), [0]);
}

/// One user's instances that found different places are one registry.
#[test]
fn a_registry_in_two_places_is_one() {
    let Some(stage) = Stage::bare() else { return };
    let early = stage.joined(User::ALICE, 0);
    crate::support::mounts::directory(&super::runtime(1), 1, 0o700);
    let late = stage.joined(User::ALICE, 1);
    let all = list();
    assert_eq!(all.len(), 1, "{all:#?}");
    let pids: Vec<_> = all[0].instances.iter().map(|peer| peer.pid).collect();
    assert_eq!(pids, [Some(early.pid()), Some(late.pid())]);
}
