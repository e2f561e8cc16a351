//! Where registries are, and that those who find different places count together all the same.

use super::{Stage, count, join, runtime};
use crate::support::mounts;
use crate::support::{Running, User};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

fn fallback(uid: u32) -> PathBuf {
    PathBuf::from(format!("/tmp/qshm-instances-{uid}"))
}

/// Whose a registry is, and its mode and that of its directory.
fn check(directory: &Path, uid: u32) {
    let file = directory
        .join("logic.user.0")
        .metadata()
        .expect("a registry");
    let directory = directory.metadata().expect("a directory");
    for (data, mode) in [(file, 0o600), (directory, 0o700)] {
        assert_eq!((data.uid(), data.mode() & 0o7777), (uid, mode));
    }
}

#[test]
fn in_the_runtime_directory_where_there_is_one() {
    let Some(stage) = Stage::new() else { return };
    let _root = stage.joined(User::SUDO_ALICE, 0);
    let _bob = stage.joined(User::BOB, 0);
    let _itself = stage.joined(User::Root, 0);
    for uid in [0, 1, 2] {
        check(&runtime(uid).join("qshm"), uid);
        // Those who will not find it must meet them.
        check(&fallback(uid), uid);
    }
}

#[test]
fn else_in_a_private_directory() {
    let Some(stage) = Stage::bare() else { return };
    let _root = stage.joined(User::SUDO_ALICE, 0);
    let mut alice = stage.joined(User::ALICE, 1);
    let _bob = stage.joined(User::BOB, 0);
    check(&fallback(1), 1);
    check(&fallback(2), 2);
    assert_eq!(count(&mut alice), 2);
}

/// One process has `XDG_RUNTIME_DIR`, the other not (as under sudo): they must not count apart.
#[test]
fn those_with_and_without_the_variable_count_together() {
    let Some(stage) = Stage::bare() else { return };
    let named = Path::new("/tmp/runtime-alice");
    mounts::directory(named, 1, 0o700);
    let with = || {
        stage
            .launch(User::ALICE)
            .env("XDG_RUNTIME_DIR", named)
            .start()
    };
    let with_number = |number: u32| {
        let mut process = with();
        join(&mut process, "logic", number);
        process
    };
    let mut all: Vec<Running> = Vec::new();
    for number in 0..6 {
        all.push(if number % 2 == 0 {
            with_number(number)
        } else {
            stage.joined(User::ALICE, number)
        });
    }
    check(&named.join("qshm"), 1);
    check(&fallback(1), 1);
    for process in &mut all {
        assert_eq!(count(process), 6);
    }
    assert_eq!(all[0].ask("claim 0 camera"), "mine");
    assert!(all[1].ask("claim 0 camera").starts_with("taken by 0 "));
    assert_eq!(all[1].ask("claim 0 printer"), "mine");
    assert!(all[2].ask("claim 0 printer").starts_with("taken by 1 "));
    // The first file in the last place is trusted by those there when nobody is elsewhere.
    drop(all);
    let _one = stage.joined(User::ALICE, 0);
    let _two = with_number(1);
    let _three = stage.joined(User::ALICE, 2);
    let _four = with_number(3);
}

#[test]
fn a_variable_that_names_no_private_directory_is_not_followed() {
    let Some(stage) = Stage::bare() else { return };
    mounts::directory(Path::new("/tmp/open"), 1, 0o755);
    mounts::directory(Path::new("/tmp/bobs"), 2, 0o700);
    mounts::directory(Path::new("/tmp/mine"), 1, 0o700);
    std::os::unix::fs::symlink("/tmp/mine", "/tmp/link").unwrap();
    mounts::directory(Path::new("/tmp/mine/inside"), 1, 0o700);
    for (number, named) in ["/tmp/open", "/tmp/bobs", "/tmp/link", "mine", "/none"]
        .into_iter()
        .enumerate()
    {
        let mut process = stage
            .launch(User::ALICE)
            .env("XDG_RUNTIME_DIR", named)
            .start();
        join(&mut process, "logic", number as u32);
        assert!(fallback(1).join("logic.user.0").exists());
        std::mem::forget(process);
    }
    assert!(!Path::new("/tmp/open/qshm").exists());
    assert!(!Path::new("/tmp/bobs/qshm").exists());
    // A link higher up.
    let mut process = stage
        .launch(User::ALICE)
        .env("XDG_RUNTIME_DIR", "/tmp/link/inside")
        .start();
    join(&mut process, "other", 0);
    assert!(fallback(1).join("other.user.0").exists());
    assert!(!Path::new("/tmp/mine/inside/qshm").exists());
}

