//! POSIX keys of Qt 6.6 and later: with real Qt beside, with kills, and with hostile files in
//! `/dev/shm`.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::support::{Build, DEADLINE, Running, User, World, has_qt68};

const KEY: &str = "posix:peers";

/// The uids of `User::ALICE` and `User::BOB`.
const ALICE: u32 = 1;
const BOB: u32 = 2;

const EXISTS: &str = "error 4 QSharedMemory::attach (shm_open): already exists";
const MISSING: &str = "error 5 QSharedMemory::attach (shm_open): doesn't exist";

/// Where a process waits for a lock.
const WAITING: [i64; 1] = [libc::SYS_futex];

fn world() -> Option<World> {
    if has_qt68() { World::new() } else { None }
}

/// A process whose object has the key.
fn start(world: &World, build: Build, user: User) -> Running {
    let mut running = world.launch_as("holder", build, user).start();
    assert_eq!(running.ask(&format!("key {KEY}")), "/peers");
    running
}

fn ours(world: &World, user: User) -> Running {
    start(world, Build::QSHM68, user)
}

fn qts(world: &World, user: User) -> Running {
    start(world, Build::QT68, user)
}

/// An answer without what the drop-in adds in parentheses.
fn text(answer: &str) -> &str {
    answer.rsplit_once(" (/").map_or(answer, |(text, _)| text)
}

fn quit(mut running: Running) {
    running.say("quit");
    let finished = running.finish(DEADLINE);
    assert!(finished.status.success(), "{finished:#?}");
}

fn object(name: &str) -> PathBuf {
    Path::new("/dev/shm").join(name)
}

#[test]
fn qt_and_ours_share_a_segment_and_its_lock() {
    let Some(world) = world() else { return };
    for user in [User::Root, User::ALICE] {
        for builds in [
            [Build::QT68, Build::QSHM68],
            [Build::QSHM68, Build::QT68],
            [Build::QSHM68, Build::QSHM68],
        ] {
            let [mut a, mut b] = builds.map(|build| start(&world, build, user));
            assert_eq!(b.ask("attach"), MISSING, "{builds:?}");
            assert_eq!(a.ask("create 5000"), "ok");
            assert_eq!(a.ask("fill 3"), "ok");
            if builds[1] == Build::QSHM68 {
                // (Qt's own create() makes another semaphore, and then there are two locks.)
                assert_eq!(text(&b.ask("create 5000")), EXISTS);
            }
            assert_eq!(b.ask("attach"), "ok");
            assert_eq!(b.ask("size"), "5000");
            assert_eq!(b.ask("filled 3"), "ok");
            for _ in 0..3 {
                for (holder, waiter) in [(0, 1), (1, 0)] {
                    let pair = [&mut a, &mut b];
                    assert_eq!(pair[holder].ask("lock"), "ok");
                    pair[waiter].say("lock");
                    pair[waiter].wait_for_system_call(&WAITING);
                    assert_eq!(pair[waiter].line_now(), None, "the lock is not held");
                    assert_eq!(pair[holder].ask("unlock"), "ok");
                    pair[waiter].expect("ok");
                    assert_eq!(pair[waiter].ask("unlock"), "ok");
                }
            }
            quit(a);
            assert_eq!(b.ask("filled 3"), "ok");
            quit(b);
            // Qt leaves its segment; the next clean exit of ours takes it along.
            let mut last = ours(&world, user);
            assert_eq!(last.ask("create 4"), "ok");
            quit(last);
            world.assert_clean();
        }
    }
}

#[test]
fn who_is_killed_inside_the_lock_gives_it_back() {
    let Some(world) = world() else { return };
    let mut a = ours(&world, User::ALICE);
    let mut b = ours(&world, User::ALICE);
    assert_eq!(a.ask("create 4"), "ok");
    assert_eq!(b.ask("attach"), "ok");
    assert_eq!(a.ask("lock"), "ok");
    assert_eq!(a.ask("put 7"), "ok");
    b.say("lock");
    b.wait_for_system_call(&WAITING);
    a.kill_and_wait();
    b.expect("ok");
    assert_eq!(b.ask("get"), "7");
    assert_eq!(b.ask("unlock"), "ok");
    b.say("quit");
    let finished = b.finish(DEADLINE);
    assert!(
        finished.stderr.contains("died between lock() and unlock()"),
        "{finished:#?}"
    );
    world.assert_clean();
}

/// Some programs remove the segment by themselves, as they have to with Qt.
#[test]
fn who_removes_the_segment_alone_leaves_no_semaphore_of_a_crash() {
    let Some(world) = world() else { return };
    let mut a = ours(&world, User::ALICE);
    assert_eq!(a.ask("create 4"), "ok");
    assert_eq!(a.ask("lock"), "ok");
    a.kill_and_wait();
    let mut b = ours(&world, User::ALICE);
    assert_eq!(b.ask("create 4"), "ok");
    fs::remove_file(object("peers")).expect("the segment");
    quit(b);
    world.assert_clean();
}

