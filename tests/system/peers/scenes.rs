//! What two peers do with each other.
//!
//! Where a scene ends early, it is because Qt's own classes promise nothing there. With POSIX keys
//! its create() makes another semaphore beside the one in use, it leaves every segment, and its
//! lock does not say who has it. With System V keys of Qt 6.6 and later its create() unlinks the key
//! file that its failed attach() has made, and then makes another segment.

use super::{Kind, Side, WAITING, is_denied, is_qt, quit, text};
use crate::support::{Qt, Running, User, World};

/// Something that two peers, the first of them first, do with each other.
type Scene = fn(&World, Side, Side);

pub const SCENES: [(&str, Scene); 9] = [
    ("content", content),
    ("locks", locks),
    ("numbers", numbers),
    ("killed holder", killed_holder),
    ("early create", early_create),
    ("semaphores", semaphores),
    ("killed user of a semaphore", killed_user),
    ("leftover", leftover),
    ("another user", another_user),
];

/// Real Qt never removes a POSIX segment: the next clean exit of ours does.
fn all_gone(world: &World, first: Side, second: Side) {
    if first.kind == Kind::Posix {
        clean_exit(world, first, second);
    }
    world.assert_clean();
}

/// Two that are attached to a segment of four bytes.
fn attached(world: &World, first: Side, second: Side) -> (Running, Running) {
    let mut a = first.start(world);
    let mut b = second.start(world);
    assert_eq!(a.ask("create 4"), "ok");
    assert_eq!(b.ask("attach"), "ok");
    (a, b)
}

/// Size and content, and whoever leaves first, the other still has them.
fn content(world: &World, first: Side, second: Side) {
    let kind = first.kind;
    for first_leaves in [true, false] {
        let mut a = first.start(world);
        let mut b = second.start(world);
        let missing = b.ask("attach");
        assert!(kind.is_missing(&missing), "{missing}");
        assert_eq!(a.ask("create 5000"), "ok");
        assert_eq!(a.ask("fill 3"), "ok");
        if kind == Kind::Legacy || second.is_ours() {
            assert_eq!(text(&b.ask("create 5000")), kind.exists());
        }
        assert_eq!(b.ask("attach"), "ok");
        assert_eq!(first.segments(world), 1, "{}", world.state());
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
        if kind != Kind::Posix {
            assert_eq!(first.segments(world), 0, "{}", world.state());
        }
        quit(stays);
        all_gone(world, first, second);
    }
}

/// Each waits for the other's lock.
fn locks(world: &World, first: Side, second: Side) {
    let (mut a, mut b) = attached(world, first, second);
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
    all_gone(world, first, second);
}

/// Both count at once under the lock: no number comes twice.
fn numbers(world: &World, first: Side, second: Side) {
    const EACH: usize = 200;
    let (mut a, mut b) = attached(world, first, second);
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
    all_gone(world, first, second);
}

/// The lock of a process that is killed is free, and the next start works.
fn killed_holder(world: &World, first: Side, second: Side) {
    let (mut a, mut b) = attached(world, first, second);
    assert_eq!(a.ask("lock"), "ok");
    assert_eq!(a.ask("put 7"), "ok");
    b.say("lock");
    b.wait_for_system_call(&WAITING);
    a.kill_and_wait();
    if first.kind == Kind::Posix && !(first.is_ours() && second.is_ours()) {
        return killed_holder_posix(world, first, second, b);
    }
    b.expect("ok");
    assert_eq!(b.ask("get"), "7");
    assert_eq!(b.ask("unlock"), "ok");

    let mut again = first.start(world);
    assert_eq!(text(&again.ask("create 4")), first.kind.exists());
    assert_eq!(again.ask("attach"), "ok");
    assert_eq!(again.ask("get"), "7");
    quit(b);
    quit(again);
    all_gone(world, first, second);
}

