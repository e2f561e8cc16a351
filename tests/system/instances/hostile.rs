//! Somebody or something is in the way: the start goes on, with a private number and a sentence.

use super::{Stage, count, join, registry, runtime};
use crate::support::mounts;
use crate::support::{Running, User};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

/// Joins in vain; the reason.
fn private(process: &mut Running, join: &str) -> String {
    let said = process.ask(join);
    let reason = said
        .strip_prefix("private: ")
        .unwrap_or_else(|| panic!("{said}"));
    assert!(!reason.is_empty() && !reason.contains('\n'), "{said}");
    let number: u32 = process.ask("number 0").parse().unwrap();
    assert!((1 << 30..1 << 31).contains(&number), "{number}");
    assert_eq!(process.ask("exclusive 0"), "no");
    assert_eq!(process.ask("claim 0 x"), format!("unavailable: {reason}"));
    assert!(count(process) >= 1);
    reason.to_owned()
}

fn alice_can_not(stage: &Stage, why: &str) {
    for user in [User::ALICE, User::SUDO_ALICE] {
        let reason = private(&mut stage.start(user), "join logic");
        assert!(reason.contains(why), "{reason}");
    }
}

#[test]
fn private_numbers_differ() {
    let Some(stage) = Stage::bare() else { return };
    mounts::directory(Path::new("/tmp/qshm-instances-1"), 2, 0o777);
    let mut one = stage.start(User::ALICE);
    let mut two = stage.start(User::ALICE);
    let mut numbers = Vec::new();
    for process in [&mut one, &mut two] {
        for handle in 0..3 {
            process.ask("join logic");
            numbers.push(process.ask(&format!("number {handle}")));
        }
    }
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 6);
}

#[test]
fn a_directory_that_somebody_else_has_made() {
    let Some(stage) = Stage::bare() else { return };
    mounts::directory(Path::new("/tmp/qshm-instances-1"), 2, 0o777);
    alice_can_not(&stage, "/tmp/qshm-instances-1 belongs to uid 2");
}

#[test]
fn a_directory_that_is_open_to_others() {
    let Some(stage) = Stage::bare() else { return };
    mounts::directory(Path::new("/tmp/qshm-instances-1"), 1, 0o755);
    alice_can_not(&stage, "is open to others (mode 755)");
}

#[test]
fn links_are_not_followed() {
    let Some(stage) = Stage::bare() else { return };
    mounts::directory(Path::new("/tmp/mine"), 1, 0o700);
    symlink("/tmp/mine", "/tmp/qshm-instances-1").unwrap();
    alice_can_not(&stage, "is not a directory");
    fs::remove_file("/tmp/qshm-instances-1").unwrap();
    mounts::directory(Path::new("/tmp/qshm-instances-1"), 1, 0o700);
    fs::write("/tmp/victim", "precious").unwrap();
    chown("/tmp/victim", Some(1), Some(1)).unwrap();
    symlink("/tmp/victim", "/tmp/qshm-instances-1/logic.user.0").unwrap();
    alice_can_not(&stage, "a symbolic link is on the way");
    assert_eq!(fs::read("/tmp/victim").unwrap(), b"precious");
}

/// Root acts with the user's rights, so a link of the user's leads nowhere that the user could
/// not go.
#[test]
fn root_is_not_led_astray() {
    let Some(stage) = Stage::bare() else { return };
    mounts::directory(Path::new("/tmp/roots"), 0, 0o700);
    mounts::directory(Path::new("/tmp/alice"), 1, 0o700);
    symlink("/tmp/roots", "/tmp/alice/qshm").unwrap();
    let mut root = stage
        .launch(User::SUDO_ALICE)
        .env("XDG_RUNTIME_DIR", "/tmp/alice")
        .start();
    join(&mut root, "logic", 0);
    assert_eq!(fs::read_dir("/tmp/roots").unwrap().count(), 0);
}

#[test]
fn files_that_are_no_registry() {
    let Some(stage) = Stage::new() else { return };
    mounts::directory(&runtime(1).join("qshm"), 1, 0o700);
    let file = registry(1);
    mounts::directory(&file, 1, 0o700);
    alice_can_not(&stage, "opening");
    fs::remove_dir(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    chown(&file, Some(1), Some(1)).unwrap();
    alice_can_not(&stage, "is not a plain file");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "").unwrap();
    alice_can_not(&stage, "permission denied");
    chown(&file, Some(1), Some(1)).unwrap();
    fs::hard_link(&file, file.with_file_name("other")).unwrap();
    alice_can_not(&stage, "has other hard links");
}