/// A segment that only processes of Qt have mapped, which hold no lock of ours: of the same user,
/// and of root, into whose maps a user may not look.
#[test]
fn what_qt_has_mapped_stays() {
    let Some(world) = world() else { return };
    for theirs in [User::ALICE, User::Root] {
        let mut maker = ours(&world, User::ALICE);
        assert_eq!(maker.ask("create 100"), "ok");
        let mut peer = qts(&world, theirs);
        assert_eq!(peer.ask("attach"), "ok", "{theirs:?}");
        assert_eq!(peer.ask("fill 5"), "ok");
        quit(maker);
        assert!(object("peers").exists(), "{}", world.state());

        let mut next = ours(&world, User::ALICE);
        assert_eq!(text(&next.ask("create 100")), EXISTS);
        assert_eq!(next.ask("attach"), "ok");
        assert_eq!(next.ask("filled 5"), "ok");
        quit(next);
        assert!(object("peers").exists(), "{}", world.state());

        // Nobody has it any more: it is what a crash left.
        peer.kill_and_wait();
        let mut after = ours(&world, User::ALICE);
        assert_eq!(text(&after.ask("attach")), MISSING);
        assert_eq!(after.ask("create 50"), "ok");
        assert_eq!(after.ask("get"), "0");
        quit(after);
        // Root's semaphore a user can't remove.
        let roots = ["sem.peers"];
        let left = if theirs == User::Root {
            &roots[..]
        } else {
            &[]
        };
        assert_eq!(world.objects(), left);
        world.restart();
    }
}

/// The report of the field: root's run blocks the user for ever.
#[test]
fn what_qt_as_root_left_does_not_stop_the_user() {
    let Some(world) = world() else { return };
    for crash in [false, true] {
        let mut root = qts(&world, User::Root);
        assert_eq!(root.ask("create 4"), "ok");
        if crash {
            assert_eq!(root.ask("lock"), "ok");
            root.kill_and_wait();
        } else {
            quit(root);
        }
        assert!(object("peers").exists(), "{}", world.state());
        // With Qt it does.
        let mut blocked = qts(&world, User::ALICE);
        assert!(blocked.ask("create 4").starts_with("error "));
        quit(blocked);

        let mut user = ours(&world, User::ALICE);
        assert_eq!(user.ask("create 4"), "ok");
        assert_eq!(user.ask("lock"), "ok");
        quit(user);
        // And root, called by the user, clears it.
        let mut sudo = ours(&world, User::SUDO_ALICE);
        assert_eq!(sudo.ask("create 4"), "ok");
        assert_eq!(sudo.ask("lock"), "ok");
        assert_eq!(sudo.ask("unlock"), "ok");
        let mut again = ours(&world, User::ALICE);
        assert_eq!(again.ask("attach"), "ok");
        quit(sudo);
        quit(again);
        world.assert_clean();
    }
}

#[test]
fn semaphores_give_back_what_the_dead_acquired() {
    let Some(world) = world() else { return };
    let start = || {
        world
            .launch_as("holder", Build::QSHM68, User::ALICE)
            .start()
    };
    let (mut a, mut b, mut c) = (start(), start(), start());
    assert_eq!(a.ask("sem posix:signal 2 create"), "ok");
    assert_eq!(b.ask("sem posix:signal 0 open"), "ok");
    assert_eq!(c.ask("sem posix:signal 0 open"), "ok");
    assert_eq!(b.ask("acquire"), "ok");
    assert_eq!(b.ask("acquire"), "ok");
    a.say("acquire");
    a.wait_for_system_call(&WAITING);
    b.kill_and_wait();
    a.expect("ok");
    assert_eq!(a.ask("acquire"), "ok");
    // What somebody released stays released, as with Qt: a signal to whoever waits.
    assert_eq!(c.ask("release 2"), "ok");
    assert_eq!(a.ask("acquire"), "ok");
    c.kill_and_wait();
    let mut d = start();
    assert_eq!(d.ask("sem posix:signal 0 open"), "ok");
    assert_eq!(a.ask("acquire"), "ok");
    a.say("acquire");
    a.wait_for_system_call(&WAITING);
    assert_eq!(d.ask("release 1"), "ok");
    a.expect("ok");
    quit(a);
    quit(d);
    world.assert_clean();
}

