//! `qshm key` against what real Qt libraries made of the same keys.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::repository;

fn qshm(arguments: &[&str]) -> serde_json::Value {
    let done = Command::new(env!("CARGO_BIN_EXE_qshm"))
        .args(["key", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// What Qt up to 6.8 makes of UTF-16: lone surrogates become question marks.
fn utf8(hex: &str) -> String {
    let units = hex
        .as_bytes()
        .chunks(4)
        .map(|digits| u16::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or('?'))
        .collect()
}

#[test]
fn every_row_of_the_vectors_is_reproduced() {
    let file = repository().join("tests/vectors/qt-keys.tsv");
    let mut rows = 0;
    for line in fs::read_to_string(file).unwrap().lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        let [
            temp,
            version,
            utf16,
            _,
            _,
            native,
            segment,
            semaphore,
            segment_id,
            semaphore_id,
        ] = row[..]
        else {
            panic!("not ten columns: {line}");
        };
        let key = utf8(utf16);
        // An argument of a program has no NUL.
        if key.contains('\0') {
            continue;
        }
        rows += 1;
        let said = qshm(&["--qt", version, "--tmpdir", temp, "--", &key]);
        assert_eq!(said["key"], key.as_str());
        assert_eq!(said["qt"], version);
        let keys = &said["system_v"];
        for (name, expected) in [
            ("native_key", native),
            ("shm_file", segment),
            ("sem_file", semaphore),
            ("shm_proj_id", segment_id),
            ("sem_proj_id", semaphore_id),
        ] {
            assert_eq!(keys[name], expected, "{name}: {line}");
        }
        assert_eq!(
            said["posix"].is_null(),
            version != "6.8.2" || key.contains('/'),
            "{line}"
        );
    }
    assert!(rows > 100, "{rows} rows");
}

#[test]
fn the_key_t_is_told_where_the_key_file_exists() {
    let folder = std::env::temp_dir().join(format!("qshm-key-test-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let temp = folder.to_str().unwrap();
    let said = qshm(&["Logic", "--tmpdir", temp]);
    assert!(said["system_v"]["shm_key"].is_null() && said["system_v"]["sem_key"].is_null());
    let file = Path::new(said["system_v"]["native_key"].as_str().unwrap()).to_owned();
    assert!(file.starts_with(&folder));
    fs::write(&file, "").unwrap();
    let said = qshm(&["Logic", "--tmpdir", temp]);
    let expected = format!("{:#010x}", crate::support::planted::key_of(&file));
    assert_eq!(said["system_v"]["shm_key"], expected.as_str());
    assert!(said["system_v"]["sem_key"].is_null());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_is_no_version_of_qt_is_refused() {
    let done = Command::new(env!("CARGO_BIN_EXE_qshm"))
        .args(["key", "Logic", "--qt", "five"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("qshm: five is no version of Qt"), "{said}");
    // A name that no file can have is not shown.
    let mut command = Command::new(env!("CARGO_BIN_EXE_qshm"));
    let done = command.args(["key", &"x".repeat(250)]).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(
        said.contains("KeyError") && !said.contains("qipc_"),
        "{said}"
    );
    // The classes came with 4.4. An empty key is none in any version.
    for (version, expected) in [("4.3", 2), ("4.3.5", 2), ("4.4", 0), ("4", 0)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qshm"));
        let done = command.args(["key", "", "--qt", version]).output().unwrap();
        assert_eq!(done.status.code(), Some(expected), "{version}: {done:?}");
        let said = String::from_utf8(done.stdout).unwrap();
        assert_eq!(said.contains("KeyError"), expected == 0, "{said}");
    }
}
