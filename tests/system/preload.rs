//! The preload library: in every program that there is, on every Qt that there
//! is, in C++ and in Python. (How objects come and go is in
//! `tests/programs/linking/run`; call by call, with peers and in the cases of
//! the report it is one more build in the tests of those names. All tests of
//! behaviour run under it with `QSHM_TEST_FLAVOUR=preload`.)

use crate::support::{
    Build, Finished, Launch, User, World, has_qt68, old_qt, preload, repository, say, skipped,
};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Packages, and what they have to be imported as.
const BINDINGS: [(&str, &str); 4] = [
    ("PyQt5", "PyQt5"),
    ("PyQt6", "PyQt6"),
    ("PyQt6-6.11", "PyQt6"),
    ("PySide6", "PySide6"),
];

fn output(command: &mut Command) -> String {
    let done = command.output().expect("the command runs");
    assert!(done.status.success(), "{command:?}: {done:?}");
    String::from_utf8(done.stdout).expect("UTF-8")
}

/// Nothing is exported but Qt's names, as listed; nothing is needed but libc.
#[test]
fn it_exports_qts_names_and_needs_only_libc() {
    let map = std::fs::read_to_string(repository().join("cpp/preload/exports.map"))
        .expect("the list of exports");
    let wanted: BTreeSet<_> = map
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';'))
        .filter(|name| name.starts_with("_Z"))
        .collect();
    let names = output(
        Command::new("nm")
            .args(["--dynamic", "--defined-only", "--format=posix"])
            .arg(preload()),
    );
    let exported: BTreeSet<_> = names
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(exported, wanted);

    let dynamic = output(Command::new("readelf").arg("--dynamic").arg(preload()));
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        assert!(
            line.contains("[libc.so.") || line.contains("[ld-linux"),
            "{line}"
        );
    }
}

/// Programs without Qt, and what they start, neither notice nor fail.
#[test]
fn programs_without_qt_are_left_alone() {
    let programs: [(&str, &[&str], &str); 4] = [
        ("/bin/true", &[], ""),
        (
            "/bin/sh",
            &["-c", "echo one | cat; /bin/sh -c 'echo two'"],
            "one\ntwo",
        ),
        (
            "/usr/bin/python3",
            &["-c", "import ctypes, ssl; print(3)"],
            "3",
        ),
        (
            "/usr/bin/env",
            &["-u", "LD_PRELOAD", "echo", "four"],
            "four",
        ),
    ];
    for (program, arguments, wanted) in programs {
        let finished = Launch::new(Path::new(program), &std::env::temp_dir())
            .env("LD_PRELOAD", preload())
            .args(arguments)
            .run()
            .ok();
        assert_eq!(finished.lines.join("\n"), wanted, "{program}");
        assert_eq!(finished.stderr, "", "{program}");
    }
}

/// The case of the report on each real Qt: root's crash, and then the user.
#[test]
fn after_a_crash_of_root_the_user_starts_on_every_qt() {
    let Some(world) = World::new() else { return };
    for version in old_qt::versions().into_iter().chain(["6.8.2", "6.11.2"]) {
        let Some(library) = fetched(version) else {
            continue;
        };
        let build = if version.starts_with('5') {
            Build::PRELOAD5
        } else {
            Build::PRELOAD6
        };
        let start = |user, mode: &str| {
            world
                .launch_as("start_stop", build, user)
                .env("LD_LIBRARY_PATH", &library)
                .args(["logic-instance-number", mode])
                .run()
        };
        report(&world, start);
        say(&format!("Qt {version}: the user starts"));
    }
}

/// In Debian's Qt 6.8 the members of a class call each other by the names that
/// the library exports, so that a QSharedMemory comes by our semaphores.
#[test]
fn after_a_crash_of_root_the_user_starts_on_a_qt_that_calls_itself_by_name() {
    let Some(world) = World::new() else { return };
    if has_qt68() {
        report(&world, |user, mode| {
            world
                .launch_as("start_stop", Build::PRELOAD68, user)
                .args(["logic-instance-number", mode])
                .run()
        });
    }
}

/// The example, by its own name, as it is built for everybody.
#[test]
fn after_a_crash_of_root_the_example_starts() {
    let Some(world) = World::new() else { return };
    for build in [Build::PRELOAD5, Build::PRELOAD6] {
        let start = |user| world.launch_as("logic", build, user);
        for root in [User::SUDO_ALICE, User::Root] {
            let crashed = start(root).arg("--crash").run();
            assert_eq!(crashed.lines, ["number 0"], "{crashed:?}");
            assert!(!crashed.status.success(), "{crashed:?}");
            let started = start(User::ALICE).run().ok();
            assert_eq!(started.lines, ["number 0", "bye"], "{started:?}");
            world.restart();
        }
    }
}