/// A container's file system maps the files of the one below, and a mapping keeps no lock of its own.
#[test]
fn where_mappings_keep_no_locks() {
    for overlaid in ["/tmp", "/run/user"] {
        let Some(stage) = Stage::new() else { return };
        if overlaid == "/tmp" {
            fs::remove_dir(runtime(1)).unwrap();
        }
        let upper = Path::new("/dev/shm/upper");
        if let Err(error) = mounts::overlay(Path::new(overlaid), upper) {
            crate::support::skipped(&format!("no overlay to be had: {error}"));
            return;
        }
        let mut first = stage.joined(User::ALICE, 0);
        assert_eq!(first.ask("claim 0 camera"), "mine");
        let mut second = stage.joined(User::SUDO_ALICE, 1);
        assert!(second.ask("claim 0 camera").starts_with("taken by 0 "));
        assert_eq!(count(&mut first), 2);
        let place = match overlaid {
            "/tmp" => PathBuf::from("/dev/shm/qshm-instances-1"),
            _ => fallback(1),
        };
        check(&place, 1);
        fs::remove_file(place.join("logic.user.0")).unwrap();
        let _third = stage.joined(User::ALICE, 2);
        drop(first);
        let mut again = stage.joined(User::ALICE, 0);
        assert_eq!(again.ask("claim 0 camera"), "mine");
        mounts::gone(Path::new(overlaid));
    }
}

/// The runtime directory comes to be there while instances run.
#[test]
fn a_better_place_that_comes_later() {
    let Some(stage) = Stage::bare() else { return };
    let mut early = stage.joined(User::ALICE, 0);
    mounts::directory(&runtime(1), 1, 0o700);
    let mut late = stage.joined(User::ALICE, 1);
    check(&runtime(1).join("qshm"), 1);
    assert_eq!(count(&mut late), 2);
    assert_eq!(count(&mut early), 2);
    early.kill_and_wait();
    let _next = stage.joined(User::ALICE, 0);
}

/// Who may not take part leaves nothing that keeps out those who may.
#[test]
fn a_group_is_not_shut_out_by_others() {
    let Some(stage) = Stage::new() else { return };
    let mut bob = stage.start(User::BOB);
    let said = bob.ask("join logic group:1");
    assert!(said.starts_with("private: making /dev/shm/"), "{said}");
    assert!(said.ends_with("permission denied"), "{said}");
    assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0);
    let mut alice = stage.start(User::ALICE);
    assert_eq!(alice.ask("join logic group:1"), "number 0");
    // Root is root, whoever has called it.
    let mut root = stage.start(User::SUDO_ALICE);
    assert_eq!(root.ask("join other group:2"), "number 0");
    assert_eq!(bob.ask("join other group:2"), "number 1");
}

/// Without `/proc` a registry is made all the same.
#[test]
fn where_proc_is_not_mounted() {
    let Some(stage) = Stage::new() else { return };
    let mut alice = stage.start(User::ALICE);
    let proc = Path::new("/proc");
    mounts::empty(proc, 0o755).unwrap();
    let said = alice.ask("join logic");
    mounts::gone(proc);
    assert_eq!(said, "number 0");
    check(&runtime(1).join("qshm"), 1);
}