#[test]
fn bytes_of_any_kind_in_the_file() {
    let Some(stage) = Stage::new() else { return };
    mounts::directory(&runtime(1).join("qshm"), 1, 0o700);
    for (index, contents) in [
        vec![0xff; 8192],
        b"qshm\0in\x01".repeat(1000),
        vec![0; 10_000_000],
        b"qshm\0in\x01".to_vec(),
    ]
    .iter()
    .enumerate()
    {
        for part in ["0", "claims"] {
            let file = runtime(1).join(format!("qshm/n{index}.user.{part}"));
            fs::write(&file, contents).unwrap();
            chown(&file, Some(1), Some(1)).unwrap();
        }
        let mut one = stage.start(User::ALICE);
        let mut two = stage.start(User::ALICE);
        join(&mut one, &format!("n{index}"), 0);
        join(&mut two, &format!("n{index}"), 1);
        assert_eq!(one.ask("claim 0 x"), "mine");
        assert_eq!(
            two.ask("claim 0 x"),
            format!("taken by 0 pid {}", one.pid())
        );
        assert_eq!(count(&mut two), 2);
    }
}

#[test]
fn a_read_only_file_system() {
    let Some(stage) = Stage::bare() else { return };
    mounts::read_only(Path::new("/tmp"));
    alice_can_not(&stage, "the file system is read-only");
}

/// Where the runtime directory is read-only, there is still the other place.
#[test]
fn a_runtime_directory_that_is_read_only() {
    let Some(stage) = Stage::new() else { return };
    mounts::empty(&runtime(1), 0o700).unwrap();
    mounts::directory(&runtime(1), 1, 0o700);
    mounts::read_only(&runtime(1));
    let _one = stage.joined(User::ALICE, 0);
    let _two = stage.joined(User::SUDO_ALICE, 1);
}

#[test]
fn a_full_file_system() {
    let Some(stage) = Stage::bare() else { return };
    mounts::directory(&runtime(1), 1, 0o700);
    mounts::empty(&runtime(1), 0o700).unwrap();
    mounts::directory(&runtime(1), 1, 0o700);
    // Room for the file and not for what is written into it.
    drop(stage.joined(User::ALICE, 0));
    fs::remove_file(registry(1)).unwrap();
    mounts::full(&runtime(1));
    let mut one = stage.joined(User::ALICE, 0);
    let _two = stage.joined(User::ALICE, 1);
    assert_eq!(count(&mut one), 2);
    mounts::gone(&runtime(1));
}

#[test]
fn no_descriptors() {
    let Some(stage) = Stage::new() else { return };
    for user in [User::ALICE, User::SUDO_ALICE] {
        let mut process = stage.start(user);
        assert_eq!(process.ask("no-descriptors"), "none is left");
        let reason = private(&mut process, "join logic");
        assert!(
            reason.contains("this process has too many files open"),
            "{reason}"
        );
    }
}

/// A description that can't be written is none, and no reason for the kernel to end the program.
#[test]
fn no_file_may_be_written() {
    let Some(stage) = Stage::new() else { return };
    let mut one = stage.start(User::ALICE);
    assert_eq!(one.ask("no-file-size"), "none is left");
    join(&mut one, "logic", 0);
    assert_eq!(one.ask("claim 0 camera"), "mine");
    let mut two = stage.joined(User::ALICE, 1);
    assert_eq!(count(&mut two), 2);
    assert_eq!(two.ask("claim 0 camera"), "taken by 0 pid 0");
}

/// Whoever may open the file may lock all of it, and is named then.
#[test]
fn somebody_has_locked_the_file() {
    let Some(stage) = Stage::new() else { return };
    drop(stage.joined(User::ALICE, 0));
    let file = File::options().write(true).open(registry(1)).unwrap();
    // SAFETY: zeros are a lock of the whole file, and the kernel reads nothing else.
    #[allow(unsafe_code)]
    unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as libc::c_short;
        assert_eq!(
            libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock),
            0
        );
    }
    alice_can_not(&stage, "somebody has locked");
    drop(file);
    let _next = stage.joined(User::ALICE, 0);
}
