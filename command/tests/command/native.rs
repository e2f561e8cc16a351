//! Objects of Qt 6.6 and later: POSIX ones, and System V ones of files in the runtime directory.

use std::path::{Path, PathBuf};

use crate::bench::{Bench, TEMP, code, text};
use crate::snapshot::same;
use crate::support::{User, old_qt, skipped};

/// Where the module is, or `None` after saying why not.
fn python() -> Option<PathBuf> {
    old_qt::fetched("PyQt6-6.8")
        .map_err(|why| skipped(&why))
        .ok()
}

fn shared_files() -> Vec<String> {
    let entries = std::fs::read_dir("/dev/shm").unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn posix_leftovers_are_found_explained_and_repaired() {
    let (Some(python), Some(bench)) = (python(), Bench::new()) else {
        return;
    };
    let mut script = bench.script(&python, User::ALICE);
    assert_eq!(script.ask("key posix Logic"), "posix:/Logic");
    assert_eq!(script.ask("create 4"), "ok");

    // While it runs it is in use, for its owner, a stranger and root alike.
    for user in [User::Root, User::ALICE] {
        let said = text(&bench.qshm(user, &["status"]));
        assert!(said.contains("Logic") && said.contains("live"), "{said}");
        let refused = bench.qshm(user, &["repair", "--yes", "Logic"]);
        code(&refused, 1);
        assert!(text(&refused).contains("in use"), "{refused:#?}");
        assert_eq!(shared_files(), ["Logic", "sem.Logic"]);
    }
    script.kill_and_wait();

    let told = bench.qshm(User::BOB, &["explain", "Logic"]);
    code(&told, 1);
    same("posix-explain-stranger.txt", &text(&told));
    let refused = bench.qshm(User::BOB, &["repair", "--yes", "Logic"]);
    code(&refused, 1);
    assert_eq!(shared_files(), ["Logic", "sem.Logic"]);
    // Nothing says whose a POSIX object is: it is removed if somebody names it.
    let unnamed = bench.qshm(User::ALICE, &["repair", "--yes"]);
    code(&unnamed, 0);
    assert_eq!(shared_files(), ["Logic", "sem.Logic"]);
    let told = bench.qshm(User::ALICE, &["explain", "Logic"]);
    code(&told, 1);
    same("posix-explain-owner.txt", &text(&told));
    // A machine on which something is kept in a segment while nobody runs.
    let keeping = bench.command(User::ALICE, &["repair", "--yes", "Logic"]);
    let kept = keeping.env("QSHM_LEFTOVER", "keep").run();
    code(&kept, 1);
    assert_eq!(shared_files(), ["Logic", "sem.Logic"], "{kept:#?}");
    let done = bench.qshm(User::ALICE, &["repair", "--yes", "Logic"]);
    code(&done, 0);
    same("posix-repair.txt", &text(&done));
    assert!(shared_files().is_empty());
}

/// A key set in the old way has a name that is Qt's alone. Killed inside its lock, the lock stays
/// taken for ever.
#[test]
fn posix_leftovers_of_old_keys_need_no_name() {
    let (Some(python), Some(bench)) = (python(), Bench::new()) else {
        return;
    };
    let mut script = bench.script(&python, User::ALICE);
    script.ask("legacy posix Logic");
    assert_eq!(script.ask("create 4"), "ok");
    assert_eq!(script.ask("lock"), "ok");
    let live = text(&bench.qshm(User::ALICE, &["status"]));
    assert!(live.contains("live"), "{live}");
    script.kill_and_wait();
    let status = bench.qshm(User::ALICE, &["status"]);
    same("posix-status.txt", &text(&status));
    let told = text(&bench.qshm(User::ALICE, &["explain", "Logic"]));
    assert!(told.contains("attach() and lock() wait for ever"), "{told}");
    code(&bench.qshm(User::ALICE, &["repair", "--yes"]), 0);
    assert!(shared_files().is_empty());
    let mut script = bench.script(&python, User::ALICE);
    script.ask("legacy posix Logic");
    assert_eq!(script.ask("create 4"), "ok");
    assert_eq!(script.ask("lock"), "ok");
}

/// A process whom nobody may look into still counts: here one of another PID namespace.
#[test]
fn a_hidden_user_of_a_posix_segment_is_seen() {
    let (Some(python), Some(bench)) = (python(), Bench::new()) else {
        return;
    };
    let mut script = bench.script(&python, User::ALICE);
    script.ask("legacy posix Logic");
    assert_eq!(script.ask("create 4"), "ok");
    let qshm = env!("CARGO_BIN_EXE_qshm");
    let inside = crate::support::Launch::new(Path::new("/usr/bin/unshare"), bench.world.temp())
        .args([
            "--pid",
            "--fork",
            "--mount-proc",
            qshm,
            "repair",
            "--yes",
            "Logic",
        ])
        .run();
    assert!(text(&inside).contains("in use"), "{inside:#?}");
    assert_eq!(shared_files().len(), 2);
    assert_eq!(script.ask("detach"), "ok");
}

#[test]
fn files_of_the_runtime_directory_lead_to_system_v_objects() {
    let (Some(python), Some(bench)) = (python(), Bench::new()) else {
        return;
    };
    // Both of one file, with the usual project id and another.
    for (key, number) in [("systemv", "51"), ("systemv-33", "21")] {
        let mut script = bench.script(&python, User::Root);
        let native = script.ask(&format!("key {key} Logic"));
        let file = bench.runtime_dir().join("Logic");
        assert!(native.ends_with(file.to_str().unwrap()), "{native}");
        assert_eq!(script.ask("create 4"), "ok");
        let live = text(&bench.qshm(User::Root, &["status"]));
        assert!(live.contains("live"), "{live}");
        script.kill_and_wait();
        let segments = bench.world.segments();
        assert_eq!(format!("{:02x}", segments[0].key >> 24), number);
        assert_eq!(segments[0].key, bench.world.semaphores()[0].key);

        let status = bench.qshm(User::Root, &["status"]);
        same(&format!("native-{key}-status.txt"), &text(&status));
        let told = bench.qshm(User::Root, &["explain", "Logic"]);
        assert!(text(&told).contains("left behind by a crash"), "{told:#?}");
        code(&bench.qshm(User::Root, &["repair", "--yes"]), 0);
        bench.world.assert_clean();
        assert!(!file.exists());
    }
}

/// A file of any name, given as a native key.
#[test]
fn a_native_key_can_be_any_file() {
    let (Some(python), Some(bench)) = (python(), Bench::new()) else {
        return;
    };
    let file = bench.world.base().join("somewhere");
    let key = format!("systemv-33:{}", file.display());
    let mut script = bench.script(&python, User::Root);
    script.ask(&format!("key systemv-33 {}", file.display()));
    assert_eq!(script.ask("create 4"), "ok");
    script.kill_and_wait();
    let told = text(&bench.qshm(User::Root, &["explain", &key]));
    assert!(told.contains("0x21"), "{told}");
    // Of another project id it is another key, and of none that is one, wrong usage.
    for (number, expected) in [("systemv", 0), ("systemv-34", 0), ("systemv-999", 2)] {
        let other = format!("{number}:{}", file.display());
        code(
            &bench.qshm(User::Root, &["repair", "--yes", &other]),
            expected,
        );
        assert_eq!(bench.world.segments().len(), 1, "{other}");
    }
    for empty in ["systemv:", "posix:"] {
        code(&bench.qshm(User::Root, &["explain", empty]), 2);
    }
    code(&bench.qshm(User::Root, &["repair", "--yes", &key]), 0);
    bench.world.assert_clean();
    assert!(!file.exists());
}

/// Looks and repairs all the while: who uses it neither loses it nor finds it gone.
#[test]
fn a_posix_segment_in_use_bears_all_looks_and_repairs() {
    let (Some(python), Some(bench)) = (python(), Bench::new()) else {
        return;
    };
    let mut keeps = bench.script(&python, User::ALICE);
    let mut comes = bench.script(&python, User::ALICE);
    for script in [&mut keeps, &mut comes] {
        script.ask("legacy posix Logic");
    }
    assert_eq!(keeps.ask("create 4"), "ok");
    for _ in 0..8 {
        let looks = [
            bench
                .command(User::Root, &["repair", "--yes", "Logic"])
                .start(),
            bench.command(User::ALICE, &["repair", "--yes"]).start(),
            bench.command(User::ALICE, &["status"]).start(),
        ];
        for _ in 0..20 {
            assert_eq!(comes.ask("attach"), "ok");
            assert_eq!(comes.ask("lock"), "ok");
            assert_eq!(comes.ask("unlock"), "ok");
            assert_eq!(comes.ask("detach"), "ok");
        }
        for look in looks {
            look.finish(crate::support::DEADLINE);
        }
        assert_eq!(shared_files().len(), 2);
    }
}

/// What a program with qshm makes and leaves there, also where it had to step aside.
#[test]
fn posix_leftovers_of_qshm_and_those_aside() {
    let (Some(python), Some(bench)) = (python(), Bench::new()) else {
        return;
    };
    let child = |user| {
        let mut child =
            crate::support::Launch::new(&std::env::current_exe().unwrap(), Path::new(TEMP))
                .user(user)
                .args(["--ignored", "--exact", "--nocapture", "native::child"])
                .start();
        while !child.line().contains("made") {}
        child
    };
    // Killed inside its lock, which is nobody's then.
    let mut first = child(User::ALICE);
    let told = text(&bench.qshm(User::ALICE, &["explain", "Logic"]));
    assert!(
        told.contains("is its lock, held by") && told.contains(&format!("pid {}", first.pid())),
        "{told}"
    );
    first.kill_and_wait();
    let status = text(&bench.qshm(User::ALICE, &["explain", "Logic"]));
    assert!(status.contains("no process is attached"), "{status}");
    code(&bench.qshm(User::ALICE, &["repair", "--yes", "Logic"]), 0);
    assert!(shared_files().is_empty(), "{:?}", shared_files());

    // Aside, since root's leftover has the name.
    let mut script = bench.script(&python, User::Root);
    script.ask("key posix Logic");
    assert_eq!(script.ask("create 4"), "ok");
    script.kill_and_wait();
    let mut second = child(User::ALICE);
    let status = text(&bench.qshm(User::ALICE, &["status"]));
    assert!(status.contains("live, aside"), "{status}");
    bench.qshm(User::ALICE, &["repair", "--yes"]);
    assert!(Path::new("/dev/shm/qshm-1/Logic").exists());
    second.kill_and_wait();
    bench.qshm(User::ALICE, &["repair", "--yes"]);
    assert_eq!(shared_files(), ["Logic", "sem.Logic"]);
    code(&bench.qshm(User::Root, &["repair", "--yes", "Logic"]), 0);
    assert!(shared_files().is_empty());
}

#[test]
#[ignore = "a process that the test above starts"]
fn child() {
    use qshm::key::{KeyType, NativeKey};
    let memory = qshm::SharedMemory::new();
    memory.set_native_ipc_key(NativeKey::new(KeyType::Posix, "/Logic".into(), false));
    let made = memory.create(4, qshm::AccessMode::ReadWrite);
    assert!(made && memory.lock(), "{}", memory.error());
    println!("made");
    let _ = std::io::stdin().read_line(&mut String::new());
}
