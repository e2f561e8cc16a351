//! What `qshm repair` removes, and what it leaves.

use std::os::unix::fs::symlink;

use crate::bench::{Bench, TEMP, code, text};
use crate::support::planted;
use crate::support::under_test::{seed, soak_seconds};
use crate::support::{Build, Launch, User, has_qt68};
use std::path::Path;
use std::time::Duration;

#[test]
fn what_is_live_is_left_alone_also_if_named() {
    let Some(bench) = Bench::new() else { return };
    let mut live = bench.running(Build::QT5, User::ALICE, "Logic", 4);
    let mut semaphore = bench
        .world
        .launch_as("holder", Build::QT6, User::ALICE)
        .start();
    assert_eq!(semaphore.ask("sem signal 3 create"), "ok");
    for user in [User::Root, User::ALICE] {
        for (arguments, expected) in [
            (vec!["repair", "--yes"], 0),
            (vec!["repair", "--yes", "Logic", "signal", "Logic"], 1),
        ] {
            let done = bench.qshm(user, &arguments);
            code(&done, expected);
            let said = done.lines.iter().filter(|line| line.starts_with("Logic:"));
            // The temp directory has two paths here.
            assert!(said.count() <= 2, "{done:#?}");
            assert_eq!(bench.world.segments().len(), 1);
            assert_eq!(bench.world.semaphores().len(), 2);
        }
    }
    assert_eq!(live.ask("lock"), "ok");
    assert_eq!(semaphore.ask("acquire"), "ok");
}

/// One who is inside Qt's lock without being attached: it is making a segment, or takes its time.
#[test]
fn a_leftover_whose_lock_is_held_is_left_alone() {
    let Some(bench) = Bench::new() else { return };
    let mut holder = bench.running(Build::QT5, User::ALICE, "Logic", 4);
    bench.leftover_of_lock(&mut holder);
    // That one, and the new one.
    assert_eq!(bench.world.segments().len(), 2);
    let refused = bench.qshm(User::ALICE, &["repair", "--yes"]);
    code(&refused, 1);
    assert!(text(&refused).contains("inside its lock"), "{refused:#?}");
    assert_eq!(bench.world.segments().len(), 2);
    assert_eq!(holder.ask("unlock"), "ok");
    code(&bench.qshm(User::ALICE, &["repair", "--yes"]), 0);
    assert_eq!(bench.world.segments().len(), 1);
}

#[test]
fn what_is_not_qts_is_left_alone() {
    let Some(bench) = Bench::new() else { return };
    // Unattached, with a key like those of Qt, and with keys of its own.
    let device = planted::key_of(bench.world.temp()) & 0x00ff_0000;
    planted::make_segment(0x5100_0000 | device | 0xfffe, 4, 0o600, 0);
    planted::make_segment(0x1234_5678, 4, 0o600, 0);
    planted::make_semaphore(0x1234_5678, 1, 0o600, Some(1));
    // A pair of POSIX objects of somebody else's program.
    for (name, size) in [("other", 4), ("sem.other", 32)] {
        std::fs::write(Path::new("/dev/shm").join(name), vec![0; size]).unwrap();
    }
    // A symbolic link, a directory and a file with contents where key files should be.
    let name = |key: &str| {
        let said = text(&bench.qshm(User::Root, &["key", key]).ok());
        let line = said.lines().next().unwrap();
        line.strip_prefix("segment file").unwrap().trim().to_owned()
    };
    symlink("/etc/passwd", name("link")).unwrap();
    std::fs::create_dir(name("folder")).unwrap();
    std::fs::write(name("file"), "contents").unwrap();
    bench.qshm(User::Root, &["repair", "--yes"]);
    bench.qshm(User::Root, &["repair", "--yes", "link", "folder", "file"]);
    assert_eq!(bench.world.segments().len(), 2);
    assert_eq!(bench.world.semaphores().len(), 1);
    assert_eq!(bench.world.files().len(), 3);
    assert!(Path::new("/dev/shm/other").exists() && Path::new("/dev/shm/sem.other").exists());
    let told = bench.qshm(User::Root, &["explain", "link"]);
    assert!(text(&told).contains("is a symbolic link"), "{told:#?}");
}

