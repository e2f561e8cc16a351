//! System V keys of Qt 6.6 and later that are somebody's file, or a directory, as ftok(3) is used: the
//! path of the program itself, the folder of its data.

#![allow(clippy::unwrap_used, unsafe_code)]

mod processes;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};
use processes::{child, ends_well};
use qshm::key::{KeyType, NativeKey};
use qshm::{AccessMode, InTheWay, OpenMode, OptionsUpdate, SharedMemory, SystemSemaphore};

const USER: u32 = 1;

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
        setgid(Gid::from_raw(USER)).unwrap();
        setuid(Uid::from_raw(USER)).unwrap();
        act();
    }));
}

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
