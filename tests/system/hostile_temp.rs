//! A temp directory that is read-only, full, missing, somebody else's, or
//! protected in the kernel's ways; and objects and key files that go while
//! they are in use.

use crate::hostile::{Scene, clear};
use crate::support::planted;
use crate::support::under_test;
use crate::support::{Build, DEADLINE, Finished, Launch, Running, User, World, program, skipped};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(8);
const WAITING: &[i64] = &[libc::SYS_semop, libc::SYS_semtimedop];

fn builds() -> [Build; 2] {
    [under_test::qt5(), under_test::qt6()]
}

/// Runs the program with a small filesystem as its temp directory, mounted
/// where nobody else sees it, and lists what is in there afterwards.
const IN_A_MOUNT: &str = r#"
set -e
mount -t tmpfs -o "mode=1777,$1" none "$TMPDIR"
[ -z "$2" ] || mount -o "remount,$2" "$TMPDIR"
set +e
setpriv $3 -- "$4" hostile once
status=$?
ls -A "$TMPDIR" | sed 's/^/file /'
exit $status
"#;

fn in_a_mount(world: &World, build: Build, user: User, options: &str, remount: &str) -> Finished {
    let (runner, ids) = match user {
        User::Uid(uid) => (
            User::Root,
            format!("--reuid={uid} --regid={uid} --clear-groups"),
        ),
        other => (other, "--no-new-privs".to_owned()),
    };
    Launch::new(Path::new("unshare"), world.temp())
        .args([
            "--mount", "sh", "-c", IN_A_MOUNT, "sh", options, remount, &ids,
        ])
        .arg(program("start_stop", build))
        .under(build)
        .user(runner)
        .start()
        .finish(PATIENCE)
}

/// Whether such a mount can be had at all.
fn needs_mounts(world: &World) -> bool {
    let done = Launch::new(Path::new("unshare"), world.temp())
        .args(["--mount", "sh", "-c", "mount -t tmpfs none \"$TMPDIR\""])
        .run();
    if !done.status.success() {
        skipped(&format!("no private mounts: {}", done.stderr.trim()));
    }
    done.status.success()
}

/// A clear answer, and nothing left: where it failed, all that it made is gone.
fn check_in_a_mount(options: &str, remount: &str, must_start: bool) {
    for build in builds() {
        let Some(world) = World::new() else { return };
        if !needs_mounts(&world) {
            return;
        }
        for user in [User::ALICE, User::SUDO_ALICE, User::Root] {
            let finished = in_a_mount(&world, build, user, options, remount);
            let what = format!("{options} {remount} {user:?}");
            assert!(clear(&finished), "{what}: {finished:#?}");
            assert!(
                !must_start || finished.status.success(),
                "{what}: {finished:#?}"
            );
            let files: Vec<&String> = finished
                .lines
                .iter()
                .filter(|line| line.starts_with("file ") && !line.starts_with("file qshm-"))
                .collect();
            assert!(files.is_empty(), "{what}: {finished:#?}");
            let objects = (world.segments(), world.semaphores());
            assert_eq!(objects, (vec![], vec![]), "{what}: {finished:#?}");
        }
    }
}

#[test]
fn a_read_only_temp_directory_gives_a_clear_error() {
    check_in_a_mount("size=64k", "ro", false);
}

/// The first inode is the directory itself: with so many, so many files fit.
#[test]
fn a_full_temp_directory_gives_a_clear_error() {
    for inodes in 1..=3 {
        check_in_a_mount(&format!("nr_inodes={inodes}"), "", false);
    }
}

#[test]
fn a_small_temp_directory_is_enough() {
    check_in_a_mount("nr_inodes=4", "", true);
}

#[test]
fn a_temp_directory_where_the_user_may_not_write_gives_a_clear_error() {
    for build in builds() {
        let Some(scene) = Scene::new(build) else {
            return;
        };
        let closed = fs::Permissions::from_mode(0o755);
        fs::set_permissions(scene.world.temp(), closed).expect("its mode");
        for user in [User::ALICE, User::SUDO_ALICE, User::Root, User::ALICE] {
            let finished = scene.start(user);
            assert!(clear(&finished), "{user:?}: {finished:#?}");
            scene.world.assert_clean();
        }
    }
}

