//! The life of a segment and its lock on the running kernel, in one process.

#![allow(clippy::unwrap_used, unsafe_code)]

use std::path::Path;
use std::time::Duration;

use qshm::{AccessMode, ErrorKind, Key, OpenMode, SharedMemory, SystemSemaphore};

struct Temp(std::path::PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("qshm-lifecycle-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Temp(path)
    }

    fn memory(&self) -> SharedMemory {
        let memory = SharedMemory::new();
        memory.set_key(Key::new(b"lifecycle", &self.0));
        memory
    }

    fn files(&self) -> usize {
        std::fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_last_one_out_leaves_nothing() {
    let temp = Temp::new("last");
    let (first, second) = (temp.memory(), temp.memory());
    assert!(!first.attach(AccessMode::ReadWrite));
    assert_eq!(first.error().kind(), ErrorKind::NotFound);
    assert!(first.create(4, AccessMode::ReadWrite), "{}", first.error());
    assert_eq!(first.size(), 4);
    assert!(!second.create(4, AccessMode::ReadWrite));
    assert_eq!(
        second.error().to_string(),
        "QSharedMemory::create: already exists"
    );
    assert!(second.attach(AccessMode::ReadWrite), "{}", second.error());
    assert!(first.detach());
    assert!(!first.detach());
    assert!(second.lock());
    assert!(second.unlock());
    assert!(!second.unlock());
    assert!(second.detach());
    drop((first, second));
    assert_eq!(temp.files(), 0);
}

#[test]
fn a_lock_excludes_and_can_be_tried() {
    let temp = Temp::new("lock");
    let (first, second) = (temp.memory(), temp.memory());
    assert!(!first.lock());
    assert_eq!(first.error().kind(), ErrorKind::LockError);
    assert!(first.create(16, AccessMode::ReadWrite));
    assert!(second.attach(AccessMode::ReadOnly));
    assert!(first.lock());
    assert!(!second.try_lock(Duration::from_millis(1)));
    assert!(first.unlock());
    assert!(second.try_lock(Duration::from_millis(1)));
    assert!(second.detach());
    assert!(first.lock());
    drop((first, second));
    assert_eq!(temp.files(), 0);
}

#[test]
fn a_lock_without_a_segment_is_one_all_the_same() {
    let temp = Temp::new("alone");
    let (first, second) = (temp.memory(), temp.memory());
    assert!(!first.attach(AccessMode::ReadWrite));
    assert!(first.lock(), "{}", first.error());
    assert!(
        second.create(4, AccessMode::ReadWrite),
        "{}",
        second.error()
    );
    assert!(!second.try_lock(Duration::from_millis(1)));
    assert!(second.detach());
    assert!(first.unlock());
    drop((first, second));
    assert_eq!(temp.files(), 0);
}

#[test]
fn a_counting_semaphore_goes_with_its_last_user() {
    let temp = Temp::new("count");
    let open = |initial, mode| {
        let semaphore = SystemSemaphore::new();
        semaphore.set_key(Key::new(b"count", Path::new(&temp.0)), initial, mode);
        semaphore
    };
    let first = open(2, OpenMode::Open);
    let second = open(7, OpenMode::Open);
    assert!(first.acquire() && second.acquire());
    assert!(second.release(1));
    let third = open(1, OpenMode::Create);
    assert!(third.acquire());
    assert!(first.release(2));
    drop((first, second, third));
    assert_eq!(temp.files(), 0);
}

fn delete_key_files(temp: &Temp) {
    for entry in std::fs::read_dir(&temp.0).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

#[test]
fn who_starts_after_a_cleaner_deleted_the_key_files_joins_all_the_same() {
    let temp = Temp::new("cleaner");
    let first = temp.memory();
    assert!(first.create(4, AccessMode::ReadWrite));
    assert!(first.lock());
    delete_key_files(&temp);
    for late in [temp.memory(), temp.memory()] {
        assert!(!late.create(4, AccessMode::ReadWrite));
        assert_eq!(late.error().kind(), ErrorKind::AlreadyExists);
        assert!(late.attach(AccessMode::ReadWrite), "{}", late.error());
        assert!(!late.try_lock(Duration::from_millis(1)));
    }
    assert!(first.unlock());
    let late = temp.memory();
    assert!(late.attach(AccessMode::ReadWrite), "{}", late.error());
    assert!(late.lock());
    assert!(!first.try_lock(Duration::from_millis(1)));
    drop((first, late));
    assert_eq!(temp.files(), 0);
    // And the next one begins anew.
    let next = temp.memory();
    assert!(next.create(8, AccessMode::ReadWrite), "{}", next.error());
    assert_eq!(next.size(), 8);
}

#[test]
fn a_counting_semaphore_survives_its_key_file() {
    let temp = Temp::new("cleaned-count");
    let open = || {
        let semaphore = SystemSemaphore::new();
        semaphore.set_key(Key::new(b"count", Path::new(&temp.0)), 1, OpenMode::Open);
        semaphore
    };
    let first = open();
    assert!(first.acquire());
    delete_key_files(&temp);
    let late = open();
    assert!(late.release(1));
    assert!(first.acquire());
    drop((first, late));
    assert_eq!(temp.files(), 0);
}

#[test]
fn a_policy_that_shares_has_its_mode_whatever_the_umask() {
    use qshm::{Access, OptionsUpdate};
    use std::os::unix::fs::PermissionsExt;

    let temp = Temp::new("world");
    let memory = temp.memory();
    memory.set_options(OptionsUpdate {
        access: Some(Access::World),
        ..OptionsUpdate::default()
    });
    assert!(
        memory.create(4, AccessMode::ReadWrite),
        "{}",
        memory.error()
    );
    for entry in std::fs::read_dir(&temp.0).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o644);
    }
    drop(memory);
    assert_eq!(temp.files(), 0);
}

#[test]
fn an_application_that_closed_all_descriptors_keeps_its_own_locks() {
    let temp = Temp::new("closed");
    let (first, second) = (temp.memory(), temp.memory());
    assert!(first.create(4, AccessMode::ReadWrite));
    assert!(second.attach(AccessMode::ReadWrite));
    // As a daemon does, but only the key files: other tests run beside this one.
    let mine: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = std::fs::read_link(entry.path()).ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            target.starts_with(&temp.0).then_some(number)
        })
        .collect();
    assert!(!mine.is_empty());
    let own = temp.0.join("pid");
    std::fs::write(&own, "1").unwrap();
    for fd in &mine {
        // The number now leads to a file of the application's, locked by it.
        let file = std::fs::File::open(&own).unwrap();
        file.lock_shared().unwrap();
        renumber(&file, *fd);
        std::mem::forget(file);
    }
    assert!(second.detach());
    assert!(first.detach());
    drop((first, second));
    let other = std::fs::File::open(&own).unwrap();
    assert!(other.try_lock().is_err(), "the application's lock is gone");
    assert_eq!(temp.files(), 1);
}

/// Makes `number` another name of the file, as dup2(2).
fn renumber(file: &std::fs::File, number: i32) {
    use std::os::fd::IntoRawFd;
    // SAFETY: the test has just made sure that nothing of its own has this number.
    let made = unsafe { nix::unistd::dup2_raw(file, number) }.unwrap();
    assert_eq!(made.into_raw_fd(), number);
}