/// The semaphore that is left when somebody removed the segment alone: only a name makes it a
/// matter for repair.
#[test]
fn a_semaphore_without_segment_goes_if_it_is_named() {
    let Some(bench) = Bench::new() else { return };
    bench.leftover(Build::QT5, User::Root, "Logic");
    crate::support::planted::remove_segment(bench.world.segments()[0].id);
    let status = text(&bench.qshm(User::ALICE, &["status"]));
    assert!(status.contains("semaphore without"), "{status}");
    let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
    code(&told, 1);
    assert!(text(&told).contains("sudo qshm repair Logic"), "{told:#?}");
    // As its owner, in whose way it is not.
    let unnamed = text(&bench.qshm(User::Root, &["repair", "--yes"]));
    assert!(
        unnamed.contains("goes only if its key is named"),
        "{unnamed}"
    );
    assert_eq!(bench.world.semaphores().len(), 1);
    let done = bench.alone(&["repair", "--yes", "Logic"]);
    assert!(text(&done).contains("removed semaphore"), "{done:#?}");
    bench.world.assert_clean();
}

/// The path of a Qt key's own file is the same thing, once.
#[test]
fn a_key_file_names_its_pair() {
    let Some(bench) = Bench::new() else { return };
    for turn in 0..2 {
        bench.leftover(Build::QT5, User::Root, "Logic");
        let mut files = bench.world.files();
        files.sort();
        let path = format!("{TEMP}/{}", files[turn]);
        let told = text(&bench.qshm(User::Root, &["explain", &path]));
        assert!(!told.contains("6.6 or later"), "{told}");
        let done = bench.qshm(User::Root, &["repair", "--yes", &path]);
        code(&done, 0);
        assert_eq!(done.lines.len(), 4, "{done:#?}");
        bench.world.assert_clean();
    }
}

/// A typing error must not remove what was to be kept.
#[test]
fn a_policy_that_is_not_understood_removes_nothing() {
    let Some(bench) = Bench::new() else { return };
    bench.leftover(Build::QT5, User::Root, "Logic");
    let wrong = |arguments: &[&str]| {
        let command = bench.command(User::Root, arguments);
        command.env("QSHM_LEFTOVER", "KEEP").run()
    };
    let refused = wrong(&["repair", "--yes", "Logic"]);
    code(&refused, 2);
    let said = "QSHM_LEFTOVER=KEEP is not understood";
    assert!(refused.stderr.contains(said), "{refused:#?}");
    assert_eq!(bench.world.segments().len(), 1);
    let looked = wrong(&["status"]);
    code(&looked, 0);
    assert!(looked.stderr.contains(said), "{looked:#?}");
}

#[test]
fn nobody_is_asked_where_nobody_is() {
    let Some(bench) = Bench::new() else { return };
    bench.leftover(Build::QT5, User::Root, "Logic");
    let refused = bench.qshm(User::Root, &["repair"]);
    code(&refused, 3);
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:#?}");
    assert_eq!(bench.world.segments().len(), 1);
    // On a terminal somebody is, who may say no, or yes.
    for (answer, left) in [("n", 1), ("", 1), ("y", 0)] {
        let command = format!("{} repair Logic", env!("CARGO_BIN_EXE_qshm"));
        let mut asked = Launch::new(Path::new("/usr/bin/script"), Path::new(TEMP))
            .args(["-qec", &command, "/dev/null"])
            .start();
        asked.say(answer);
        let done = asked.finish(crate::support::DEADLINE);
        assert!(text(&done).contains("This will be removed"), "{done:#?}");
        assert!(text(&done).contains("  Logic: segment"), "{done:#?}");
        assert_eq!(bench.world.segments().len(), left, "{answer:?}: {done:#?}");
    }
}

/// Repair in a loop, while applications start and end: none fails, none gets another's number.
#[test]
fn races_with_starting_applications_lose_nothing() {
    for build in [Build::QSHM5, Build::QSHM6] {
        repair_against_the_storm(build, "", "rounds=40", "Logic");
    }
}

/// The same with POSIX keys.
#[test]
fn races_with_posix_keys_lose_nothing() {
    if has_qt68() {
        repair_against_the_storm(Build::QSHM68, "posix:", "rounds=25", "posix:/storm");
    }
}

