//! What `qshm explain` knows and names.

use std::fs;
use std::path::Path;

use crate::bench::{Bench, TEMP, code, text};
use crate::support::{Build, Launch, User};

#[test]
fn another_users_live_application() {
    let Some(bench) = Bench::new() else { return };
    let live = bench.running(Build::QT5, User::BOB, "Logic", 4);
    let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
    code(&told, 1);
    let said = text(&told);
    assert!(said.contains("live application"), "{said}");
    // Root sees who it is.
    let said = text(&bench.qshm(User::Root, &["explain", "Logic"]));
    assert!(said.contains(&format!("pid {}", live.pid())), "{said}");
    assert!(said.contains("holder-qt"), "{said}");
}

#[test]
fn a_holder_that_is_stopped() {
    let Some(bench) = Bench::new() else { return };
    let mut holder = bench.running(Build::QT5, User::ALICE, "Logic", 4);
    assert_eq!(holder.ask("lock"), "ok");
    holder.stop();
    let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
    code(&told, 1);
    let said = text(&told);
    assert!(said.contains("You can't use it now"), "{said}");
    assert!(said.contains("stopped, not dead"), "{said}");
    assert!(
        said.contains(&format!("kill -CONT {}", holder.pid())),
        "{said}"
    );
    holder.go_on();
    assert_eq!(holder.ask("unlock"), "ok");
}

/// What logind does to a user's objects at the end of the last session.
#[test]
fn a_segment_that_was_removed_in_use() {
    let Some(bench) = Bench::new() else { return };
    let _live = bench.running(Build::QT5, User::ALICE, "Logic", 4);
    crate::support::planted::remove_segment(bench.world.segments()[0].id);
    let said = text(&bench.qshm(User::ALICE, &["explain", "Logic"]));
    assert!(
        said.contains("removed while processes are attached"),
        "{said}"
    );
    let status = text(&bench.qshm(User::ALICE, &["status"]));
    assert!(status.contains("live, removed"), "{status}");
}

/// The caller counts, in the first line as in the rest.
#[test]
fn under_sudo_a_leftover_of_root_is_in_the_callers_way() {
    let Some(bench) = Bench::new() else { return };
    bench.leftover(Build::QT5, User::Root, "Logic");
    let told = bench.qshm(User::SUDO_ALICE, &["explain", "Logic"]);
    code(&told, 1);
    assert!(text(&told).contains("may not use it"), "{told:#?}");
}

/// 0 is what a semaphore that signals begins with.
#[test]
fn a_semaphore_with_value_0_is_not_held() {
    let Some(bench) = Bench::new() else { return };
    let mut program = bench.holder(Build::QT5, User::ALICE).start();
    assert_eq!(program.ask("sem signal 0 create"), "ok");
    let said = text(&bench.qshm(User::Root, &["explain", "signal"]));
    assert!(said.contains("Its value is 0"), "{said}");
    assert!(!said.contains("held by"), "{said}");
    let left = text(&bench.qshm(User::Root, &["repair", "--yes", "signal"]));
    assert!(left.contains("may have it open"), "{left}");
}

#[test]
fn a_directory_that_takes_no_key_files() {
    let Some(bench) = Bench::new() else { return };
    let closed = bench.world.base().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for (user, temp) in [
        (User::Root, Path::new("/proc")),
        (User::ALICE, &closed),
        (User::SUDO_ALICE, &closed),
        (User::Root, Path::new("/nonexistent")),
    ] {
        let command = bench.command(user, &["explain", "Logic"]);
        let told = command.env("TMPDIR", temp).run();
        code(&told, 1);
        let said = format!("can't make a key file in {}", temp.display());
        assert!(text(&told).contains(&said), "{told:#?}");
    }
    // It is named also where files of the key are in another, which some program has.
    let _live = bench.running(Build::QT5, User::ALICE, "Elsewhere", 4);
    let command = bench.command(User::ALICE, &["explain", "Elsewhere"]);
    let said = text(&command.env("TMPDIR", "/nonexistent").run());
    let here = "the temp directory here is /nonexistent.";
    assert!(said.contains(here), "{said}");
    code(&bench.qshm(User::Root, &["explain", "/nonexistent/x"]), 1);
    code(&bench.qshm(User::ALICE, &["explain", "Logic"]), 0);
}

