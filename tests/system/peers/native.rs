//! Qt 6.6 and later, by each kind of key: the system's 6.8, the newest, and the newest in Python,
//! beside the drop-in, which is compiled for 6.8.

use super::{Kind, Side, both_ways};
use crate::support::under_test::soak_seconds;
use crate::support::{Build, User, has_qt68, old_qt, say, skipped};

const ALICE: User = User::ALICE;
const QT: Side = Side::new(Build::QT68, ALICE);
const OURS: Side = Side::new(Build::QSHM68, ALICE);

#[test]
fn qt68_and_ours() {
    if !has_qt68() {
        return;
    }
    both_ways(QT, OURS);
    both_ways(QT, Side::new(Build::QSHM5, ALICE));
    both_ways(Side::new(Build::QT5, ALICE), OURS);
}

#[test]
fn qt68_and_ours_posix() {
    if has_qt68() {
        for user in [ALICE, User::Root] {
            let [qt, ours] = [QT, OURS].map(|side| Side { user, ..side }.with(Kind::Posix));
            both_ways(qt, ours);
        }
    }
}

#[test]
fn qt68_and_ours_native_system_v() {
    if has_qt68() {
        both_ways(QT.with(Kind::SystemV), OURS.with(Kind::SystemV));
    }
}

#[test]
fn ours_with_each_other_by_native_keys() {
    if has_qt68() {
        for kind in [Kind::Posix, Kind::SystemV] {
            both_ways(OURS.with(kind), OURS.with(kind));
            both_ways(
                OURS.with(kind),
                Side::new(Build::PRELOAD68, ALICE).with(kind),
            );
        }
    }
}

/// On the newest Qt, either of the two; and both, with `QSHM_SOAK`.
#[test]
fn the_newest_qt_and_ours() {
    if !has_qt68() {
        return;
    }
    let library = match old_qt::fetched("6.11.2") {
        // Where the programs find Qt is written in them, so not by LD_LIBRARY_PATH.
        Ok(folder) => folder.join("libQt6Core.so.6").display().to_string(),
        Err(why) => return skipped(&why),
    };
    let on_it = |side| Side {
        variable: Some(("LD_PRELOAD", library.as_str())),
        ..side
    };
    for kind in Kind::ALL {
        both_ways(on_it(QT).with(kind), OURS.with(kind));
        if soak_seconds().is_some() {
            both_ways(on_it(QT).with(kind), on_it(OURS).with(kind));
        }
    }
    // What is compiled for 6.8 runs there, too.
    both_ways(QT.with(Kind::Posix), on_it(OURS).with(Kind::Posix));
    say("Qt 6.11.2: shares with ours, by each kind of key");
}

/// The real classes, driven from Python; by another binding, too, with `QSHM_SOAK`.
#[test]
fn python_and_ours() {
    if !has_qt68() {
        return;
    }
    let mut packages = vec![("PySide6-6.11", "PySide6")];
    if soak_seconds().is_some() {
        packages.push(("PyQt6-6.11", "PyQt6"));
    }
    for (name, package) in packages {
        let folder = match old_qt::fetched(name) {
            Ok(folder) => folder,
            Err(why) => {
                skipped(&why);
                continue;
            }
        };
        let python = Side {
            python: Some((package, &folder)),
            ..QT
        };
        for kind in Kind::ALL {
            both_ways(python.with(kind), OURS.with(kind));
        }
        say(&format!("{name}: shares with ours, by each kind of key"));
    }
}