/// Qt's temp directory is empty then, and the key files' paths begin at the
/// root of the file system or where the program runs.
#[test]
fn a_missing_temp_directory_gives_a_clear_answer() {
    for build in builds() {
        let Some(world) = World::new() else { return };
        let run = |user| {
            world
                .launch_as("start_stop", build, user)
                .env("TMPDIR", world.base().join("missing"))
                .args(["hostile", "once"])
                .start()
                .finish(PATIENCE)
        };
        for user in [User::ALICE, User::SUDO_ALICE, User::Root, User::ALICE] {
            let finished = run(user);
            assert!(clear(&finished), "{user:?}: {finished:#?}");
            world.assert_clean();
            let strays: Vec<_> = fs::read_dir("/")
                .expect("the root")
                .flatten()
                .map(|entry| entry.file_name())
                .filter(|name| name.to_string_lossy().starts_with("qipc_"))
                .collect();
            assert!(strays.is_empty(), "{user:?} left {strays:?} in /");
        }
    }
}

/// Kernels refuse `O_CREAT` on somebody else's file in a sticky directory, root
/// included. The setting is the machine's, so no other test runs meanwhile.
#[test]
fn root_and_its_user_share_whatever_the_kernel_protects() {
    const SETTING: &str = "/proc/sys/fs/protected_regular";
    struct PutBack(String);
    impl Drop for PutBack {
        fn drop(&mut self) {
            let _ = fs::write(SETTING, &self.0);
        }
    }
    for build in builds() {
        let Some(world) = World::new_alone() else {
            return;
        };
        let Ok(before) = fs::read_to_string(SETTING) else {
            skipped("the kernel has no fs.protected_regular");
            return;
        };
        let _back = PutBack(before);
        for protection in ["0", "1", "2"] {
            if fs::write(SETTING, protection).is_err() {
                skipped("fs.protected_regular cannot be set");
                return;
            }
            let run = |user, mode: &str| {
                world
                    .launch_as("start_stop", build, user)
                    .args(["protected", mode])
                    .start()
            };
            for (first, second) in [
                (User::SUDO_ALICE, User::ALICE),
                (User::ALICE, User::SUDO_ALICE),
                (User::Root, User::ALICE),
                (User::ALICE, User::BOB),
            ] {
                let what = format!("protected_regular {protection}, {first:?}, {second:?}");
                run(first, "crash").finish(PATIENCE);
                let next = run(second, "once").finish(PATIENCE);
                assert_eq!(next.lines, ["number 0", "ended"], "{what}: {next:#?}");
                let again = run(first, "once").finish(PATIENCE);
                assert_eq!(again.lines, ["number 0", "ended"], "{what}: {again:#?}");
                world.assert_clean();
                let mut live = run(first, "hold");
                live.expect("number 0");
                let beside = run(second, "once").finish(PATIENCE);
                let share = [first, second].contains(&User::SUDO_ALICE);
                let number = if share { "number 1" } else { "number 0" };
                assert_eq!(beside.lines, [number, "ended"], "{what}: {beside:#?}");
                live.finish(PATIENCE).ok();
                world.assert_clean();
            }
        }
    }
}

// What goes while it is in use.

fn holder(scene: &Scene, user: User) -> Running {
    let mut holder = scene.world.launch_as("holder", scene.build, user).start();
    holder.ask("key hostile");
    holder
}

/// Two are attached, something goes, a third starts; all end, nothing is left
/// after one more clean run.
fn goes_while_attached(what: &str, removed: fn(&Scene)) {
    for build in builds() {
        let Some(scene) = Scene::new(build) else {
            return;
        };
        let mut first = holder(&scene, User::ALICE);
        assert_eq!(first.ask("create 4"), "ok", "{what}");
        let mut second = holder(&scene, User::SUDO_ALICE);
        assert_eq!(second.ask("attach"), "ok", "{what}");
        // Only the first lock makes the semaphore.
        assert_eq!(first.ask("lock"), "ok", "{what}");
        assert_eq!(first.ask("unlock"), "ok", "{what}");
        removed(&scene);

        let third = scene.start(User::ALICE);
        assert!(clear(&third), "{what}: {third:#?}");
        // Those who are attached go on, or are told.
        for one in [&mut first, &mut second] {
            for question in ["lock", "number", "unlock"] {
                one.say(question);
                let answer = one.line_within(PATIENCE);
                assert!(answer.is_some(), "{what}: {question} hangs");
            }
            assert_eq!(one.ask("detach"), "ok", "{what}");
        }
        first.finish(DEADLINE).ok();
        second.finish(DEADLINE).ok();
        scene.starts(User::ALICE).expect(what);
        scene.world.assert_clean();
    }
}

#[test]
fn a_key_file_that_goes_while_in_use_does_no_lasting_harm() {
    goes_while_attached("the segment's key file", |scene| {
        fs::remove_file(&scene.segment_file).expect("the key file");
    });
    goes_while_attached("the semaphore's key file", |scene| {
        fs::remove_file(&scene.semaphore_file).expect("the key file");
    });
    goes_while_attached("both key files", |scene| {
        fs::remove_file(&scene.segment_file).expect("the key file");
        fs::remove_file(&scene.semaphore_file).expect("the key file");
    });
}

