//! What the command prints, whoever reads it: pipes, terminals, other people's bytes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::bench::{Bench, TEMP, code, text};
use crate::support::{Build, User};

/// The plain widths of a text's lines.
fn widest(text: &str) -> usize {
    text.lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0)
}

/// A key whose letters are many, and names that are long.
fn crowd(bench: &Bench) {
    bench.leftover(Build::QT5, User::Root, "Logic");
    bench.leftover(Build::QT6, User::ALICE, &"Wide".repeat(30));
    bench.leftover(Build::QT6, User::BOB, "org.example.some-program/7");
}

#[test]
fn a_table_fits_the_terminal() {
    let Some(bench) = Bench::new() else { return };
    crowd(&bench);
    let _live = bench.running(Build::QT5, User::ALICE, "live", 1 << 20);
    for user in [User::Root, User::ALICE] {
        for width in ["100", "80", "76", "60", "40"] {
            let launch = bench.command(user, &["status"]).env("COLUMNS", width);
            let said = text(&launch.run().ok());
            assert!(
                widest(&said) <= width.parse().unwrap(),
                "{width} columns:\n{said}"
            );
            assert!(
                said.contains("Logic") && said.contains("leftover"),
                "{said}"
            );
        }
    }
}

#[test]
fn colour_is_for_terminals_and_control_characters_for_nobody() {
    let Some(bench) = Bench::new() else { return };
    crowd(&bench);
    let said = text(&bench.qshm(User::Root, &["status"]).ok());
    assert!(!said.contains('\u{1b}'), "{said:?}");
    // On a terminal of script(1).
    let on_terminal = |no_colour: &str| {
        let command = format!("{} status", env!("CARGO_BIN_EXE_qshm"));
        let done = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("TMPDIR", TEMP)
            .env("NO_COLOR", no_colour)
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    assert!(on_terminal("").contains('\u{1b}'));
    assert!(!on_terminal("1").contains('\u{1b}'));

    // Keys, names of files and of programs are other people's.
    let evil = "a\u{1b}]0;x\u{7}\u{9b}2J\n";
    let told = bench.qshm(User::Root, &["explain", evil]);
    code(&told, 0);
    assert!(
        !text(&told).chars().any(|c| c.is_control() && c != '\n'),
        "{told:?}"
    );
    std::fs::create_dir_all(bench.runtime_dir()).unwrap();
    let name = "sem.qipc\u{1b}[2J";
    std::fs::write(std::path::Path::new("/dev/shm").join(name), [0; 32]).unwrap();
    for arguments in [
        vec!["status"],
        vec!["explain", "qipc\u{1b}[2J"],
        vec!["repair", "-n", "qipc\u{1b}[2J"],
        vec!["explain", "--json", "qipc\u{1b}[2J\u{9b}"],
    ] {
        let said = bench.qshm(User::Root, &arguments);
        let all = format!("{}{}", text(&said), said.stderr);
        assert!(
            !all.contains('\u{1b}') && !all.contains('\u{9b}'),
            "{all:?}"
        );
    }
}

/// `qshm status | head -1`
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let Some(bench) = Bench::new() else { return };
    crowd(&bench);
    let mut child = Command::new(env!("CARGO_BIN_EXE_qshm"))
        .args(["status", "--watch", "1"])
        .env("TMPDIR", TEMP)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("KEY"), "{line}");
    drop(reader);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(done.stderr.is_empty(), "{done:?}");
}

#[test]
fn nothing_is_said_to_be_nothing() {
    let Some(bench) = Bench::new() else { return };
    let said = text(&bench.qshm(User::Root, &["status"]).ok());
    assert_eq!(said, "No Qt IPC objects on this machine.");
    let said = text(&bench.qshm(User::ALICE, &["repair"]).ok());
    assert_eq!(said, "Nothing is left behind.");
}

