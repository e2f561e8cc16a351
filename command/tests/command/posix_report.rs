//! The report's state with the POSIX keys of Qt 6.8: root ran a program once, which leaves its
//! segment even when it ends well, and no user can start it from then on.

use crate::bench::{Bench, code, text};
use crate::snapshot::same;
use crate::support::{Build, User, has_qt68};

fn bench() -> Option<Bench> {
    if has_qt68() { Bench::new() } else { None }
}

/// A program with Qt 6.8, as root, that made a segment.
fn root_ran(bench: &Bench, crash: bool) {
    let mut root = bench.holder(Build::QT68, User::Root).start();
    assert_eq!(root.ask("key posix:Logic"), "/Logic");
    assert_eq!(root.ask("create 4"), "ok");
    if crash {
        assert_eq!(root.ask("lock"), "ok");
        root.kill_and_wait();
    } else {
        root.say("quit");
        root.finish(crate::support::DEADLINE).ok();
    }
}

fn starts(bench: &Bench, user: User) -> String {
    let mut program = bench.holder(Build::QT68, user).start();
    program.ask("key posix:Logic");
    program.ask("create 4")
}

#[test]
fn of_a_run_that_ended_well_and_of_a_crash() {
    for (crash, what) in [(false, "ended"), (true, "crashed")] {
        let Some(bench) = bench() else { return };
        root_ran(&bench, crash);
        let name = |of: &str| format!("posix-{what}-{of}.txt");
        let status = bench.qshm(User::ALICE, &["status"]);
        same(&name("status-before"), &text(&status));
        let error = starts(&bench, User::ALICE);
        // PermissionDenied where also the semaphore is root's, else AlreadyExists.
        let number = if crash { "error 1 " } else { "error 4 " };
        assert!(error.starts_with(number), "{error}");
        let mut other = bench.holder(Build::QT68, User::ALICE).start();
        other.ask("key posix:Logic");
        let error = other.ask("attach");
        assert!(error.starts_with("error 1 "), "{error}");
        other.say("quit");
        other.finish(crate::support::DEADLINE).ok();

        let status = bench.qshm(User::ALICE, &["status"]);
        code(&status, 0);
        same(&name("status"), &text(&status));
        let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
        code(&told, 1);
        same(&name("explain"), &text(&told));
        // Not without its name, and not by the user.
        let unnamed = bench.qshm(User::ALICE, &["repair", "--yes"]);
        same(&name("repair-unnamed"), &text(&unnamed));
        let refused = bench.qshm(User::ALICE, &["repair", "--yes", "Logic"]);
        code(&refused, 1);
        let told = bench.qshm(User::SUDO_ALICE, &["status"]);
        same(&name("status-sudo"), &text(&told));
        let told = bench.qshm(User::SUDO_ALICE, &["explain", "Logic"]);
        code(&told, 1);
        same(&name("explain-sudo"), &text(&told));
        bench.qshm(User::SUDO_ALICE, &["repair", "--yes"]);
        let left = bench.world.objects();
        assert!(left.contains(&"Logic".to_owned()), "{left:?}");

        let done = bench.qshm(User::SUDO_ALICE, &["repair", "--yes", "Logic"]);
        code(&done, 0);
        assert!(bench.world.objects().is_empty(), "{done:#?}");
        assert_eq!(starts(&bench, User::ALICE), "ok");
        bench.world.restart();
    }
}

/// The user's own run leaves it too: to Qt alone it seems in use, for ever.
#[test]
fn of_the_user_itself() {
    let Some(bench) = bench() else { return };
    assert_eq!(starts(&bench, User::ALICE), "ok");
    let again = starts(&bench, User::ALICE);
    assert!(again.starts_with("error 4 "), "{again}");
    let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
    code(&told, 1);
    let said = text(&told);
    assert!(said.contains("To Qt alone it seems to be in use"), "{said}");
    code(&bench.qshm(User::ALICE, &["repair", "--yes", "Logic"]), 0);
    code(&bench.qshm(User::ALICE, &["explain", "Logic"]), 0);
    assert_eq!(starts(&bench, User::ALICE), "ok");
    bench.world.restart();
}

/// Files of others in `/dev/shm` are neither Qt's nor perhaps Qt's where it can be told.
#[test]
fn what_others_have_is_not_taken_for_qts() {
    let Some(bench) = bench() else { return };
    std::fs::write("/dev/shm/.hidden", "x").unwrap();
    std::fs::write("/dev/shm/empty", "").unwrap();
    std::fs::write("/dev/shm/others", "x").unwrap();
    let _open = std::fs::File::open("/dev/shm/others").unwrap();
    let status = text(&bench.qshm(User::Root, &["status"]));
    assert_eq!(status, "No Qt IPC objects on this machine.");
    bench.world.restart();
}

/// A semaphore alone: nothing is wrong with the temp directory, where no key file belongs.
#[test]
fn of_a_semaphore_alone() {
    let Some(bench) = bench() else { return };
    let mut root = bench.holder(Build::QT68, User::Root).start();
    assert_eq!(root.ask("sem posix:Logic 1 open"), "ok");
    root.kill_and_wait();
    let command = bench.command(User::ALICE, &["explain", "Logic"]);
    let told = command.env("TMPDIR", "/nonexistent").run();
    code(&told, 1);
    let said = text(&told);
    assert!(
        said.contains("a QSystemSemaphore fail with PermissionDenied"),
        "{said}"
    );
    assert!(!said.contains("key file"), "{said}");
    code(&bench.qshm(User::Root, &["repair", "--yes", "Logic"]), 0);
    assert!(bench.world.objects().is_empty());
}

/// Who stopped in the middle keeps programs with qshm out, with a POSIX key as with another.
#[test]
fn who_stopped_in_the_middle_is_named() {
    let Some(bench) = bench() else { return };
    assert_eq!(starts(&bench, User::ALICE), "ok");
    let script = "import fcntl\nfile = open('/dev/shm/Logic')\n\
                  fcntl.flock(file, fcntl.LOCK_EX)\nprint('locked', flush=True)\ninput()";
    let mut stopped =
        crate::support::Launch::new(std::path::Path::new("/usr/bin/python3"), bench.world.temp())
            .user(User::ALICE)
            .args(["-c", script])
            .start();
    assert_eq!(stopped.line(), "locked");
    stopped.stop();
    let advice = format!("kill -CONT {}", stopped.pid());
    for (user, advice) in [
        (User::ALICE, format!("  {advice}")),
        (User::BOB, format!("  sudo {advice}")),
    ] {
        let told = bench.qshm(user, &["explain", "Logic"]);
        code(&told, 1);
        let said = text(&told);
        assert!(
            said.contains("A program with qshm can't use it now"),
            "{said}"
        );
        assert!(told.lines.contains(&advice), "{said}");
    }
    stopped.kill_and_wait();
    bench.world.restart();
}