#[test]
fn objects_that_go_while_in_use_do_no_lasting_harm() {
    goes_while_attached("the segment", remove_segments);
    goes_while_attached("the semaphore", remove_semaphores);
    goes_while_attached("segment and semaphore", |scene| {
        remove_segments(scene);
        remove_semaphores(scene);
    });
    goes_while_attached("everything", |scene| {
        remove_segments(scene);
        remove_semaphores(scene);
        for name in scene.world.left_files() {
            fs::remove_file(scene.world.temp().join(name)).expect("a file");
        }
    });
}

fn remove_segments(scene: &Scene) {
    for one in scene.world.segments() {
        planted::remove_segment(one.id);
    }
}

fn remove_semaphores(scene: &Scene) {
    for one in scene.world.semaphores() {
        planted::remove_semaphore(one.id);
    }
}

/// ipcrm while one is inside the lock and two wait for it: all get an answer.
#[test]
fn a_semaphore_that_goes_while_some_wait_leaves_nobody_waiting() {
    for build in builds() {
        let Some(scene) = Scene::new(build) else {
            return;
        };
        let mut inside = holder(&scene, User::ALICE);
        assert_eq!(inside.ask("create 4"), "ok");
        assert_eq!(inside.ask("lock"), "ok");
        let mut waiting = [User::ALICE, User::SUDO_ALICE].map(|user| {
            let mut one = holder(&scene, user);
            assert_eq!(one.ask("attach"), "ok");
            one.say("lock");
            one.wait_for_system_call(WAITING);
            one
        });
        remove_semaphores(&scene);
        inside.ask("unlock");
        // Whoever answers "ok" has the lock and gives it on.
        let mut answers = 0;
        let until = std::time::Instant::now() + PATIENCE;
        let mut answered = [false, false];
        while answers < 2 && std::time::Instant::now() < until {
            for (one, done) in waiting.iter_mut().zip(&mut answered) {
                if *done {
                    continue;
                }
                if let Some(answer) = one.line_within(Duration::from_millis(20)) {
                    assert!(answer == "ok" || answer.starts_with("error 6"), "{answer}");
                    one.ask("unlock");
                    *done = true;
                    answers += 1;
                }
            }
        }
        assert_eq!(
            answers,
            2,
            "somebody waits for ever: {}",
            scene.world.state()
        );
        // From here on the lock works again.
        assert_eq!(inside.ask("lock"), "ok");
        waiting[0].say("lock");
        waiting[0].wait_for_system_call(WAITING);
        assert_eq!(inside.ask("unlock"), "ok");
        waiting[0].expect("ok");
        inside.finish(DEADLINE).ok();
        for one in waiting {
            one.finish(DEADLINE).ok();
        }
        scene.starts(User::ALICE).expect("the next start");
        scene.world.assert_clean();
    }
}

/// Of what a crash left, a cleaner has taken a part.
#[test]
fn a_part_of_a_leftover_is_no_obstacle() {
    type Part = (&'static str, fn(&Scene));
    let parts: [Part; 6] = [
        ("the segment's key file", |scene| {
            fs::remove_file(&scene.segment_file).expect("the key file");
        }),
        ("the semaphore's key file", |scene| {
            fs::remove_file(&scene.semaphore_file).expect("the key file");
        }),
        ("both key files", |scene| {
            fs::remove_file(&scene.segment_file).expect("the key file");
            fs::remove_file(&scene.semaphore_file).expect("the key file");
        }),
        ("the segment", remove_segments),
        ("the semaphore", remove_semaphores),
        ("segment and semaphore", |scene| {
            remove_segments(scene);
            remove_semaphores(scene);
        }),
    ];
    for build in builds() {
        let Some(scene) = Scene::new(build) else {
            return;
        };
        for (what, part) in parts {
            for (crashed, next) in [
                (User::SUDO_ALICE, User::ALICE),
                (User::ALICE, User::SUDO_ALICE),
            ] {
                scene
                    .world
                    .launch_as("start_stop", build, crashed)
                    .args(["hostile", "crash"])
                    .start()
                    .finish(PATIENCE);
                part(&scene);
                let started = scene.starts(next);
                assert!(started.is_ok(), "without {what}: {started:?}");
                // Without its key file an object can hardly be found again.
                if !what.contains("file") {
                    scene.world.assert_clean();
                }
                scene.world.restart();
            }
        }
    }
}