/// Every command has an example, and errors are one sentence on standard error.
#[test]
fn help_has_examples_and_wrong_usage_is_2() {
    let run = |arguments: &[&str]| {
        let command = &mut Command::new(env!("CARGO_BIN_EXE_qshm"));
        command.args(arguments).output().unwrap()
    };
    for command in ["status", "explain", "repair", "key", "run", "who"] {
        let done = run(&[command, "--help"]);
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(
            done.status.success() && said.contains("Example"),
            "{command}: {said}"
        );
    }
    for wrong in [&["explain"][..], &["status", "--jsn"], &["unknown"]] {
        let done = run(wrong);
        assert_eq!(done.status.code(), Some(2), "{wrong:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(
            said.starts_with("qshm: ") && said.lines().count() == 1,
            "{said}"
        );
    }
    assert_eq!(run(&[]).status.code(), Some(2));
}

/// The fields that docs/command.md promises.
#[test]
fn json_has_the_fields_of_the_documentation() {
    let Some(bench) = Bench::new() else { return };
    bench.leftover(Build::QT5, User::ALICE, "Logic");
    let mut live = bench.running(Build::QT6, User::ALICE, "live", 4);
    live.ask("lock");
    let said = text(&bench.qshm(User::Root, &["status", "--json"]).ok());
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let objects = said["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 2, "{said:#}");
    let documented =
        std::fs::read_to_string(crate::support::repository().join("docs/command.md")).unwrap();
    let mut fields = Vec::new();
    collect(&said, &mut fields);
    for field in fields {
        assert!(
            documented.contains(&format!("`{field}`")),
            "docs/command.md lacks `{field}`"
        );
    }
    let of = |key: &str| objects.iter().find(|object| object["key"] == key).unwrap();
    assert_eq!(of("Logic")["state"], "leftover");
    assert_eq!(of("Logic")["remedy"], "remove");
    assert_eq!(of("live")["state"], "live");
    assert_eq!(of("live")["processes"][0]["pid"], live.pid());
    assert_eq!(of("live")["semaphore"]["holder"]["pid"], live.pid());
}

fn collect(value: &serde_json::Value, fields: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                fields.push(name.clone());
                collect(value, fields);
            }
        }
        serde_json::Value::Array(values) => {
            for value in values {
                collect(value, fields);
            }
        }
        _ => {}
    }
}

/// The usage in the man pages is that of the command line.
#[test]
fn man_pages_say_how_it_is_called() {
    let folder = std::env::temp_dir().join(format!("qshm-man-{}", std::process::id()));
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_qshm-generate"))
        .arg(&folder)
        .status();
    assert!(made.unwrap().success());
    let page = |name: &str| {
        let text = std::fs::read_to_string(folder.join("man").join(name)).unwrap();
        let synopsis = text.split_once(".SH SYNOPSIS\n").unwrap().1;
        let line = synopsis.lines().next().unwrap();
        let plain = ["\\fB", "\\fI", "\\fR"].into_iter();
        let plain = plain.fold(line.to_owned(), |line, font| line.replace(font, ""));
        assert!(text.contains(concat!("\"qshm ", env!("CARGO_PKG_VERSION"), "\"")));
        plain.replace("\\-", "-")
    };
    let pages = [
        ("qshm.1", "qshm [-h|--help] [-V|--version] COMMAND"),
        (
            "qshm-repair.1",
            "qshm repair [-n|--dry-run] [-y|--yes] [-h|--help] [KEY ...]",
        ),
        (
            "qshm-run.1",
            "qshm run [-q|--quiet] [-h|--help] PROGRAM ...",
        ),
        (
            "qshm-key.1",
            "qshm key [--qt VERSION] [--tmpdir DIR] [--json] [-h|--help] KEY",
        ),
        (
            "qshm-status.1",
            "qshm status [--json] [--watch [SECONDS]] [-h|--help]",
        ),
    ];
    let found = pages.map(|(name, _)| page(name));
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(found, pages.map(|(_, usage)| usage));
}
