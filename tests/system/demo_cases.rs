//! The report and its relatives, as scripts/demo plays them: root and its user,
//! two users, crashes, leftovers, in all orders.

use crate::support::under_test;
use crate::support::{Build, DEADLINE, Finished, Running, User, World};

/// What one build does in a world of its own.
struct Case {
    world: World,
    build: Build,
}

impl Case {
    fn new(build: Build) -> Option<Self> {
        World::new().map(|world| Self { world, build })
    }

    fn start(&self, user: User, mode: &str) -> Running {
        self.start_build(self.build, user, mode)
    }

    fn start_build(&self, build: Build, user: User, mode: &str) -> Running {
        self.world
            .launch_as("start_stop", build, user)
            .args(["logic-instance-number", mode])
            .start()
    }

    /// Starts and ends, with number 0.
    fn starts_alone(&self, user: User) {
        let finished = self.start(user, "once").finish(DEADLINE);
        assert_eq!(finished.lines, ["number 0", "ended"], "{finished:?}");
        assert!(finished.status.success(), "{finished:?}");
    }

    /// Starts and stays, with this number.
    fn stays(&self, user: User, number: i32) -> Running {
        let mut running = self.start(user, "hold");
        running.expect(&format!("number {number}"));
        running
    }

    /// Starts, and dies without cleaning up, with a number or while it takes one.
    fn dies(&self, user: User, mode: &str) -> Finished {
        let finished = self.start(user, mode).finish(DEADLINE);
        assert!(!finished.status.success(), "{finished:?}");
        assert!(!finished.lines.iter().any(|line| line.starts_with("failed")));
        finished
    }
}

fn all(case: fn(&Case)) {
    for build in under_test::all() {
        let Some(one) = Case::new(build) else { return };
        case(&one);
    }
}

fn end(running: Running) {
    running.finish(DEADLINE).ok();
}

#[test]
fn after_a_crash_of_root_by_sudo_the_user_starts() {
    all(|case| {
        case.dies(User::SUDO_ALICE, "crash");
        case.starts_alone(User::ALICE);
        case.world.assert_clean();
    });
}

#[test]
fn after_a_crash_of_the_user_root_by_sudo_starts() {
    all(|case| {
        case.dies(User::ALICE, "crash");
        case.starts_alone(User::SUDO_ALICE);
        case.world.assert_clean();
    });
}

#[test]
fn root_by_sudo_and_the_user_live_together() {
    all(|case| {
        let root = case.stays(User::SUDO_ALICE, 0);
        let user = case.stays(User::ALICE, 1);
        let more = case.stays(User::SUDO_ALICE, 2);
        end(root);
        end(more);
        end(user);
        case.world.assert_clean();
    });
}

#[test]
fn the_user_and_then_root_by_sudo_live_together() {
    all(|case| {
        let user = case.stays(User::ALICE, 0);
        let root = case.stays(User::SUDO_ALICE, 1);
        end(user);
        end(case.stays(User::ALICE, 1));
        end(root);
        case.world.assert_clean();
    });
}

#[test]
fn two_users_live_side_by_side() {
    all(|case| {
        let alice = case.stays(User::ALICE, 0);
        let bob = case.stays(User::BOB, 0);
        let alice_again = case.stays(User::SUDO_ALICE, 1);
        let bob_again = case.stays(User::BOB, 1);
        for one in [alice, bob, bob_again, alice_again] {
            end(one);
        }
        case.world.assert_clean();
    });
}

/// Bob had to step aside; when alice has gone, his next start still joins him.
#[test]
fn who_stepped_aside_stays_together() {
    all(|case| {
        let alice = case.stays(User::ALICE, 0);
        let bob = case.stays(User::BOB, 0);
        end(alice);
        let bob_again = case.stays(User::BOB, 1);
        // Nor does alice's new world become his.
        let alice = case.stays(User::ALICE, 0);
        let bob_more = case.stays(User::BOB, 2);
        for one in [bob, alice, bob_more, bob_again] {
            end(one);
        }
        case.world.assert_clean();
    });
}

#[test]
fn a_users_crash_does_not_lock_another_user_out() {
    all(|case| {
        case.dies(User::ALICE, "crash");
        case.starts_alone(User::BOB);
        case.starts_alone(User::ALICE);
        case.world.assert_clean();
    });
}

#[test]
fn a_crash_of_who_stepped_aside_is_cleared() {
    all(|case| {
        let alice = case.stays(User::ALICE, 0);
        case.dies(User::BOB, "crash");
        end(alice);
        case.starts_alone(User::BOB);
        case.world.assert_clean();
    });
}

#[test]
fn a_kill_inside_the_lock_leaves_it_free() {
    all(|case| {
        case.dies(User::SUDO_ALICE, "inside");
        case.starts_alone(User::ALICE);
        case.world.assert_clean();
        let user = case.stays(User::ALICE, 0);
        case.dies(User::SUDO_ALICE, "inside");
        // Whoever was killed had just counted itself.
        end(case.stays(User::ALICE, 2));
        end(user);
        case.world.assert_clean();
    });
}

/// Root, but called by nobody: its leftover is not the user's to touch.
#[test]
fn after_a_crash_of_root_itself_the_user_starts() {
    all(|case| {
        case.dies(User::Root, "crash");
        case.starts_alone(User::ALICE);
        case.starts_alone(User::Root);
        case.world.assert_clean();
    });
}

#[test]
fn root_itself_and_a_user_live_side_by_side() {
    all(|case| {
        let root = case.stays(User::Root, 0);
        let alice = case.stays(User::ALICE, 0);
        end(root);
        end(alice);
        case.world.assert_clean();
    });
}

/// An older build of the application, with Qt alone, crashed as root.
#[test]
fn a_leftover_of_qt_that_is_roots_is_no_obstacle() {
    all(|case| {
        let plain = Build::new(case.build.qt, crate::support::Flavour::Plain);
        let crash = |user| {
            let finished = case.start_build(plain, user, "crash").finish(DEADLINE);
            assert!(!finished.status.success(), "{finished:?}");
        };
        crash(User::SUDO_ALICE);
        case.starts_alone(User::ALICE);
        case.starts_alone(User::BOB);
        // Root may clear what root left.
        case.starts_alone(User::Root);
        case.world.assert_clean();
    });
}

/// The same, but of the user's own.
#[test]
fn a_leftover_of_qt_that_is_the_users_is_cleared() {
    all(|case| {
        let plain = Build::new(case.build.qt, crate::support::Flavour::Plain);
        for next in [User::ALICE, User::SUDO_ALICE] {
            for mode in ["crash", "inside"] {
                case.start_build(plain, User::ALICE, mode).finish(DEADLINE);
                case.starts_alone(next);
                case.world.assert_clean();
            }
        }
    });
}
