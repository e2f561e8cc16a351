//! A process with real Qt and one with the drop-in share a segment, its lock,
//! its size and its content, whoever comes first.

use crate::support::{
    Build, DEADLINE, Flavour, Launch, Qt, Running, User, World, has_qt68, old_qt, say, skipped,
};

/// The name of the key file of the key `peers`.
const KEY_FILE: &str = "qipc_sharedmemory_peers4ba3854d6d8261bcf3b345a7a3527e1f8d66a323";

const ALREADY_EXISTS: &str = "error 4 QSharedMemory::create: already exists";
/// Of Qt up to 6.5, and later.
const NO_KEY_FILE: [&str; 2] = [
    "error 5 QSharedMemory::handle:: UNIX key file doesn't exist",
    "error 5 QSharedMemory::handle: doesn't exist",
];

/// `semop` and `semtimedop`: where a process waits for a lock.
const WAITING: [i64; 2] = [libc::SYS_semop, libc::SYS_semtimedop];

/// One of a pair of processes.
#[derive(Clone, Copy, Debug)]
struct Side<'a> {
    build: Build,
    user: User,
    /// A variable of its environment: another Qt to run on than the one it was
    /// built with, or to get on with.
    variable: Option<(&'a str, &'a str)>,
}

impl Side<'_> {
    const fn new(build: Build, user: User) -> Self {
        Self {
            build,
            user,
            variable: None,
        }
    }

    fn is_ours(self) -> bool {
        self.build.flavour != Flavour::Plain
    }

    fn launch(self, world: &World) -> Launch {
        let launch = world.launch_as("holder", self.build, self.user);
        match self.variable {
            Some((name, value)) => launch.env(name, value),
            None => launch,
        }
    }

    /// Started, and its object has the key.
    fn start(self, world: &World) -> Running {
        let mut running = self.launch(world).start();
        let native = running.ask("key peers");
        assert_eq!(native, world.temp().join(KEY_FILE).display().to_string());
        running
    }
}

#[test]
fn qt5_and_ours() {
    for user in [User::Root, User::ALICE] {
        both_ways(Side::new(Build::QT5, user), Side::new(Build::QSHM5, user));
    }
}

#[test]
fn qt6_and_ours() {
    for user in [User::Root, User::ALICE] {
        both_ways(Side::new(Build::QT6, user), Side::new(Build::QSHM6, user));
    }
}

#[test]
fn qt5_and_qt6_with_ours_on_either() {
    let user = User::ALICE;
    both_ways(Side::new(Build::QT5, user), Side::new(Build::QSHM6, user));
    both_ways(Side::new(Build::QSHM5, user), Side::new(Build::QT6, user));
}

/// By the keys of `setKey()`, which are those of the versions before.
#[test]
fn qt68_and_ours() {
    if !has_qt68() {
        return;
    }
    let user = User::ALICE;
    both_ways(Side::new(Build::QT68, user), Side::new(Build::QSHM68, user));
    both_ways(Side::new(Build::QT68, user), Side::new(Build::QSHM5, user));
    both_ways(Side::new(Build::QT5, user), Side::new(Build::QSHM68, user));
}

#[test]
fn ours_with_each_other() {
    let user = User::ALICE;
    both_ways(Side::new(Build::QSHM5, user), Side::new(Build::QSHM6, user));
}

/// The drop-in and the preload library are one implementation.
#[test]
fn ours_under_the_preload_library() {
    let user = User::ALICE;
    let preloaded = Side::new(Build::PRELOAD5, user);
    both_ways(Side::new(Build::QT5, user), preloaded);
    both_ways(
        Side::new(Build::QT6, user),
        Side::new(Build::PRELOAD6, user),
    );
    both_ways(Side::new(Build::QSHM6, user), preloaded);
}

/// On each real Qt, whose own process is the peer.
#[test]
fn every_qt_and_ours_under_the_preload_library() {
    let user = User::ALICE;
    for version in old_qt::versions() {
        let folder = match old_qt::fetched(version) {
            Ok(folder) => folder.display().to_string(),
            Err(why) => {
                skipped(&why);
                continue;
            }
        };
        let (qts, ours) = if version.starts_with('5') {
            (Build::QT5, Build::PRELOAD5)
        } else {
            (Build::QT6, Build::PRELOAD6)
        };
        let on_it = |build| Side {
            variable: Some(("LD_LIBRARY_PATH", folder.as_str())),
            ..Side::new(build, user)
        };
        both_ways(on_it(qts), on_it(ours));
        say(&format!("Qt {version}: shares with ours"));
    }
}

/// What we hold the others to is what Qt does among its own.
#[test]
fn qt5_and_qt6() {
    let user = User::ALICE;
    both_ways(Side::new(Build::QT5, user), Side::new(Build::QT6, user));
}

/// Root by way of sudo shares with the user's process, which is real Qt.
#[test]
fn ours_by_sudo_and_the_users_qt() {
    both_ways(
        Side::new(Build::QSHM5, User::SUDO_ALICE),
        Side::new(Build::QT5, User::ALICE),
    );
}

