//! `qshm run` with the real preload library.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, TEMP, code, text};
use crate::support::{Build, Launch, User, preload, program};

/// `qshm run -- …` of somebody.
fn run(bench: &Bench, user: User, arguments: &[&str]) -> Launch {
    bench
        .command(user, &["run", "--"])
        .env("QSHM_PRELOAD", preload())
        .args(arguments)
}

/// A file that can be run. Written by another process: a child that another test starts meanwhile
/// would have it open for writing, and the kernel refuses to run it then.
fn executable(path: &Path, like: &Path, mode: &str) {
    let done = Command::new("install")
        .args(["-m", mode])
        .args([like, path])
        .status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "{}",
        path.display()
    );
}

/// The report: with Qt alone the user can't start any more, and with `qshm run` can.
#[test]
fn a_program_with_real_qt_starts_again() {
    for build in [Build::QT5, Build::QT6] {
        let Some(bench) = Bench::new() else { return };
        bench.leftover(build, User::Root, "Logic");
        let mut alone = bench.holder(build, User::ALICE).start();
        alone.ask("key Logic");
        assert!(alone.ask("create 4").starts_with("error 1 "));
        let holder = program("holder", build);
        let mut with = run(&bench, User::ALICE, &[holder.to_str().unwrap()]).start();
        with.ask("key Logic");
        assert_eq!(with.ask("create 4"), "ok");
        let said = with.finish(crate::support::DEADLINE).ok().stderr;
        assert!(!said.contains("is not linked with Qt"), "{said}");
        assert!(said.contains("stepped aside"), "{said}");
    }
}

#[test]
fn a_script_that_starts_it_is_served_too() {
    let Some(bench) = Bench::new() else { return };
    bench.leftover(Build::QT5, User::Root, "Logic");
    let script = bench.world.base().join("start.sh");
    let text = format!(
        "#!/bin/sh\n'{}'\nexit 3\n",
        program("holder", Build::QT5).display()
    );
    fs::write(script.with_extension("txt"), text).unwrap();
    executable(&script, &script.with_extension("txt"), "755");
    let mut with = run(&bench, User::ALICE, &[script.to_str().unwrap()]).start();
    with.ask("key Logic");
    assert_eq!(with.ask("create 4"), "ok");
    let done = with.finish(crate::support::DEADLINE);
    code(&done, 3);
    assert!(done.stderr.contains("stepped aside"), "{done:#?}");
}

#[test]
fn exit_codes_and_signals_are_the_programs() {
    let Some(bench) = Bench::new() else { return };
    for (script, expected) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255)] {
        code(
            &run(&bench, User::ALICE, &["/bin/sh", "-c", script]).run(),
            expected,
        );
    }
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV] {
        let script = format!("kill -{signal} $$");
        let done = run(&bench, User::ALICE, &["/bin/sh", "-c", &script]).run();
        assert_eq!(done.status.signal(), Some(signal), "{done:#?}");
    }
    // It is the very process, so that a signal for the command is one for the program.
    let mut with = run(
        &bench,
        User::ALICE,
        &["/bin/sh", "-c", "echo $$; exec sleep 100"],
    )
    .start();
    assert_eq!(with.line(), with.pid().to_string());
    with.signal(libc::SIGTERM);
    assert_eq!(
        with.finish(crate::support::DEADLINE).status.signal(),
        Some(libc::SIGTERM)
    );
}

#[test]
fn a_program_without_qt_is_left_alone_and_that_is_said() {
    let Some(bench) = Bench::new() else { return };
    let done = run(&bench, User::ALICE, &["true"]).run();
    code(&done, 0);
    assert!(text(&done).is_empty());
    assert_eq!(done.stderr.lines().count(), 1, "{done:#?}");
    assert!(
        done.stderr.contains("true is not linked with Qt"),
        "{done:#?}"
    );
    let quiet = bench
        .command(User::ALICE, &["run", "--quiet", "true"])
        .env("QSHM_PRELOAD", preload())
        .run();
    assert_eq!((quiet.status.code(), quiet.stderr.as_str()), (Some(0), ""));
    let without = bench
        .command(User::ALICE, &["run", "--quiet", "true"])
        .env("QSHM_PRELOAD", preload())
        .without("PATH");
    code(&without.run(), 0);
    // Its options are its own.
    let done = run(&bench, User::ALICE, &["echo", "--quiet", "-n"]).run();
    assert_eq!(text(&done), "--quiet -n");
}

