//! Places that come and go while instances run, no table to ask, and locks of people who have
//! nothing to do with it: no number or claim is given twice, and strangers do not meet.

use super::{Stage, count, join, runtime};
use crate::support::mounts;
use crate::support::trace::{OF_INSTANCES, Traced, needs_strace};
use crate::support::{Running, User, base_program};
use std::fs::{self, File};
use std::path::Path;

const LAST: &str = "/tmp/qshm-instances-1";

/// The last place is known to be the only one.
fn settle_last(stage: &Stage) {
    let mut before = stage.joined(User::ALICE, 0);
    assert_eq!(before.ask("claim 0 camera"), "mine");
}

/// Joins while another one has number 0 and the camera.
fn is_second(stage: &Stage) -> Running {
    let mut second = stage.joined(User::ALICE, 1);
    assert!(second.ask("claim 0 camera").starts_with("taken by 0 "));
    assert_eq!(count(&mut second), 2);
    second
}

#[test]
fn a_runtime_directory_that_comes_and_goes() {
    for early in [false, true] {
        let Some(stage) = Stage::bare() else { return };
        settle_last(&stage);
        let mut first = stage.start(User::ALICE);
        if early {
            join(&mut first, "logic", 0);
        }
        mounts::directory(&runtime(1), 1, 0o700);
        if early {
            assert_eq!(count(&mut first), 1);
        } else {
            join(&mut first, "logic", 0);
        }
        assert_eq!(first.ask("claim 0 camera"), "mine");
        fs::remove_dir_all(runtime(1)).unwrap();
        let _second = is_second(&stage);
        assert_eq!(count(&mut first), 2);
        let _third = stage.joined(User::ALICE, 2);
    }
}

#[test]
fn a_runtime_directory_that_is_open_to_others_for_a_time() {
    let Some(stage) = Stage::bare() else { return };
    settle_last(&stage);
    mounts::directory(&runtime(1), 1, 0o700);
    let mut first = stage.joined(User::ALICE, 0);
    assert_eq!(first.ask("claim 0 camera"), "mine");
    mounts::directory(&runtime(1).join("qshm"), 1, 0o755);
    let mut second = is_second(&stage);
    mounts::directory(&runtime(1).join("qshm"), 1, 0o700);
    let mut third = stage.joined(User::ALICE, 2);
    for process in [&mut first, &mut second, &mut third] {
        assert_eq!(count(process), 3);
    }
}

#[test]
fn a_named_registry_that_is_deleted() {
    let Some(stage) = Stage::bare() else { return };
    settle_last(&stage);
    let named = Path::new("/tmp/runtime-alice");
    mounts::directory(named, 1, 0o700);
    let mut first = stage
        .launch(User::ALICE)
        .env("XDG_RUNTIME_DIR", named)
        .start();
    join(&mut first, "logic", 0);
    assert_eq!(first.ask("claim 0 camera"), "mine");
    fs::remove_file(named.join("qshm/logic.user.0")).unwrap();
    assert_eq!(count(&mut first), 1);
    let _second = is_second(&stage);
}