/// Qt makes a key of whatever stands there, unless it is a link that leads nowhere.
#[test]
fn files_that_are_no_key_files() {
    let Some(bench) = Bench::new() else { return };
    let path = |key: &str| {
        let said = text(&bench.qshm(User::Root, &["key", key]).ok());
        let line = said.lines().next().unwrap();
        line.strip_prefix("segment file").unwrap().trim().to_owned()
    };
    let link = std::os::unix::fs::symlink::<&str, String>;
    link("/etc/passwd", path("link")).unwrap();
    link("/nonexistent", path("nowhere")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("content"), "x").unwrap();
    for (key, expected) in [("link", 0), ("folder", 0), ("content", 0), ("nowhere", 1)] {
        let told = bench.qshm(User::ALICE, &["explain", key]);
        code(&told, expected);
        let said = text(&told);
        assert_eq!(
            said.contains("Qt alone does not mind"),
            expected == 0,
            "{said}"
        );
        assert_eq!(said.contains("rm -r "), key == "folder", "{said}");
        // With real Qt it is so.
        let mut program = bench.holder(Build::QT5, User::Root).start();
        program.ask(&format!("key {key}"));
        assert_eq!(program.ask("create 4") == "ok", expected == 0, "{key}");
        program.ask("detach");
    }
    // Somebody's own file of any name is not to be removed.
    let own = bench.world.base().join("mykey");
    fs::write(&own, "x").unwrap();
    let said = text(&bench.qshm(User::Root, &["explain", own.to_str().unwrap()]));
    assert!(!said.contains("rm "), "{said}");
}

#[test]
fn limits_that_are_reached() {
    let Some(bench) = Bench::new() else { return };
    let limit = |name: &str| Path::new("/proc/sys/kernel").join(name);
    // They are those of the namespace.
    for (name, value, said) in [
        ("shmmni", "1", "1 of 1 (SHMMNI)"),
        ("sem", "32000 1024000000 500 1", "1 of 1 (SEMMNI)"),
        ("shmall", "1", "1 of 1 (SHMALL)"),
    ] {
        let before = fs::read_to_string(limit(name)).unwrap();
        let live = bench.running(Build::QT5, User::Root, "other", 4);
        fs::write(limit(name), value).unwrap();
        let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
        fs::write(limit(name), before).unwrap();
        drop(live);
        code(&told, 1);
        assert!(text(&told).contains(said), "{told:#?}");
        bench.world.restart();
    }
}

#[test]
fn another_temp_directory() {
    let Some(bench) = Bench::new() else { return };
    let other = bench.world.base().join("other");
    fs::create_dir(&other).unwrap();
    let mut live = bench.holder(Build::QT5, User::ALICE);
    fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    live = live.env("TMPDIR", &other);
    let mut live = live.start();
    live.ask("key Logic");
    assert_eq!(live.ask("create 4"), "ok");
    let said = text(&bench.qshm(User::SUDO_ALICE, &["explain", "Logic"]));
    assert!(
        said.contains(&format!("Key files of it are in {}", other.display())),
        "{said}"
    );
    assert!(said.contains("sudo does not pass TMPDIR on"), "{said}");
    // Also before there is a key file.
    let said = text(&bench.qshm(User::SUDO_ALICE, &["explain", "new"]));
    assert!(
        said.contains(&format!("TMPDIR={}", other.display())),
        "{said}"
    );
}

#[test]
fn a_key_file_that_is_gone() {
    let Some(bench) = Bench::new() else { return };
    for (build, library) in [
        (Build::QT5, None),
        (Build::QT5, Some(crate::support::old_qt::folder())),
    ] {
        match library {
            None => bench.leftover(build, User::Root, "Logic"),
            Some(Ok(library)) => bench.leftover_on(&library, build, User::Root, "Logic"),
            Some(Err(why)) => return crate::support::skipped(&why),
        }
        for file in bench.world.files() {
            fs::remove_file(bench.world.temp().join(file)).unwrap();
        }
        let said = text(&bench.qshm(User::Root, &["explain", "Logic"]));
        for key in [
            bench.world.segments()[0].key,
            bench.world.semaphores()[0].key,
        ] {
            assert!(said.contains(&format!("{key:#010x}")), "{said}");
        }
        let unseen = "not in any temp directory that can be seen";
        assert!(said.contains(unseen), "{said}");
        // The next key file may have the number of the old one.
        let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
        code(&told, 1);
        assert!(text(&told).contains("You may not be able to"), "{told:#?}");
        // It is only a guess: nothing is removed.
        let left = bench.qshm(User::Root, &["repair", "--yes", "Logic"]);
        code(&left, 1);
        assert!(text(&left).contains("qshm explain"), "{left:#?}");
        assert_eq!(bench.world.segments().len(), 1);
        bench.world.restart();
    }
}