/// Which Qt there is, is found out without a lock: several threads may do so.
#[test]
fn threads_may_be_the_first_together() {
    let Some(world) = World::new() else { return };
    for build in [Build::PRELOAD5, Build::PRELOAD6] {
        for _ in 0..25 {
            let finished = world.launch("first_use", build).run().ok();
            assert_eq!(finished.lines, ["0 wrong"], "{finished:?}");
        }
        world.assert_clean();
    }
}

/// The case of the report in Python, which loads its own Qt as a plug-in.
#[test]
fn after_a_crash_of_root_python_programs_start() {
    let Some(world) = World::new() else { return };
    for (package, binding) in BINDINGS {
        let Some(package) = fetched(package) else {
            continue;
        };
        report(&world, |user, mode| {
            python(&world, &[&package], user)
                .args([binding, "logic-instance-number", mode])
                .run()
        });
    }
}

#[test]
fn objects_of_python_programs_come_and_go() {
    let Some(world) = World::new() else { return };
    for (package, binding) in BINDINGS {
        let Some(package) = fetched(package) else {
            continue;
        };
        let finished = python(&world, &[&package], User::ALICE)
            // Said in the log of the Qt that is replaced.
            .env("QSHM_LEFTOVER", "odd")
            .args([binding, "objects", "objects"])
            .run()
            .ok();
        assert_eq!(finished.lines.len(), 12, "{finished:?}");
        assert!(finished.stderr.contains("QSHM_LEFTOVER=odd is not"));
        world.assert_clean();
    }
}

/// System V and POSIX, safe and legacy; the objects go with their users.
#[test]
fn keys_of_qt_6_6_in_python_programs() {
    let Some(world) = World::new() else { return };
    let Some(package) = fetched("PyQt6-6.11") else {
        return;
    };
    // The folder of safe System V keys has to be private.
    let runtime = world.base().join("runtime");
    std::fs::create_dir(&runtime).expect("a folder of the world");
    std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).expect("ours");
    // POSIX objects are everybody's, so the name must be ours alone.
    let key = format!("qshm-test-{}", std::process::id());
    let finished = python(&world, &[&package], User::Root)
        .env("XDG_RUNTIME_DIR", &runtime)
        .args(["PyQt6", &key, "ipc-keys"])
        .run()
        .ok();
    assert_eq!(finished.lines.len(), 5, "{finished:?}");
    world.assert_clean();
    let left: Vec<_> = std::fs::read_dir(&runtime)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn qt5_and_qt6_in_one_process_share() {
    let Some(world) = World::new() else { return };
    for [one, other] in [["PyQt5", "PyQt6"], ["PySide6", "PyQt5"]] {
        let (Some(first), Some(second)) = (fetched(one), fetched(other)) else {
            continue;
        };
        let finished = python(&world, &[&first, &second], User::ALICE)
            .args([&format!("{one},{other}"), "both", "both"])
            .run()
            .ok();
        assert_eq!(finished.lines.len(), 5, "{finished:?}");
        world.assert_clean();
    }
}

/// Crashes as root by way of sudo and as root itself, and starts as the user.
fn report(world: &World, start: impl Fn(User, &str) -> Finished) {
    for root in [User::SUDO_ALICE, User::Root] {
        let crashed = start(root, "crash");
        assert_eq!(crashed.lines, ["number 0"], "{crashed:?}");
        assert!(!crashed.status.success(), "{crashed:?}");
        let started = start(User::ALICE, "once").ok();
        assert_eq!(started.lines, ["number 0", "ended"], "{started:?}");
        world.restart();
    }
}

/// The Python program of the tests, under the preload library.
fn python(world: &World, packages: &[&str], user: User) -> Launch {
    Launch::new(Path::new("/usr/bin/python3"), world.temp())
        .user(user)
        .env("LD_PRELOAD", preload())
        .env("PYTHONPATH", packages.join(":"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(repository().join("tests/programs/bindings.py"))
}

/// The folder of a version or of a Python package; `None` after saying why.
fn fetched(name: &str) -> Option<String> {
    match old_qt::fetched(name) {
        Ok(folder) => Some(folder.display().to_string()),
        Err(why) => {
            skipped(&why);
            None
        }
    }
}
