//! The policy of a group that the process is no member of: nobody else may use what it makes.

#![allow(clippy::unwrap_used)]

mod processes;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};
use processes::{child, ends_well};
use qshm::key::{KeyType, NativeKey};
use qshm::{Access, AccessMode, Key, OptionsUpdate, SharedMemory};

/// A user and its only group, and a group that it does not belong to.
const USER: u32 = 1;
const GROUP: u32 = 1;
const OTHERS: u32 = 4;

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
    if !geteuid().is_root() {
        println!("SKIPPED: only root can become somebody else");
        return;
    }
    let temp = std::env::temp_dir().join(format!("qshm-group-{}", std::process::id()));
    std::fs::create_dir(&temp).unwrap();
    std::fs::set_permissions(&temp, PermissionsExt::from_mode(0o777)).unwrap();
    let name = PathBuf::from(format!("/qshm-group-{}", std::process::id()));
    let posix = NativeKey::new(KeyType::Posix, name, false);
    let system_v = Key::new(b"group", &temp);
    let user = child(|| {
        setgroups(&[]).unwrap();
        setgid(Gid::from_raw(GROUP)).unwrap();
        setuid(Uid::from_raw(USER)).unwrap();
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
    ends_well(user);
    std::fs::remove_dir(&temp).unwrap();
}
