//! As a user who may not do everything, and where something is missing: in processes that give up
//! their rights or the machine's file systems.

#![allow(clippy::unwrap_used, unsafe_code)]

mod processes;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};
use processes::{child, ends_well};
use qshm::key::{KeyType, NativeKey};
use qshm::{
    Access, AccessMode, InTheWay, Key, OpenMode, OptionsUpdate, SharedMemory, SystemSemaphore,
};

/// A user and its only group, and a group that it does not belong to.
const USER: u32 = 1;
const GROUP: u32 = 1;
const OTHERS: u32 = 4;

/// A folder of root's that everybody may look into. `None`, after saying so, for who can't become
/// somebody else.
fn folder(name: &str) -> Option<PathBuf> {
    if !geteuid().is_root() {
        println!("SKIPPED: only root can become somebody else");
        return None;
    }
    let path = std::env::temp_dir().join(format!("qshm-native-{name}-{}", std::process::id()));
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    Some(path)
}

/// Runs `act` as a user, with no System V objects but its own.
fn as_user(act: impl FnOnce()) {
    ends_well(child(|| {
        // SAFETY: of this process alone, which has no System V objects.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWIPC) }, 0);
        setgroups(&[]).unwrap();
        setgid(Gid::from_raw(GROUP)).unwrap();
        setuid(Uid::from_raw(USER)).unwrap();
        act();
    }));
}

/// With a System V key of Qt 6.6 and later: a path, as for ftok(3).
fn memory(path: &Path) -> SharedMemory {
    let memory = SharedMemory::new();
    memory.set_native_ipc_key(NativeKey::new(KeyType::SystemV(b'Q'), path.into(), false));
    memory
}

#[test]
fn any_file_or_directory_will_do() {
    let Some(folder) = folder("any") else { return };
    let program = folder.join("program");
    fs::write(&program, "not empty").unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    for path in [&program, &folder] {
        as_user(|| {
            let mine = memory(path);
            assert!(mine.create(4, AccessMode::ReadWrite), "{}", mine.error());
            assert!(mine.lock(), "{}", mine.error());
            ends_well(child(|| {
                let other = memory(path);
                assert!(other.attach(AccessMode::ReadWrite), "{}", other.error());
                assert!(!other.try_lock(Duration::ZERO));
                assert_eq!(other.error().to_string(), "");
            }));
            assert!(mine.unlock());
            ends_well(child(|| {
                let other = memory(path);
                assert!(other.attach(AccessMode::ReadWrite), "{}", other.error());
                assert!(other.lock() && other.unlock(), "{}", other.error());
            }));
            drop(mine);
            assert!(!memory(path).attach(AccessMode::ReadWrite));
            let count = SystemSemaphore::new();
            let key = NativeKey::new(KeyType::SystemV(b'R'), path.clone(), false);
            count.set_native_ipc_key(key, 1, OpenMode::Open);
            assert!(count.acquire() && count.release(1), "{}", count.error());
        });
    }
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&program), mode(&folder)), (0o755, 0o755));
    assert_eq!(fs::read(&program).unwrap(), b"not empty");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn nobody_is_told_to_remove_somebodys_files() {
    let Some(folder) = folder("told") else { return };
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    let file = folder.join("file");
    fs::write(&file, "precious").unwrap();
    let link = folder.join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&data, &file] {
        chown(path, Some(2), Some(2)).unwrap();
    }
    for path in [&data, &file, &link] {
        as_user(|| {
            let mine = memory(path);
            mine.set_options(OptionsUpdate {
                in_the_way: Some(InTheWay::Fail),
                ..OptionsUpdate::default()
            });
            assert!(!mine.create(4, AccessMode::ReadWrite));
            let error = mine.error().to_string();
            assert!(error.contains(&*path.to_string_lossy()), "{error}");
            assert!(!error.contains("rm "), "{error}");
        });
    }
    fs::remove_dir_all(&folder).unwrap();
}

fn assert_is_theirs_alone(file: &Path) {
    let found = file.metadata().unwrap();
    assert_eq!((found.uid(), found.gid()), (USER, GROUP));
    assert_eq!(
        found.permissions().mode() & 0o777,
        0o600,
        "{}",
        file.display()
    );
}

#[test]
fn who_is_no_member_gives_nothing_to_a_group() {
    let Some(temp) = folder("group") else { return };
    fs::set_permissions(&temp, Permissions::from_mode(0o777)).unwrap();
    let name = PathBuf::from(format!("/qshm-group-{}", std::process::id()));
    let posix = NativeKey::new(KeyType::Posix, name, false);
    let system_v = Key::new(b"group", &temp);
    as_user(|| {
        let memory = || {
            let memory = SharedMemory::new();
            memory.set_options(OptionsUpdate {
                access: Some(Access::Group(OTHERS)),
                ..OptionsUpdate::default()
            });
            memory
        };
        let first = memory();
        first.set_native_ipc_key(posix.clone());
        let second = memory();
        second.set_key(system_v.clone());
        for memory in [first, second] {
            assert!(
                memory.create(4, AccessMode::ReadWrite),
                "{}",
                memory.error()
            );
            assert!(memory.lock() && memory.unlock(), "{}", memory.error());
            let (segment, semaphore) = posix.objects().unwrap();
            let of_key = [system_v.segment_file(), system_v.semaphore_file()];
            let files = [segment, semaphore].into_iter().chain(of_key);
            for file in files.filter(|file| file.exists()) {
                assert_is_theirs_alone(&file);
            }
        }
    });
    fs::remove_dir(&temp).unwrap();
}

/// In the words of Qt 6.8, which asks for the lock first.
#[test]
fn without_dev_shm_it_is_the_lock_that_does_not_exist() {
    if !geteuid().is_root() {
        println!("SKIPPED: only root can take /dev/shm away");
        return;
    }
    ends_well(child(|| {
        // SAFETY: strings that end with a NUL and live through the calls, of which none changes
        // what other processes see.
        unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let none = std::ptr::null();
            assert_eq!(
                libc::mount(none, c"/".as_ptr(), none, private, none.cast()),
                0
            );
            let tmpfs = c"tmpfs".as_ptr();
            assert_eq!(
                libc::mount(tmpfs, c"/dev".as_ptr(), tmpfs, 0, none.cast()),
                0
            );
        }
        let key = NativeKey::new(KeyType::Posix, "/qshm-no-directory".into(), false);
        let mine = SharedMemory::new();
        mine.set_native_ipc_key(key.clone());
        let count = SystemSemaphore::new();
        count.set_native_ipc_key(key, 1, OpenMode::Open);
        let semaphore = "QSystemSemaphore::handle: does not exist";
        assert!(
            count.error().to_string().starts_with(semaphore),
            "{}",
            count.error()
        );
        let segment =
            format!("QSharedMemoryPrivate::initKey: unable to set key on lock ({semaphore})");
        assert!(!mine.attach(AccessMode::ReadWrite));
        assert!(
            mine.error().to_string().starts_with(&segment),
            "{}",
            mine.error()
        );
        assert!(!mine.create(4, AccessMode::ReadWrite));
        assert!(
            mine.error().to_string().starts_with(&segment),
            "{}",
            mine.error()
        );
        assert!(!mine.lock());
        assert_eq!(
            mine.error().to_string(),
            "QSharedMemory::lock: unable to lock"
        );
    }));
}
