//! What Qt's library exports of the two classes, the drop-in has.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Build, Qt, World, has_qt68, program};

/// What stays Qt's: data that describes the class, which `qobject_cast` and translations compare by
/// address.
const OF_QT: [&str; 4] = [
    "_ZN13QSharedMemory16staticMetaObjectE",
    "_ZN16QSystemSemaphore16staticMetaObjectE",
    "_ZTI13QSharedMemory",
    "_ZTS13QSharedMemory",
];

/// The builds with the drop-in whose Qt is there, each with that of Qt alone.
fn builds() -> Vec<(Build, Build)> {
    let mut builds = vec![(Build::QT5, Build::QSHM5), (Build::QT6, Build::QSHM6)];
    if has_qt68() {
        builds.push((Build::QT68, Build::QSHM68));
    }
    builds
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names that a file defines, for its users if it is a library.
fn defined(file: &PathBuf, dynamic: bool) -> BTreeSet<String> {
    let mut nm = Command::new("nm");
    nm.args(["--defined-only", "--extern-only", "--format=posix"]);
    let names = output(nm.args(dynamic.then_some("--dynamic")).arg(file));
    let names = names.lines().filter_map(|line| line.split(' ').next());
    // Of the dynamic ones some have a version behind.
    names
        .filter_map(|name| name.split('@').next())
        .map(str::to_owned)
        .collect()
}

/// The library of Qt that a program is linked with.
fn library(build: Build) -> PathBuf {
    let program = program("holder", build);
    let name = if build.qt == Qt::Five {
        "libQt5Core.so"
    } else {
        "libQt6Core.so"
    };
    let needed = output(Command::new("readelf").arg("--dynamic").arg(&program));
    let in_brackets = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
    // Qt 6.8 in its folder is found by the run path, the others in the system's.
    let path = needed.lines().find(|line| line.contains("(RPATH)"));
    let folders = path.and_then(in_brackets).unwrap_or_default();
    let file = needed
        .lines()
        .filter_map(in_brackets)
        .find(|needed| needed.starts_with(name))
        .unwrap();
    let folders = folders.split(':').filter(|folder| !folder.is_empty());
    let found = folders.map(|folder| PathBuf::from(folder).join(&file));
    if let Some(found) = found.clone().find(|path| path.exists()) {
        return found;
    }
    let listed = output(
        Command::new("ldconfig")
            .arg("--print-cache")
            .env("PATH", "/sbin:/usr/sbin"),
    );
    let line = listed.lines().find(|line| line.trim().starts_with(&file));
    line.and_then(|line| line.split_once("=> "))
        .unwrap()
        .1
        .into()
}

/// The members of the two classes; `QNativeIpcKey` is a value, and Qt's own in any case.
fn is_member(name: &str) -> bool {
    ["13QSharedMemory", "16QSystemSemaphore"]
        .iter()
        .any(|class| {
            ["_ZN", "_ZNK", "_ZTV", "_ZTI", "_ZTS"].iter().any(|kind| {
                name.strip_prefix(kind)
                    .is_some_and(|rest| rest.starts_with(class))
            })
        })
}

#[test]
fn every_member_that_qt_exports_is_in_the_drop_in() {
    for (_, build) in builds() {
        let ours = defined(&program("holder", build), false);
        let theirs = defined(&library(build), true);
        let members: Vec<&String> = theirs.iter().filter(|name| is_member(name)).collect();
        assert!(members.len() > 30, "{build:?}: {members:?}");
        let missing: Vec<&&String> = members
            .iter()
            .filter(|name| !ours.contains(**name) && !OF_QT.contains(&name.as_str()))
            .collect();
        assert!(missing.is_empty(), "{build:?}: {missing:?}");
    }
}

/// Also those that the headers have no more.
#[test]
fn members_that_were_removed_from_the_headers_do_what_qts_do() {
    let Some(world) = World::new() else { return };
    for (qt, ours) in builds() {
        let run = |build| {
            let path = world.temp().join("native");
            let finished = world.launch("exports", build).arg(&path).run().ok();
            world.restart();
            finished.lines.join("\n")
        };
        let expected = run(qt);
        assert!(expected.contains("create 1"), "{qt:?}: {expected}");
        assert_eq!(run(ours), expected, "{ours:?}");
    }
}