/// Its own IPC namespace and the same temp directory, as some containers have it.
#[test]
fn another_ipc_namespace() {
    let Some(bench) = Bench::new() else { return };
    let program = crate::support::program("holder", Build::QT5);
    let mut inside = Launch::new(Path::new("/usr/bin/unshare"), Path::new(TEMP))
        .arg("--ipc")
        .arg(program)
        .start();
    inside.ask("key Logic");
    assert_eq!(inside.ask("create 4"), "ok");
    let said = text(&bench.qshm(User::Root, &["explain", "Logic"]));
    assert!(said.contains("another IPC namespace"), "{said}");
    // Its key files lead to nothing here, and stay all the same.
    bench.qshm(User::Root, &["repair", "--yes", "Logic"]);
    assert_eq!(bench.world.files().len(), 2, "{}", bench.world.state());
}

/// The objects here are a leftover; the files are also those of a live application elsewhere,
/// whose lock would be another one than that of who starts next.
#[test]
fn key_files_that_another_ipc_namespace_shares_stay() {
    let Some(bench) = Bench::new() else { return };
    bench.leftover(Build::QT5, User::Root, "Logic");
    let program = crate::support::program("holder", Build::QT5);
    let mut inside = Launch::new(Path::new("/usr/bin/unshare"), Path::new(TEMP))
        .arg("--ipc")
        .arg(program)
        .start();
    inside.ask("key Logic");
    assert_eq!(inside.ask("create 4"), "ok");
    let files = bench.world.files();
    let done = bench.qshm(User::Root, &["repair", "--yes", "Logic"]);
    assert!(text(&done).contains("removed segment"), "{done:#?}");
    assert!(bench.world.semaphores().is_empty(), "{done:#?}");
    assert_eq!(bench.world.files(), files, "{done:#?}");
    assert_eq!(inside.ask("lock"), "ok");
    assert_eq!(inside.ask("unlock"), "ok");
}

#[test]
fn another_mount_namespace() {
    let Some(bench) = Bench::new() else { return };
    let program = crate::support::program("holder", Build::QT5);
    let temp = Path::new(TEMP);
    let script = "mount -t tmpfs tmpfs \"$TMPDIR\" && exec \"$0\"";
    let mut inside = Launch::new(Path::new("/usr/bin/unshare"), temp)
        .args(["--mount", "sh", "-c", script])
        .arg(program)
        .start();
    inside.ask("key Logic");
    assert_eq!(inside.ask("create 4"), "ok");
    let said = text(&bench.qshm(User::Root, &["explain", "Logic"]));
    assert!(said.contains("another mount namespace"), "{said}");
}

/// A cleaner of temporary files has been there. Programs with qshm keep the files open.
#[test]
fn a_key_file_that_was_deleted_in_use() {
    let Some(bench) = Bench::new() else { return };
    let mut live = bench.holder(Build::QSHM5, User::ALICE).start();
    live.ask("key Logic");
    assert_eq!(live.ask("create 4"), "ok");
    for file in bench.world.files() {
        fs::remove_file(bench.world.temp().join(file)).unwrap();
    }
    let said = text(&bench.qshm(User::ALICE, &["explain", "Logic"]));
    assert!(said.contains("deleted while processes use it"), "{said}");
    let status = text(&bench.qshm(User::ALICE, &["status"]));
    assert!(status.contains("Logic  live"), "{status}");
    bench.qshm(User::Root, &["repair", "--yes", "Logic"]);
    assert_eq!(bench.world.segments().len(), 1);
}

/// One that stopped between two steps keeps the others from making, attaching and detaching.
#[test]
fn a_process_that_stopped_in_the_middle() {
    let Some(bench) = Bench::new() else { return };
    bench.leftover(Build::QT5, User::ALICE, "Logic");
    let name = bench
        .world
        .files()
        .into_iter()
        .find(|name| name.starts_with("qipc_sharedmemory_"))
        .unwrap();
    let script = "import fcntl, sys\nfile = open(sys.argv[1])\n\
                  fcntl.flock(file, fcntl.LOCK_EX)\nprint('locked', flush=True)\ninput()";
    let mut stopped = Launch::new(Path::new("/usr/bin/python3"), Path::new(TEMP))
        .user(User::ALICE)
        .args(["-c", script])
        .arg(bench.world.temp().join(name))
        .start();
    assert_eq!(stopped.line(), "locked");
    stopped.stop();
    let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
    code(&told, 1);
    let said = text(&told);
    assert!(!said.contains("You can use it"), "{said}");
    assert!(said.contains("is stopped, not dead"), "{said}");
    assert!(
        said.contains(&format!("kill -CONT {}", stopped.pid())),
        "{said}"
    );
    let refused = bench.qshm(User::ALICE, &["repair", "--yes"]);
    assert!(text(&refused).contains("in use"), "{refused:#?}");
    assert_eq!(bench.world.segments().len(), 1);
    stopped.go_on();
    stopped.kill_and_wait();
    code(&bench.qshm(User::ALICE, &["repair", "--yes"]), 0);
    bench.world.assert_clean();
}
