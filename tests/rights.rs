//! Threads that act for a user as root by sudo does, beside threads that fork, and that give up
//! their rights.

#![allow(clippy::unwrap_used, unsafe_code)]

mod processes;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nix::libc;
use nix::unistd::{Gid, Uid, geteuid, setgid, setuid};
use processes::{child, ends_well};
use qshm::kernel::{Kernel as _, Linux};

/// A user and a group that nobody need have.
const SOMEBODY: u32 = 4711;

/// Whether the test may act for others; says so if not.
fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        println!("SKIPPED: only root may act for others");
    }
    root
}

/// Ends the other thread, also if a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `act` while another thread acts for a user all the time.
fn beside_one_who_acts_for_others(act: impl FnOnce()) {
    let (acted, done) = (AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let looked = Linux.as_user(SOMEBODY, SOMEBODY, || Linux.geteuid());
                // When the rights are given up, it is refused.
                assert!(matches!(looked, Ok(SOMEBODY) | Err(_)));
                acted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _ends = Ends(&done);
        while acted.load(Ordering::Relaxed) < 20 {
            std::thread::yield_now();
        }
        act();
    });
}

#[test]
fn a_child_forked_while_a_thread_acts_for_others_may_do_so_too() {
    if !is_root() {
        return;
    }
    ends_well(child(|| {
        beside_one_who_acts_for_others(|| {
            for _ in 0..200 {
                ends_well(child(|| {
                    // SAFETY: numbers only. The alarm ends the child if it hangs.
                    let dumpable = unsafe {
                        libc::alarm(10);
                        libc::prctl(libc::PR_GET_DUMPABLE)
                    };
                    assert_eq!(dumpable, 1);
                    assert_eq!(Linux.as_user(SOMEBODY, SOMEBODY, || ()), Ok(()));
                }));
            }
        });
    }));
}

#[test]
fn rights_are_given_up_while_a_thread_acts_for_others() {
    if !is_root() {
        return;
    }
    for _ in 0..60 {
        ends_well(child(|| {
            beside_one_who_acts_for_others(|| {
                setgid(Gid::from_raw(SOMEBODY + 1)).unwrap();
                setuid(Uid::from_raw(SOMEBODY + 1)).unwrap();
            });
        }));
    }
}