/// `kind` is what the storm's keys begin with, and `key` is one to be named to repair.
fn repair_against_the_storm(build: Build, kind: &str, rounds: &str, key: &str) {
    let Some(bench) = Bench::new() else { return };
    let seconds = soak_seconds().map(|all| all / 3);
    let mut launch = bench
        .world
        .launch("storm", build)
        .env("TMPDIR", TEMP)
        .env("QSHM_TEST_KIND", kind)
        .arg(rounds)
        .arg(format!("seed={}", seed()))
        .args(["kill=1", "users=1"]);
    if let Some(seconds) = seconds {
        launch = launch.arg(format!("seconds={seconds}"));
    }
    let mut storm = launch.start();
    let mut repairs = 0;
    let deadline = std::time::Instant::now() + Duration::from_secs(seconds.unwrap_or(0) + 240);
    while storm.wait_within(Duration::ZERO).is_none() {
        // Two at once, as root and as one of the users; named, and by itself.
        let root = bench.command(User::Root, &["repair", "--yes", key]).start();
        let alice = bench.command(User::ALICE, &["repair", "--yes"]).start();
        for repair in [root, alice] {
            let done = repair.finish(crate::support::DEADLINE);
            assert!(matches!(done.status.code(), Some(0 | 1)), "{done:#?}");
            repairs += 1;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the storm does not end"
        );
    }
    let finished = storm.finish(crate::support::DEADLINE).ok();
    crate::support::say(&format!("{} repairs, {:?}", repairs, finished.lines.last()));
    assert!(repairs > 2);
    bench.qshm(User::Root, &["repair", "--yes", key]);
    bench.qshm(User::Root, &["repair", "--yes"]);
    assert!(bench.world.segments().is_empty(), "{}", bench.world.state());
    let objects = bench.world.objects();
    assert!(objects.is_empty(), "{objects:?}");
}

/// Processes with Qt alone, which hold no lock of ours, and others with qshm: who has a POSIX
/// segment keeps it, and whoever comes finds it.
#[test]
fn nobody_loses_a_posix_segment_that_qt_made() {
    let Some(bench) = has_qt68().then(Bench::new).flatten() else {
        return;
    };
    let start = |build: Build| {
        let mut running = bench.holder(build, User::ALICE).start();
        assert_eq!(running.ask("key posix:Logic"), "/Logic");
        running
    };
    let ended = bench.world.base().join("ended");
    let script = "while ! [ -e \"$1\" ]; do \"$0\" repair --yes posix:/Logic; done";
    let looping = |user| {
        Launch::new(Path::new("/bin/sh"), Path::new(TEMP))
            .user(user)
            .args(["-c", script, env!("CARGO_BIN_EXE_qshm")])
            .arg(&ended)
            .start()
    };
    let repairs = [looping(User::Root), looping(User::ALICE)];
    let deadline =
        soak_seconds().map(|all| std::time::Instant::now() + Duration::from_secs(all / 3));
    let mut rounds = 0;
    while rounds < 25 || deadline.is_some_and(|end| std::time::Instant::now() < end) {
        rounds += 1;
        let second = if rounds % 2 == 0 {
            Build::QT68
        } else {
            Build::QSHM68
        };
        let (mut first, mut second) = (start(Build::QT68), start(second));
        // What the last round left is there, or is gone by now.
        let mut attempts = 0;
        while first.ask("create 4") != "ok" && first.ask("attach") != "ok" {
            attempts += 1;
            assert!(attempts < 100, "neither made nor attached");
        }
        assert_eq!(first.ask(&format!("put {rounds}")), "ok");
        assert_eq!(
            second.ask("attach"),
            "ok",
            "{rounds}: {}",
            bench.world.state()
        );
        assert_eq!(second.ask("get"), rounds.to_string());
        assert_eq!(second.ask("lock"), "ok");
        assert_eq!(second.ask("unlock"), "ok");
        for mut one in [first, second] {
            one.say("quit");
            one.finish(crate::support::DEADLINE).ok();
        }
    }
    std::fs::write(&ended, "").unwrap();
    let done = repairs.map(|repair| repair.finish(crate::support::DEADLINE));
    assert!(done.iter().all(|loops| loops.status.code().is_some()));
    let lines = done.iter().flat_map(|loops| &loops.lines);
    let removed = lines.filter(|line| line.contains("removed segment"));
    let removed = removed.count();
    crate::support::say(&format!("{removed} leftovers removed in {rounds} rounds"));
    assert!(removed > 0);
    bench.qshm(User::Root, &["repair", "--yes", "posix:/Logic"]);
    assert!(bench.world.objects().is_empty(), "{}", bench.world.state());
}
