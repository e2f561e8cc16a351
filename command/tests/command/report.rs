//! The report's state: root's segment of four bytes and its semaphore, left by a crash, found,
//! explained and repaired, on each version of Qt.

use std::path::PathBuf;

use crate::bench::{Bench, code, text};
use crate::snapshot::same;
use crate::support::{Build, User, old_qt, skipped};

/// A version of Qt: the program and the library that it runs on, if that is another one than it
/// was built with.
struct Qt {
    name: &'static str,
    build: Build,
    library: Option<PathBuf>,
}

/// Those that can be had here.
fn all() -> Vec<Qt> {
    let mut found = Vec::new();
    for (name, build, library) in [
        ("5.7", Build::QT5, Some(old_qt::folder())),
        ("5.15", Build::QT5, None),
        ("6.4", Build::QT6, None),
        ("6.8", Build::QT6, Some(old_qt::fetched("6.8.2"))),
    ] {
        match library.transpose() {
            Ok(library) => found.push(Qt {
                name,
                build,
                library,
            }),
            Err(why) => skipped(&why),
        }
    }
    found
}

fn crash(bench: &Bench, qt: &Qt, user: User) {
    match &qt.library {
        Some(library) => bench.leftover_on(library, qt.build, user, "Logic"),
        None => bench.leftover(qt.build, user, "Logic"),
    }
    assert_eq!(bench.world.segments().len(), 1);
    assert_eq!(bench.world.semaphores().len(), 1);
    assert_eq!(bench.world.segments()[0].size, 4);
}

/// The next user can't start with Qt alone, and then can.
fn starts(bench: &Bench, qt: &Qt) -> String {
    let mut launch = bench.holder(qt.build, User::ALICE);
    if let Some(library) = &qt.library {
        launch = launch.env("LD_LIBRARY_PATH", library);
    }
    let mut program = launch.start();
    program.ask("key Logic");
    program.ask("create 4")
}

#[test]
fn of_every_qt() {
    for qt in all() {
        let Some(bench) = Bench::new() else { return };
        crash(&bench, &qt, User::Root);
        let hashed = qt.name == "5.7";
        let project = bench.world.segments()[0].key >> 24;
        assert_eq!(project != u32::from(b'Q'), hashed, "{project:x}");
        assert!(starts(&bench, &qt).starts_with("error 1 "), "{}", qt.name);

        let name = |what: &str| format!("{what}-{}.txt", qt.name);
        let status = bench.qshm(User::ALICE, &["status"]);
        code(&status, 0);
        same(&name("status"), &text(&status));
        let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
        code(&told, 1);
        same(&name("explain"), &text(&told));

        // A stranger can't remove it, and root can.
        let refused = bench.qshm(User::ALICE, &["repair", "--yes", "Logic"]);
        code(&refused, 1);
        same(&name("repair-refused"), &text(&refused));
        let planned = bench.qshm(User::Root, &["repair", "--dry-run"]);
        code(&planned, 0);
        assert_eq!(bench.world.segments().len(), 1, "--dry-run removed it");
        let done = bench.qshm(User::Root, &["repair", "--yes"]);
        code(&done, 0);
        same(&name("repair"), &text(&done));
        bench.world.assert_clean();
        assert_eq!(starts(&bench, &qt), "ok", "{}", qt.name);
        bench.world.restart();
    }
}

/// Each of the two keys of a Qt before 5.9 has a first byte of its own, and both are found.
#[test]
fn of_an_old_qt_has_two_first_bytes() {
    let library = match old_qt::folder() {
        Ok(folder) => folder,
        Err(why) => return skipped(&why),
    };
    let Some(bench) = Bench::new() else { return };
    bench.leftover_on(&library, Build::QT5, User::Root, "Logic");
    let segment = bench.world.segments()[0].key;
    let semaphore = bench.world.semaphores()[0].key;
    assert_ne!(segment >> 24, semaphore >> 24);
    let told = text(&bench.qshm(User::Root, &["explain", "Logic"]));
    for key in [segment, semaphore] {
        assert!(told.contains(&format!("{key:#010x}")), "{told}");
    }
}

/// Its owner may remove what it left, and another user may not.
#[test]
fn of_a_user_is_repaired_by_that_user() {
    let Some(bench) = Bench::new() else { return };
    bench.leftover(Build::QT5, User::ALICE, "Logic");
    let refused = bench.qshm(User::BOB, &["repair", "--yes"]);
    code(&refused, 1);
    assert!(text(&refused).contains("needs root"), "{refused:#?}");
    assert_eq!(bench.world.segments().len(), 1);
    let done = bench.qshm(User::ALICE, &["repair", "--yes"]);
    code(&done, 0);
    bench.world.assert_clean();
}
