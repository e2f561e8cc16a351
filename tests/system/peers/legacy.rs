//! By the keys of `setKey()`: Qt 5 and 6 of the system, and those of other versions.

use super::{Side, both_ways};
use crate::support::{Build, User, World, old_qt, say, skipped};

#[test]
fn qt5_and_ours() {
    for user in [User::Root, User::ALICE] {
        both_ways(Side::new(Build::QT5, user), Side::new(Build::QSHM5, user));
    }
}

#[test]
fn qt6_and_ours() {
    for user in [User::Root, User::ALICE] {
        both_ways(Side::new(Build::QT6, user), Side::new(Build::QSHM6, user));
    }
}

#[test]
fn qt5_and_qt6_with_ours_on_either() {
    let user = User::ALICE;
    both_ways(Side::new(Build::QT5, user), Side::new(Build::QSHM6, user));
    both_ways(Side::new(Build::QSHM5, user), Side::new(Build::QT6, user));
}

#[test]
fn ours_with_each_other() {
    let user = User::ALICE;
    both_ways(Side::new(Build::QSHM5, user), Side::new(Build::QSHM6, user));
}

/// The drop-in and the preload library are one implementation.
#[test]
fn ours_under_the_preload_library() {
    let user = User::ALICE;
    let preloaded = Side::new(Build::PRELOAD5, user);
    both_ways(Side::new(Build::QT5, user), preloaded);
    both_ways(
        Side::new(Build::QT6, user),
        Side::new(Build::PRELOAD6, user),
    );
    both_ways(Side::new(Build::QSHM6, user), preloaded);
}

/// On each real Qt, whose own process is the peer.
#[test]
fn every_qt_and_ours_under_the_preload_library() {
    let user = User::ALICE;
    for version in old_qt::versions() {
        let folder = match old_qt::fetched(version) {
            Ok(folder) => folder.display().to_string(),
            Err(why) => {
                skipped(&why);
                continue;
            }
        };
        let (qts, ours) = if version.starts_with('5') {
            (Build::QT5, Build::PRELOAD5)
        } else {
            (Build::QT6, Build::PRELOAD6)
        };
        let on_it = |build| Side {
            variable: Some(("LD_LIBRARY_PATH", folder.as_str())),
            ..Side::new(build, user)
        };
        both_ways(on_it(qts), on_it(ours));
        say(&format!("Qt {version}: shares with ours"));
    }
}

/// What we hold the others to is what Qt does among its own.
#[test]
fn qt5_and_qt6() {
    let user = User::ALICE;
    both_ways(Side::new(Build::QT5, user), Side::new(Build::QT6, user));
}

/// Root by way of sudo shares with the user's process, which is real Qt.
#[test]
fn ours_by_sudo_and_the_users_qt() {
    both_ways(
        Side::new(Build::QSHM5, User::SUDO_ALICE),
        Side::new(Build::QT5, User::ALICE),
    );
}

/// Qt 5.0 to 5.8 make other keys; ours finds them on that Qt by itself, and on
/// a newer one when told.
#[test]
fn qt57_and_ours() {
    let folder = match old_qt::folder() {
        Ok(folder) => folder.display().to_string(),
        Err(why) => return skipped(&why),
    };
    let library = Some(("LD_LIBRARY_PATH", folder.as_str()));
    for user in [User::Root, User::ALICE] {
        let old = Side {
            variable: library,
            ..Side::new(Build::QT5, user)
        };
        let ours = Side::new(Build::QSHM5, user);
        for variable in [library, Some(("QSHM_QT", "5.7.1"))] {
            both_ways(old, Side { variable, ..ours });
        }
    }
}

/// The premise of the last test: that Qt does make other keys.
#[test]
fn qt57_makes_other_keys() {
    let folder = match old_qt::folder() {
        Ok(folder) => folder.display().to_string(),
        Err(why) => return skipped(&why),
    };
    let Some(world) = World::new() else { return };
    let new = Side::new(Build::QT5, User::Root);
    let old = Side {
        variable: Some(("LD_LIBRARY_PATH", &folder)),
        ..new
    };
    let mut running = old.start(&world);
    assert_eq!(running.ask("create 4"), "ok");
    let project = world.segments()[0].key >> 24;
    assert_ne!(project, u32::from(b'Q'));
    say(&format!(
        "Qt 5.7 made a segment with the project id {project:#x}"
    ));
    let mut other = new.start(&world);
    assert!(other.ask("attach").starts_with("error 5 "));
}