/// How the last place comes to be of no use, and of use again.
type Fault = (&'static str, fn(), fn());

const OPEN: Fault = ("open to others", || last_of(1, 0o755), well);
const CLOSED: Fault = ("closed to its owner", || last_of(1, 0), well);
const GIVEN_AWAY: Fault = ("somebody else's", || last_of(2, 0o700), well);
const READ_ONLY: Fault = (
    "read-only",
    || mounts::read_only(Path::new("/tmp")),
    || mounts::writable(Path::new("/tmp")),
);

fn well() {
    last_of(1, 0o700);
}

fn last_of(uid: u32, mode: u32) {
    mounts::directory(Path::new(LAST), uid, mode);
}

/// Two faults, one after the other: whoever joined in the runtime directory had no other place.
#[test]
fn a_last_place_of_no_use_and_then_no_runtime_directory() {
    for (fault, begins, ends) in [OPEN, CLOSED, GIVEN_AWAY, READ_ONLY] {
        println!("the last place is {fault}");
        let Some(stage) = Stage::bare() else { return };
        settle_last(&stage);
        begins();
        mounts::directory(&runtime(1), 1, 0o700);
        let mut first = stage.joined(User::ALICE, 0);
        assert_eq!(first.ask("claim 0 camera"), "mine");
        ends();
        fs::remove_dir_all(runtime(1)).unwrap();
        let _second = is_second(&stage);
        assert_eq!(count(&mut first), 2);
    }
}

/// The other way round: somebody was in the last place alone while the runtime directory was of no
/// use.
#[test]
fn a_runtime_directory_of_no_use_and_then_no_last_place() {
    for (fault, begins, ends) in [OPEN, CLOSED, GIVEN_AWAY] {
        println!("the last place is {fault}");
        let Some(stage) = Stage::new() else { return };
        settle_last(&stage);
        mounts::directory(&runtime(1).join("qshm"), 1, 0o755);
        let mut first = stage.joined(User::ALICE, 0);
        assert_eq!(first.ask("claim 0 camera"), "mine");
        begins();
        mounts::directory(&runtime(1).join("qshm"), 1, 0o700);
        let mut second = is_second(&stage);
        ends();
        for process in [&mut first, &mut second] {
            assert_eq!(count(process), 2);
        }
        let _third = stage.joined(User::ALICE, 2);
    }
}

/// A place that the environment names is nothing to those who have another environment: without the
/// last place nobody would meet them. One that is somebody else's keeps nobody out: it may have been
/// made to be in the way.
#[test]
fn a_named_place_without_the_last_one() {
    for (fault, begins, ends) in [OPEN, CLOSED, READ_ONLY] {
        println!("the last place is {fault}");
        let Some(stage) = Stage::bare() else { return };
        settle_last(&stage);
        // Not in /tmp, which is read-only in one case.
        let named = Path::new("/dev/shm/runtime-alice");
        mounts::directory(named, 1, 0o700);
        begins();
        let mut first = stage
            .launch(User::ALICE)
            .env("XDG_RUNTIME_DIR", named)
            .start();
        let has_it = first.ask("join logic") == "number 0";
        if !has_it {
            let reason = first.ask("reason 0");
            assert!(reason.contains(LAST), "{reason}");
        }
        ends();
        let _second = stage.joined(User::ALICE, u32::from(has_it));
    }
}

/// One descriptor is enough for the registry, but the table can't be read.
#[test]
fn no_descriptor_is_left_for_the_table() {
    let Some(stage) = Stage::bare() else { return };
    let mut first = stage.joined(User::ALICE, 0);
    fs::remove_file(Path::new(LAST).join("logic.user.0")).unwrap();
    let mut second = stage.start(User::ALICE);
    assert_eq!(second.ask("descriptors-left 1"), "1 left");
    let said = second.ask("join logic");
    assert!(
        said.starts_with("private: ") && said.contains("too many files open"),
        "{said}"
    );
    assert_eq!(count(&mut first), 1);
}

/// Some are enough for the registry and for the table, but not for all that has to be looked at.
#[test]
fn few_descriptors_are_left() {
    for deleted in [false, true] {
        for left in 0..8 {
            let Some(stage) = Stage::new() else { return };
            let mut first = stage.joined(User::ALICE, 0);
            assert_eq!(first.ask("claim 0 camera"), "mine");
            if deleted {
                for place in [Path::new(LAST), &runtime(1).join("qshm")] {
                    fs::remove_dir_all(place).unwrap();
                }
            }
            let mut second = stage.start(User::ALICE);
            second.ask(&format!("descriptors-left {left}"));
            let said = second.ask("join logic");
            let fine = said == "number 1" || said.contains("too many files open");
            assert!(fine, "{left} left: {said}");
            let mut third = stage.joined(User::ALICE, if said == "number 1" { 2 } else { 1 });
            third.ask(&format!("descriptors-left {left}"));
            let said = third.ask("claim 0 camera");
            let fine = said.starts_with("taken by 0 ") || said.contains("too many files open");
            assert!(fine, "{left} left: {said}");
        }
    }
}

/// Root for a user sees root for the same user, though the look at the registry is made with the user's
/// rights; and an ordinary user, who sees nothing of root's, says nothing to the next about it.
#[test]
fn roots_processes_on_files_that_are_gone() {
    let Some(stage) = Stage::new() else { return };
    let mut first = stage.joined(User::SUDO_ALICE, 0);
    assert_eq!(first.ask("claim 0 camera"), "mine");
    let delete = || {
        for place in [Path::new(LAST), &runtime(1).join("qshm")] {
            fs::remove_dir_all(place).unwrap();
        }
    };
    delete();
    let second = stage.joined(User::SUDO_ALICE, 1);
    delete();
    drop(second);
    let mut blind = stage.start(User::ALICE);
    blind.ask("join logic");
    blind.ask("claim 0 camera");
    drop(blind);
    let mut third = stage.joined(User::SUDO_ALICE, 1);
    assert!(third.ask("claim 0 camera").starts_with("taken by 0 "));
}

/// The same where it is the last place that can't be had beside the runtime directory, and for a
/// claim.
#[test]
fn no_descriptor_is_left_for_the_last_place() {
    let Some(stage) = Stage::new() else { return };
    let mut one = stage.start(User::ALICE);
    assert_eq!(one.ask("descriptors-left 1"), "1 left");
    let said = one.ask("join logic");
    assert!(said.contains("too many files open"), "{said}");
    let mut first = stage.joined(User::ALICE, 0);
    assert_eq!(first.ask("descriptors-left 1"), "1 left");
    let said = first.ask("claim 0 camera");
    assert!(said.starts_with("unavailable: "), "{said}");
    assert!(said.contains("too many files open"), "{said}");
    let _second = stage.joined(User::ALICE, 1);
}

/// Where a lock is, from the kernel's table.
fn position_of_the_only_lock() -> i64 {
    let table = fs::read_to_string("/proc/locks").unwrap();
    let inode = {
        use std::os::unix::fs::MetadataExt;
        let file = Path::new(LAST).join("victim.user.0");
        format!(":{} ", file.metadata().unwrap().ino())
    };
    let line = table
        .lines()
        .find(|line| line.contains("OFDLCK") && line.contains(&inode));
    let words = line.expect("a lock").split_ascii_whitespace();
    words.rev().nth(1).unwrap().parse().unwrap()
}

/// Whoever guesses a name can lock the same bytes of a file of his own, or of one that all may lock.
#[test]
fn locks_on_a_file_of_somebody_else() {
    for foreign in ["/tmp/mallory", "/dev/shm/qshm-instances.chat.world.0"] {
        let Some(stage) = Stage::bare() else { return };
        let mut process = stage.start(User::ALICE);
        join(&mut process, "victim", 0);
        let start = position_of_the_only_lock();
        drop(process);
        fs::remove_dir_all(LAST).unwrap();
        // Mapped by the victim's own process, if it is the one of the machine.
        let mut process = stage.start(User::ALICE);
        assert_eq!(process.ask("join chat world"), "number 0");
        // This test's process is root's, but has not mapped it.
        let foreign = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(foreign)
            .unwrap();
        for number in 0..2500 {
            let lock = libc::flock {
                l_type: libc::F_WRLCK as i16,
                l_whence: libc::SEEK_SET as i16,
                // Not as one lock, which would not be within the range that is looked at.
                l_start: start + 2 * number,
                l_len: 1,
                l_pid: 0,
            };
            let locked = nix::fcntl::fcntl(&foreign, nix::fcntl::FcntlArg::F_OFD_SETLK(&lock));
            locked.expect("it is nobody's");
        }
        join(&mut process, "victim", 0);
        assert_eq!(process.ask("count 1"), "1");
    }
}

/// Who sees a lock in the kernel's table must be able to see whose process has the file mapped.
#[test]
fn a_file_is_mapped_before_it_is_locked() {
    let Some(stage) = Stage::bare() else { return };
    if !needs_strace() {
        return;
    }
    let traced = Traced {
        world: &stage.world,
        program: base_program("face_instance"),
        preload: None,
        args: vec!["join logic".to_owned(), "claim 0 camera".to_owned()],
        user: User::ALICE,
        more: OF_INSTANCES,
    };
    let (mut mapped, mut locks) = (Vec::new(), 0);
    for call in traced.record() {
        let arguments = call.text.split_once('(').map_or("", |(_, text)| text);
        let mut arguments = arguments.split(", ");
        match call.name.as_str() {
            "mmap" => mapped.extend(arguments.nth(4).map(str::to_owned)),
            "close" => mapped.clear(),
            "fcntl" if call.text.contains("F_WRLCK") && call.text.contains("F_OFD_SETLK") => {
                let file = arguments.next().expect("a descriptor").to_owned();
                assert!(mapped.contains(&file), "{}", call.text);
                locks += 1;
            }
            _ => {}
        }
    }
    assert!(locks >= 2, "{locks} locks");
}
