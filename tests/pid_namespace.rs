//! Two processes that share everything but the PID namespace, as in a sandbox: neither sees the
//! other's pid, or both have the same, and the lock must hold all the same.

#![allow(clippy::unwrap_used, unsafe_code)]

mod processes;

use std::process::Command;
use std::time::Duration;

use nix::libc;
use processes::{child, ends_well};
use qshm::key::{KeyType, NativeKey};
use qshm::{AccessMode, Key, OpenMode, SharedMemory, SystemSemaphore};

const NAME: &str = "QSHM_TEST_PID_NAMESPACE";

fn key(kind: &str, name: &str) -> Key {
    Key::new(format!("{kind}-{name}").as_bytes(), &qshm::key::temp_dir())
}

#[test]
#[ignore = "the other side of the test below, which starts it in a PID namespace of its own"]
fn inside() {
    let name = std::env::var(NAME).unwrap();
    let memory = SharedMemory::new();
    memory.set_key(key("segment", &name));
    assert!(memory.attach(AccessMode::ReadWrite), "{}", memory.error());
    assert!(!memory.try_lock(Duration::from_millis(50)));
    let counter = SystemSemaphore::new();
    counter.set_key(key("counter", &name), 1, OpenMode::Open);
    // Its value was 0 and is now 1, not 2.
    assert!(counter.release(1));
    assert!(counter.acquire());
}

#[test]
fn a_lock_holds_against_who_can_not_see_its_holder() {
    let separate = ["--pid", "--fork", "--kill-child"];
    let mut probe = Command::new("unshare");
    if !probe
        .args(separate)
        .arg("true")
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("SKIPPED: no right to a PID namespace of its own");
        return;
    }
    let name = std::process::id().to_string();
    let memory = SharedMemory::new();
    memory.set_key(key("segment", &name));
    assert!(
        memory.create(4, AccessMode::ReadWrite),
        "{}",
        memory.error()
    );
    assert!(memory.lock());
    let counter = SystemSemaphore::new();
    counter.set_key(key("counter", &name), 1, OpenMode::Open);
    assert!(counter.acquire());

    let status = Command::new("unshare")
        .args(separate)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "inside", "--ignored", "--nocapture"])
        .env(NAME, &name)
        .status()
        .unwrap();
    assert!(status.success());
    assert!(memory.unlock());
    assert!(memory.try_lock(Duration::from_millis(50)));
    assert!(memory.unlock());
}

/// Runs `act` in a child that has pid 1. False if there is no right to that.
fn child_with_pid_1(act: impl FnOnce()) -> bool {
    // SAFETY: a number. From then on, this process's children are in another namespace.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        return false;
    }
    ends_well(child(|| {
        assert_eq!(std::process::id(), 1);
        act();
    }));
    true
}

/// A sandbox that is made inside another: the child's pid is its parent's, but not what the parent
/// has mapped and locked.
#[test]
fn a_child_that_has_its_parents_pid_is_another_process() {
    let name = format!("same-pid-{}", std::process::id());
    let posix = |what| NativeKey::new(KeyType::Posix, format!("/{name}-{what}").into(), false);
    ends_well(child(|| {
        let ran = child_with_pid_1(|| {
            let (old, new) = (SharedMemory::new(), SharedMemory::new());
            old.set_key(key("segment", &name));
            new.set_native_ipc_key(posix("segment"));
            for memory in [&old, &new] {
                let made = memory.create(4, AccessMode::ReadWrite);
                assert!(made && memory.lock(), "{}", memory.error());
            }
            let counter = SystemSemaphore::new();
            counter.set_native_ipc_key(posix("counter"), 1, OpenMode::Open);
            assert!(counter.acquire() && counter.release(1));
            assert!(child_with_pid_1(|| {
                for memory in [&old, &new] {
                    assert!(!memory.try_lock(Duration::from_millis(20)));
                    assert!(!memory.unlock());
                }
                assert!(counter.acquire() && counter.release(1));
            }));
            for memory in [&old, &new] {
                assert!(memory.unlock());
            }
            drop((old, new, counter));
        });
        if !ran {
            println!("SKIPPED: no right to a PID namespace of its own");
        }
    }));
}