#[test]
fn a_session_is_the_display_where_there_is_nothing_else() {
    let Some(stage) = Stage::new() else { return };
    let start = |name: &str, value: &str| {
        let mut process = stage.launch(User::ALICE).env(name, value).start();
        process.say("join logic session");
        process
    };
    let kernel = fs::read_to_string("/proc/self/sessionid").unwrap_or_default();
    if kernel
        .trim()
        .parse()
        .is_ok_and(|number: u32| number != u32::MAX)
    {
        crate::support::skipped("this runs in a login session that the kernel knows");
        return;
    }
    for (number, name, value) in [
        (0, "DISPLAY", ":0"),
        (1, "DISPLAY", ":0.0"),
        (0, "DISPLAY", ":1"),
        (0, "DISPLAY", "workstation.example.com:1"),
        (0, "DISPLAY", "workstation.example.com:2"),
        (0, "WAYLAND_DISPLAY", "wayland-0"),
        (0, "XDG_SESSION_ID", "c1"),
        (1, "XDG_SESSION_ID", "c1"),
        (0, "XDG_SESSION_ID", "../../x"),
    ] {
        let mut process = start(name, value);
        assert_eq!(process.line(), format!("number {number}"), "{name}={value}");
        std::mem::forget(process);
    }
    // The user's numbers are others.
    let _user = stage.joined(User::ALICE, 0);
}

/// Runs something in a login session of its own that the kernel knows: its number, or why there is none.
fn in_a_session<T: Send>(act: impl FnOnce() -> T + Send) -> Result<T, String> {
    // A thread's session is its children's, and ends with it.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            fs::write("/proc/thread-self/loginuid", "1").map_err(|error| error.to_string())?;
            let session = fs::read_to_string("/proc/thread-self/sessionid");
            match session.map(|session| session.trim().parse::<u32>()) {
                Ok(Ok(number)) if number != u32::MAX => Ok(act()),
                other => Err(format!("no session: {other:?}")),
            }
        });
        thread.join().expect("the thread does not panic")
    })
}

#[test]
fn a_session_is_the_one_that_the_kernel_knows() {
    let Some(stage) = Stage::new() else { return };
    let joined = |user: User, number: u32, variable: &str| {
        let launch = stage.launch(user).env("XDG_SESSION_ID", variable);
        let mut process = launch.env("DISPLAY", variable).start();
        let said = process.ask("join logic session");
        assert_eq!(said, format!("number {number}"), "{user:?} {variable}");
        process
    };
    let kept = [(); 2].map(|()| {
        in_a_session(|| {
            vec![
                joined(User::ALICE, 0, "1"),
                joined(User::ALICE, 1, "2"),
                // sudo keeps the session, if not the variables.
                joined(User::SUDO_ALICE, 2, "3"),
            ]
        })
    });
    if let Some(Err(why)) = kept.iter().find(|kept| kept.is_err()) {
        crate::support::skipped(&format!("the kernel gives no login session: {why}"));
    }
}

#[test]
fn the_machine_is_for_those_who_are_named() {
    let Some(stage) = Stage::new() else { return };
    let mut all: Vec<Running> = [User::ALICE, User::BOB, User::Root, User::SUDO_ALICE]
        .into_iter()
        .map(|user| stage.start(user))
        .collect();
    for (number, process) in all.iter_mut().enumerate() {
        assert_eq!(process.ask("join logic world"), format!("number {number}"));
    }
    assert_eq!(count(&mut all[1]), 4);
    assert_eq!(all[0].ask("claim 0 camera"), "mine");
    assert!(all[1].ask("claim 0 camera").starts_with("taken by 0 pid "));
    // Alice's group is named, bob is not in it.
    assert_eq!(all[0].ask("join logic group:1"), "number 0");
    assert_eq!(all[2].ask("join logic group:1"), "number 1");
    let bob = all[1].ask("join logic group:1");
    assert!(bob.starts_with("private: opening /dev/shm/"), "{bob}");
    assert!(bob.ends_with("permission denied"), "{bob}");
}