/// Qt 5.0 to 5.8 make other keys; ours finds them on that Qt by itself, and on
/// a newer one when told.
#[test]
fn qt57_and_ours() {
    let folder = match old_qt::folder() {
        Ok(folder) => folder.display().to_string(),
        Err(why) => return skipped(&why),
    };
    let library = Some(("LD_LIBRARY_PATH", folder.as_str()));
    for user in [User::Root, User::ALICE] {
        let old = Side {
            variable: library,
            ..Side::new(Build::QT5, user)
        };
        let ours = Side::new(Build::QSHM5, user);
        for variable in [library, Some(("QSHM_QT", "5.7.1"))] {
            both_ways(old, Side { variable, ..ours });
        }
    }
}

/// The premise of the last test: that Qt does make other keys.
#[test]
fn qt57_makes_other_keys() {
    let folder = match old_qt::folder() {
        Ok(folder) => folder.display().to_string(),
        Err(why) => return skipped(&why),
    };
    let Some(world) = World::new() else { return };
    let new = Side::new(Build::QT5, User::Root);
    let old = Side {
        variable: Some(("LD_LIBRARY_PATH", &folder)),
        ..new
    };
    let mut running = old.start(&world);
    assert_eq!(running.ask("create 4"), "ok");
    let project = world.segments()[0].key >> 24;
    assert_ne!(project, u32::from(b'Q'));
    say(&format!(
        "Qt 5.7 made a segment with the project id {project:#x}"
    ));
    let mut other = new.start(&world);
    assert!(other.ask("attach").starts_with("error 5 "));
}

/// Something that two peers, the first of them first, do with each other.
type Scene = fn(&World, Side, Side);

/// Everything that two peers do with each other.
fn peers(first: Side, second: Side) {
    let Some(world) = World::new() else { return };
    let scenes: [(&str, Scene); 7] = [
        ("content", content),
        ("locks", locks),
        ("numbers", numbers),
        ("killed holder", killed_holder),
        ("early create", early_create),
        ("semaphores", semaphores),
        ("leftover", leftover),
    ];
    for (name, scene) in scenes {
        println!("{name}: {first:?} and {second:?}");
        scene(&world, first, second);
        world.restart();
    }
}

/// The same, whoever comes first.
fn both_ways(one: Side, other: Side) {
    peers(one, other);
    peers(other, one);
}

/// Size and content, and whoever leaves first, the other still has them.
fn content(world: &World, first: Side, second: Side) {
    for first_leaves in [true, false] {
        let mut a = first.start(world);
        let mut b = second.start(world);
        let missing = b.ask("attach");
        assert!(NO_KEY_FILE.contains(&text(&missing)), "{missing}");
        assert_eq!(a.ask("create 5000"), "ok");
        assert_eq!(a.ask("fill 3"), "ok");
        assert_eq!(text(&b.ask("create 5000")), ALREADY_EXISTS);
        assert_eq!(b.ask("attach"), "ok");
        assert_eq!(world.segments().len(), 1, "{}", world.state());
        assert_eq!(b.ask("size"), "5000");
        assert_eq!(b.ask("filled 3"), "ok");
        assert_eq!(b.ask("fill 4"), "ok");
        assert_eq!(a.ask("filled 4"), "ok");
        let (mut leaves, mut stays) = if first_leaves { (a, b) } else { (b, a) };
        assert_eq!(leaves.ask("detach"), "ok");
        assert_eq!(stays.ask("filled 4"), "ok");
        // And comes back.
        assert_eq!(leaves.ask("attach ro"), "ok");
        assert_eq!(leaves.ask("filled 4"), "ok");
        quit(leaves);
        assert_eq!(stays.ask("lock"), "ok");
        assert_eq!(stays.ask("unlock"), "ok");
        assert_eq!(stays.ask("detach"), "ok");
        assert!(world.segments().is_empty(), "{}", world.state());
        quit(stays);
        world.assert_clean();
    }
}

/// Each waits for the other's lock.
fn locks(world: &World, first: Side, second: Side) {
    let mut a = first.start(world);
    let mut b = second.start(world);
    assert_eq!(a.ask("create 4"), "ok");
    assert_eq!(b.ask("attach"), "ok");
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
    quit(b);
    quit(a);
    world.assert_clean();
}

/// Both count at once under the lock: no number comes twice.
fn numbers(world: &World, first: Side, second: Side) {
    const EACH: usize = 200;
    let mut a = first.start(world);
    let mut b = second.start(world);
    assert_eq!(a.ask("create 4"), "ok");
    assert_eq!(b.ask("attach"), "ok");
    for _ in 0..EACH {
        for running in [&mut a, &mut b] {
            running.say("lock\nnumber\nunlock");
        }
    }
    let mut seen = vec![false; 2 * EACH];
    for running in [&mut a, &mut b] {
        for _ in 0..EACH {
            running.expect("ok");
            let number: usize = running.line().parse().expect("a number");
            assert!(!seen[number], "{number} came twice");
            seen[number] = true;
            running.expect("ok");
        }
    }
    quit(a);
    quit(b);
    world.assert_clean();
}