#[test]
fn a_set_uid_program_is_explained() {
    let Some(bench) = Bench::new() else { return };
    let path = bench.world.base().join("privileged");
    executable(&path, Path::new("/bin/true"), "4755");
    let done = run(&bench, User::ALICE, &[path.to_str().unwrap()]).run();
    code(&done, 0);
    assert_eq!(done.stderr.lines().count(), 1, "{done:#?}");
    assert!(
        done.stderr.contains("runs with the rights of root"),
        "{done:#?}"
    );
    // For root it is a program like any other.
    let done = run(&bench, User::Root, &[path.to_str().unwrap()]).run();
    assert!(done.stderr.contains("is not linked with Qt"), "{done:#?}");
}

#[test]
fn a_program_with_capabilities_is_explained() {
    let Some(bench) = Bench::new() else { return };
    let path = bench.world.base().join("capable");
    executable(&path, Path::new("/bin/true"), "755");
    let set = "import os, sys; os.setxattr(sys.argv[1], 'security.capability', \
               bytes.fromhex('0100000200040000000000000000000000000000'))";
    let done = Command::new("python3")
        .args(["-c", set])
        .arg(&path)
        .status();
    if !done.is_ok_and(|status| status.success()) {
        return crate::support::skipped("no file capabilities on this file system");
    }
    let done = run(&bench, User::ALICE, &[path.to_str().unwrap()]).run();
    code(&done, 0);
    assert!(done.stderr.contains("has capabilities"), "{done:#?}");
}

/// ld.so would say so and run the program without it.
#[test]
fn a_library_that_cant_be_loaded_is_an_error() {
    let Some(bench) = Bench::new() else { return };
    let base = bench.world.base();
    let mut other = fs::read(preload()).unwrap();
    other[18] = 8;
    for (name, content, mode) in [
        ("text.so", b"text".to_vec(), "644"),
        ("other.so", other, "644"),
        ("secret.so", fs::read(preload()).unwrap(), "600"),
    ] {
        let path = base.join(name);
        fs::write(base.join("content"), content).unwrap();
        executable(&path, &base.join("content"), mode);
        let command = bench.command(User::ALICE, &["run", "--", "true"]);
        let done = command.env("QSHM_PRELOAD", &path).run();
        code(&done, 3);
        assert_eq!(done.stderr.lines().count(), 1, "{done:#?}");
    }
}

#[test]
fn what_cant_be_run_has_the_usual_codes() {
    let Some(bench) = Bench::new() else { return };
    let plain = bench.world.base().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    for (name, expected) in [("no-such-program", 127), (plain.to_str().unwrap(), 126)] {
        let done = run(&bench, User::ALICE, &[name]).run();
        code(&done, expected);
        assert_eq!(done.stderr.lines().count(), 1, "{done:#?}");
    }
    code(&bench.qshm(User::ALICE, &["run"]), 2);
}

/// Found where it is installed; and a path that LD_PRELOAD can't have is refused.
#[test]
fn the_library_is_found_beside_the_command() {
    let Some(bench) = Bench::new() else { return };
    let install = |prefix: &str, library: &str| -> PathBuf {
        let prefix = bench.world.base().join(prefix);
        let library = prefix.join(library);
        fs::create_dir_all(&library).unwrap();
        fs::create_dir_all(prefix.join("bin")).unwrap();
        fs::copy(preload(), library.join("libqshm-preload.so")).unwrap();
        let command = prefix.join("bin/qshm");
        executable(&command, Path::new(env!("CARGO_BIN_EXE_qshm")), "755");
        command
    };
    for library in ["lib", "lib64", "lib/x86_64-linux-gnu", "bin"] {
        let command = install(&format!("at-{}", library.replace('/', "-")), library);
        let done = Launch::new(&command, Path::new(TEMP))
            .args(["run", "-q", "--", "sh", "-c", "echo $LD_PRELOAD"])
            .run()
            .ok();
        let said = text(&done);
        assert!(
            said.contains(library) && Path::new(&said).is_file(),
            "{library}: {done:#?}"
        );
    }
    let done = Launch::new(&install("with space", "lib"), Path::new(TEMP))
        .args(["run", "--", "true"])
        .run();
    code(&done, 3);
    assert!(done.stderr.contains("a space or a colon"), "{done:#?}");
    let missing = bench
        .command(User::Root, &["run", "--", "true"])
        .env("QSHM_PRELOAD", "/none");
    code(&missing.run(), 3);
}