/// Qt's process has neither told who it is, nor does it learn that somebody died.
fn killed_holder_posix(world: &World, first: Side, second: Side, mut waiter: Running) {
    if first.is_ours() {
        // The next one of ours gets the lock, and with its unlock() so does Qt's.
        let mut again = first.start(world);
        assert_eq!(text(&again.ask("create 4")), first.kind.exists());
        assert_eq!(again.ask("attach"), "ok");
        assert_eq!(again.ask("lock"), "ok");
        assert_eq!(again.ask("get"), "7");
        assert_eq!(again.ask("unlock"), "ok");
        waiter.expect("ok");
        assert_eq!(waiter.ask("unlock"), "ok");
        quit(again);
        quit(waiter);
    } else {
        // As with Qt alone, it waits; but the next start works when nobody is left.
        assert_eq!(waiter.line_now(), None);
        waiter.kill_and_wait();
        let mut next = second.start(world);
        assert_eq!(next.ask("create 4"), "ok");
        assert_eq!(next.ask("lock"), "ok");
        assert_eq!(next.ask("get"), "0");
        quit(next);
    }
    all_gone(world, first, second);
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
    assert_eq!(text(&b.ask("create 4")), first.kind.exists());
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

/// Two with a semaphore that stands alone, of the value 0.
fn with_semaphore(world: &World, first: Side, second: Side) -> (Running, Running) {
    let mut a = first.launch(world).start();
    let mut b = second.launch(world).start();
    let key = first.kind.key("signal");
    assert_eq!(a.ask(&format!("sem {key} 0 create")), "ok");
    assert_eq!(b.ask(&format!("sem {key} 0 open")), "ok");
    (a, b)
}

/// A semaphore that stands alone: a signal from one to the other, both ways.
fn semaphores(world: &World, first: Side, second: Side) {
    let (mut a, mut b) = with_semaphore(world, first, second);
    for (sender, waiter) in [(0, 1), (1, 0)] {
        let pair = [&mut a, &mut b];
        pair[waiter].say("acquire");
        pair[waiter].wait_for_system_call(&WAITING);
        assert_eq!(pair[sender].ask("release"), "ok");
        pair[waiter].expect("ok");
    }
    quit(b);
    quit(a);
    assert!(world.semaphores().is_empty(), "{}", world.state());
    if first.kind == Kind::Posix && !first.is_ours() {
        // Who made it removes it, with Qt.
        assert_eq!(world.left_objects(), [""; 0], "{}", world.state());
    }
}

/// What a killed process had acquired comes back.
fn killed_user(world: &World, first: Side, second: Side) {
    if first.kind == Kind::Posix && !(first.is_ours() && second.is_ours()) {
        return;
    }
    let (mut a, mut b) = with_semaphore(world, first, second);
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
    let kind = first.kind;
    let mut a = first.start(world);
    assert_eq!(a.ask("create 100"), "ok");
    assert_eq!(a.ask("lock"), "ok");
    a.kill_and_wait();
    assert_eq!(first.segments(world), 1);

    let mut b = second.start(world);
    if !second.is_ours() {
        // As Qt's users know it: attach and detach clear it, but for POSIX, where nothing does.
        assert_eq!(text(&b.ask("create 50")), kind.exists());
        if kind == Kind::Posix {
            return;
        }
        if is_qt(second, Qt::Six8) {
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
    assert_eq!(first.segments(world), 0, "{}", world.state());
    clean_exit(world, first, second);
}

/// Another user lives with the key, and is not disturbed: ours starts all the same, in its own
/// place; Qt's can't, and says so. (System V keys of Qt 6.6 and later are each user's own anyway.)
fn another_user(world: &World, first: Side, second: Side) {
    let bobs = Side {
        user: User::BOB,
        ..first
    };
    let alices = Side {
        user: User::ALICE,
        ..second
    };
    let mut bob = bobs.start(world);
    assert_eq!(bob.ask("create 5000"), "ok");
    assert_eq!(bob.ask("fill 3"), "ok");
    assert_eq!(bob.ask("lock"), "ok");
    let mut alice = alices.start(world);
    let answer = alice.ask("create 4");
    if alices.is_ours() || first.kind == Kind::SystemV {
        assert_eq!(answer, "ok");
        assert_eq!(alice.ask("get"), "0");
        assert_eq!(alice.ask("lock"), "ok");
        assert_eq!(alice.ask("unlock"), "ok");
    } else {
        assert!(is_denied(&answer), "{answer}");
    }
    // She is killed, and he goes on.
    alice.kill_and_wait();
    assert_eq!(bob.ask("unlock"), "ok");
    assert_eq!(bob.ask("filled 3"), "ok");
    // And what he leaves, killed inside the lock, does not stop her.
    assert_eq!(bob.ask("lock"), "ok");
    bob.kill_and_wait();
    if alices.is_ours() {
        let mut alice = alices.start(world);
        assert_eq!(alice.ask("create 4"), "ok");
        assert_eq!(alice.ask("lock"), "ok");
        quit(alice);
    }
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