/// The lock of a process that is killed is free, and the next start works.
fn killed_holder(world: &World, first: Side, second: Side) {
    let mut a = first.start(world);
    let mut b = second.start(world);
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

    let mut again = first.start(world);
    assert_eq!(text(&again.ask("create 4")), ALREADY_EXISTS);
    assert_eq!(again.ask("attach"), "ok");
    assert_eq!(again.ask("get"), "7");
    quit(b);
    quit(again);
    assert!(world.segments().is_empty(), "{}", world.state());
    clean_exit(world, first, second);
}

/// A `create()` of ours while the other one holds the lock does not wait, and
/// leaves the lock alone. (Qt's own sets it free: no promise the other way.)
fn early_create(world: &World, first: Side, second: Side) {
    if !second.is_ours() {
        return;
    }
    let mut a = first.start(world);
    let mut b = second.start(world);
    assert_eq!(a.ask("create 4"), "ok");
    assert_eq!(a.ask("lock"), "ok");
    assert_eq!(text(&b.ask("create 4")), ALREADY_EXISTS);
    assert_eq!(b.ask("attach"), "ok");
    let mut c = second.start(world);
    assert_eq!(c.ask("attach"), "ok");
    b.say("lock");
    b.wait_for_system_call(&WAITING);
    assert_eq!(b.line_now(), None, "the lock is not held");
    assert_eq!(a.ask("unlock"), "ok");
    b.expect("ok");
    c.say("lock");
    c.wait_for_system_call(&WAITING);
    assert_eq!(b.ask("unlock"), "ok");
    c.expect("ok");
    assert_eq!(c.ask("unlock"), "ok");
    quit(a);
    quit(b);
    quit(c);
    clean_exit(world, first, second);
}

/// A semaphore that stands alone: a signal from one to the other, both ways,
/// and what a killed process had acquired comes back.
fn semaphores(world: &World, first: Side, second: Side) {
    let mut a = first.launch(world).start();
    let mut b = second.launch(world).start();
    assert_eq!(a.ask("sem signal 0 create"), "ok");
    assert_eq!(b.ask("sem signal 0 open"), "ok");
    for (sender, waiter) in [(0, 1), (1, 0)] {
        let pair = [&mut a, &mut b];
        pair[waiter].say("acquire");
        pair[waiter].wait_for_system_call(&WAITING);
        assert_eq!(pair[sender].ask("release"), "ok");
        pair[waiter].expect("ok");
    }
    assert_eq!(a.ask("release 2"), "ok");
    assert_eq!(b.ask("acquire"), "ok");
    assert_eq!(b.ask("acquire"), "ok");
    a.say("acquire");
    a.wait_for_system_call(&WAITING);
    b.kill_and_wait();
    a.expect("ok");
    quit(a);
    assert!(world.semaphores().is_empty(), "{}", world.state());
}

/// What one leaves in a crash does not stop the other.
fn leftover(world: &World, first: Side, second: Side) {
    let mut a = first.start(world);
    assert_eq!(a.ask("create 100"), "ok");
    assert_eq!(a.ask("lock"), "ok");
    a.kill_and_wait();
    assert_eq!(world.segments().len(), 1);

    let mut b = second.start(world);
    if !second.is_ours() {
        // As Qt's users know it: attach and detach clear it.
        assert_eq!(text(&b.ask("create 50")), ALREADY_EXISTS);
        if second.build.qt == Qt::Six8 {
            assert!(b.ask("attach").starts_with("error 5 "));
        } else {
            assert_eq!(b.ask("attach"), "ok");
            assert_eq!(b.ask("detach"), "ok");
        }
    }
    assert_eq!(b.ask("create 50"), "ok");
    assert_eq!(b.ask("size"), "50");
    assert_eq!(b.ask("get"), "0");
    assert_eq!(b.ask("lock"), "ok");
    quit(b);
    assert!(world.segments().is_empty(), "{}", world.state());
    clean_exit(world, first, second);
}

/// A clean start and exit of whichever of the two is ours leaves nothing.
fn clean_exit(world: &World, first: Side, second: Side) {
    let Some(ours) = [first, second].into_iter().find(|side| side.is_ours()) else {
        return;
    };
    let mut running = ours.start(world);
    assert_eq!(running.ask("create 4"), "ok");
    quit(running);
    world.assert_clean();
}

/// An answer without what the drop-in adds in parentheses.
fn text(answer: &str) -> &str {
    answer.split(" (").next().unwrap_or(answer)
}

fn quit(mut running: Running) {
    running.say("quit");
    let finished = running.finish(DEADLINE);
    assert!(finished.status.success(), "{finished:#?}");
}