#[test]
fn a_semaphore_is_a_signal_between_qt_and_ours() {
    let Some(world) = world() else { return };
    for builds in [[Build::QT68, Build::QSHM68], [Build::QSHM68, Build::QT68]] {
        let [mut a, mut b] = builds.map(|build| world.launch("holder", build).start());
        assert_eq!(a.ask("sem posix:signal 0 open"), "ok");
        assert_eq!(b.ask("sem posix:signal 0 open"), "ok");
        for (sender, waiter) in [(0, 1), (1, 0)] {
            let pair = [&mut a, &mut b];
            pair[waiter].say("acquire");
            pair[waiter].wait_for_system_call(&WAITING);
            assert_eq!(pair[sender].ask("release"), "ok");
            pair[waiter].expect("ok");
        }
        quit(b);
        quit(a);
        world.restart();
    }
}

/// What stands where a segment or a semaphore should.
type Plant = fn(&Path);

const PLANTS: [(&str, Plant); 8] = [
    ("a link", |path| {
        symlink("/etc/passwd", path).expect("a link");
    }),
    ("a dangling link", |path| {
        symlink("/no/such", path).expect("a link");
    }),
    ("a FIFO", |path| {
        let done = std::process::Command::new("mkfifo").arg(path).status();
        assert!(done.expect("mkfifo").success());
    }),
    ("a directory", |path| {
        fs::create_dir(path).expect("a directory");
    }),
    ("an empty file of bob's", |path| of_bob(path, 0, 0o666)),
    ("a full file of bob's", |path| of_bob(path, 4096, 0o666)),
    ("a file that may not be opened", |path| {
        of_bob(path, 4096, 0o600);
    }),
    ("a file with two links", |path| {
        of_bob(path, 32, 0o600);
        chown(path, Some(ALICE), None).expect("chown");
        fs::hard_link(path, path.with_extension("other")).expect("a link");
    }),
];

fn of_bob(path: &Path, size: u64, mode: u32) {
    let file = File::create(path).expect("a file");
    file.set_len(size).expect("a size");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    chown(path, Some(BOB), None).expect("chown");
}

#[test]
fn a_planted_file_is_stepped_aside_of() {
    let Some(world) = world() else { return };
    for name in ["peers", "sem.peers"] {
        for (what, plant) in PLANTS {
            plant(&object(name));
            let mut a = ours(&world, User::ALICE);
            let mut b = ours(&world, User::ALICE);
            assert_eq!(a.ask("create 100"), "ok", "{name}: {what}");
            assert_eq!(b.ask("attach"), "ok", "{name}: {what}");
            assert_eq!(a.ask("lock"), "ok", "{name}: {what}");
            b.say("lock");
            b.wait_for_system_call(&WAITING);
            assert_eq!(a.ask("unlock"), "ok");
            b.expect("ok");
            assert_eq!(b.ask("unlock"), "ok");
            quit(a);
            quit(b);
            let left: Vec<String> = world.objects();
            assert!(
                left.iter()
                    .all(|left| left.starts_with(name) || left.contains("other")),
                "{name}: {what}: {left:?}"
            );
            world.restart();
        }
    }
}

/// Bytes that nobody of ours wrote, in files of the user's own.
#[test]
fn any_content_is_borne() {
    let Some(world) = world() else { return };
    let bytes = [0u8, 1, 0x55, 0x80, 0xff];
    for size in [0usize, 1, 31, 32, 4095, 4096, 9000] {
        for byte in bytes {
            for name in ["peers", "sem.peers"] {
                let path = object(name);
                fs::write(&path, vec![byte; size]).expect("a file");
                fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
                chown(&path, Some(ALICE), None).expect("chown");
            }
            let mut a = ours(&world, User::ALICE);
            assert_eq!(text(&a.ask("attach")), MISSING, "{size} times {byte}");
            assert_eq!(a.ask("create 8"), "ok", "{size} times {byte}");
            assert_eq!(a.ask("get"), "0");
            assert_eq!(a.ask("lock"), "ok", "{size} times {byte}");
            assert_eq!(a.ask("unlock"), "ok");
            assert_eq!(a.ask("sem posix:peers 1 open"), "ok");
            assert_eq!(a.ask("release 1"), "ok");
            assert_eq!(a.ask("acquire"), "ok");
            quit(a);
            world.assert_clean();
        }
    }
}

/// A live segment that somebody truncated: who comes now is refused, and does not crash.
#[test]
fn a_truncated_segment_is_refused() {
    let Some(world) = world() else { return };
    let mut a = ours(&world, User::ALICE);
    assert_eq!(a.ask("create 100"), "ok");
    File::options()
        .write(true)
        .open(object("peers"))
        .and_then(|file| file.set_len(0))
        .expect("truncated");
    let mut b = ours(&world, User::ALICE);
    let answer = b.ask("attach");
    assert!(
        answer.starts_with("error 8 QSharedMemory::attach (mmap): unknown error"),
        "{answer}"
    );
    assert_eq!(b.ask("attached"), "no");
    quit(b);
    quit(a);
    world.assert_clean();
}
