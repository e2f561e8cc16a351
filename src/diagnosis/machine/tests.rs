//! Pairing and judging, over machines that are made up.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;

use super::*;
use crate::key::{Key, generation::crc_project_id};

mod made_up;
mod posix;

use made_up::{
    ALICE, BOB, DEVICE, MADE, NOW, add_pair, file, machine, one, process, segment, semaphore,
};

/// Whose it is, who looks, and who is attached, decide together.
#[test]
fn state_way_and_remedy_of_a_pair() {
    use Remedy::{InUse, NeedsRoot, Remove};
    use State::{Leftover, Live};
    for (looks, owner, attached, state, in_the_way, remedy) in [
        (ALICE, ALICE, 0, Leftover, false, Remove),
        (ALICE, ALICE, 1, Live, false, InUse),
        (ALICE, 0, 0, Leftover, true, NeedsRoot),
        (ALICE, 0, 1, Live, true, InUse),
        (ALICE, BOB, 0, Leftover, true, NeedsRoot),
        (0, ALICE, 0, Leftover, false, Remove),
        (0, 0, 0, Leftover, false, Remove),
        (0, ALICE, 2, Live, false, InUse),
    ] {
        let mut machine = machine(looks);
        add_pair(&mut machine, "Logic", owner, attached);
        let entry = one(&machine);
        let found = (entry.state, entry.in_the_way, entry.remedy.clone());
        assert_eq!(
            found,
            (state, in_the_way, remedy),
            "{looks} {owner} {attached}"
        );
        assert_eq!(entry.key, KeyGuess::Known("Logic".to_owned()));
        assert_eq!(entry.qt, Some(QtVersions::Constant));
        assert!(entry.segment.is_some() && entry.semaphore.is_some());
    }
}

/// Root by way of sudo: what bars the user who called is in the way, and root may clear it.
#[test]
fn under_sudo_the_caller_counts() {
    let mut machine = machine(0);
    machine.viewer.identity = Identity {
        uid: ALICE,
        gid: ALICE,
        acting_as_root: true,
    };
    add_pair(&mut machine, "Logic", 0, 0);
    let entry = one(&machine);
    assert_eq!((entry.in_the_way, entry.remedy), (true, Remedy::Remove));
}

#[test]
fn every_generation_is_found_by_its_project_ids() {
    let key = Key::new(b"Logic", Path::new("/tmp"));
    let (shm, sem) = (key.segment_file(), key.semaphore_file());
    let constant: fn(&Path) -> u8 = |_| b'Q';
    for (project, versions) in [
        (constant, QtVersions::Constant),
        (crc_project_id, QtVersions::Hashed),
        (key::generation::plain_project_id, QtVersions::Hashed),
    ] {
        let mut machine = machine(0);
        machine.files = vec![file(&shm, 0x40, 0), file(&sem, 0x08, 0)];
        machine.segments = vec![segment(key::ftok(project(&shm), DEVICE, 0x40), 7, 0, 0)];
        machine.semaphores = vec![semaphore(key::ftok(project(&sem), DEVICE, 0x08), 8, 0)];
        let entry = one(&machine);
        assert_eq!(entry.qt, Some(versions));
        assert_eq!(entry.segment.unwrap().id, Some(7));
        assert_eq!(entry.semaphore.unwrap().id, Some(8));
        // The same without key files, from the key alone.
        machine.files.clear();
        let found = machine.entries_of("Logic");
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found
                .iter()
                .all(|entry| entry.remedy == Remedy::InDoubt(Doubt::NoKeyFile))
        );
        // Another key may have the constant one, and none of the hashes.
        let other = machine.entries_of("Other").len();
        assert_eq!(
            other,
            if versions == QtVersions::Constant {
                2
            } else {
                0
            }
        );
    }
}

/// An object that was there before the file has its key by chance.
#[test]
fn an_older_object_is_not_the_files() {
    let mut machine = machine(0);
    add_pair(&mut machine, "Logic", ALICE, 0);
    machine.segments[0].stat.changed = MADE - 2;
    machine.semaphores[0].changed = MADE - 2;
    let entries = machine.entries();
    assert!(
        entries
            .iter()
            .all(|entry| entry.remedy != Remedy::Remove || entry.segment.is_none()),
        "{entries:#?}"
    );
    let file_alone = entries.iter().find(|entry| entry.state == State::FileAlone);
    assert!(file_alone.is_some(), "{entries:#?}");
}

#[test]
fn what_could_be_in_use_is_in_doubt() {
    // Somebody inside the lock.
    let mut held = machine(0);
    add_pair(&mut held, "Logic", ALICE, 0);
    held.semaphores[0].value = Some(0);
    held.semaphores[0].last_pid = Some(77);
    held.processes.push(process(77, ALICE));
    assert_eq!(one(&held).remedy, Remedy::InDoubt(Doubt::Held));
    assert!(!one(&held).semaphore.unwrap().holder.unwrap().stopped);
    held.processes[0].stopped = true;
    assert!(one(&held).semaphore.unwrap().holder.unwrap().stopped);
    // A dead one's lock.
    held.processes.clear();
    assert_eq!(one(&held).remedy, Remedy::Remove);

    // A file that is no key file.
    let mut link = machine(0);
    add_pair(&mut link, "Logic", ALICE, 0);
    link.files[0].stat.links = 2;
    assert_eq!(one(&link).remedy, Remedy::InDoubt(Doubt::StrangeFile));

    // Made just now, or used elsewhere.
    let mut alone = machine(0);
    add_pair(&mut alone, "Logic", ALICE, 0);
    (alone.segments, alone.semaphores) = (Vec::new(), Vec::new());
    assert_eq!(one(&alone).remedy, Remedy::Remove);
    let mut young = alone.clone();
    young.files[0].stat.born = Some(NOW - 1);
    assert_eq!(one(&young).remedy, Remedy::InDoubt(Doubt::Young));
    alone.namespaces.ipc = Some(1);
    let mut other = process(77, ALICE);
    other.namespaces.ipc = Some(2);
    other
        .mappings
        .as_mut()
        .unwrap()
        .qt
        .push("libQt5Core.so.5".to_owned());
    alone.processes.push(other);
    assert_eq!(one(&alone).remedy, Remedy::InDoubt(Doubt::Elsewhere));
}

#[test]
fn a_semaphore_alone_goes_only_if_named_and_idle() {
    let mut idle = machine(0);
    add_pair(&mut idle, "Logic", ALICE, 0);
    idle.segments.clear();
    assert_eq!(one(&idle).state, State::SemaphoreAlone);
    assert_eq!(one(&idle).remedy, Remedy::IfNamed);
    let in_doubt = Remedy::InDoubt(Doubt::MayBeOpen);
    let own_pid = Some(std::process::id() as i32);
    for change in [
        (|row, _| row.value = Some(0)) as fn(&mut SemaphoreRow, Option<i32>),
        |row, _| row.value = Some(2),
        |row, _| row.waiting = Some(1),
        |row, pid| row.last_pid = pid,
    ] {
        let mut used = idle.clone();
        change(&mut used.semaphores[0], own_pid);
        assert_eq!(one(&used).remedy, in_doubt);
    }
    // A process with Qt that may use it, one that may not, and one that can't be looked into.
    for (uid, qt, hidden, remedy) in [
        (ALICE, true, false, &in_doubt),
        (0, true, false, &in_doubt),
        (BOB, true, false, &Remedy::IfNamed),
        (ALICE, false, false, &Remedy::IfNamed),
        (ALICE, false, true, &in_doubt),
    ] {
        let mut used = idle.clone();
        let mut other = process(77, uid);
        if qt {
            other
                .mappings
                .as_mut()
                .unwrap()
                .qt
                .push("libQt5Core.so.5".to_owned());
        }
        if hidden {
            other.mappings = None;
        }
        used.processes.push(other);
        assert_eq!(&one(&used).remedy, remedy, "{uid} {qt} {hidden}");
    }
}

#[test]
fn users_are_those_who_have_it_mapped() {
    let mut machine = machine(ALICE);
    machine.namespaces.ipc = Some(1);
    add_pair(&mut machine, "Logic", ALICE, 3);
    let key = machine.segments[0].key;
    let mut user = process(77, ALICE);
    user.namespaces.ipc = Some(1);
    let maps = user.mappings.as_mut().unwrap();
    maps.segments.push((0, key));
    maps.qt.push("libQt5Core.so.5.15.8".to_owned());
    // The same id in another namespace is another segment.
    let mut other = user.clone();
    (other.pid, other.namespaces.ipc) = (78, Some(2));
    machine.processes = vec![user, other];
    let entry = one(&machine);
    let pids: Vec<i32> = entry.users.seen.iter().map(|process| process.pid).collect();
    assert_eq!((pids, entry.users.hidden), (vec![77], 2));
    assert_eq!(entry.qt_words(), "5.15.8");

    // Removed in use: only the map still knows the key.
    let row = &mut machine.segments[0];
    (row.key, row.stat.removed) = (0, true);
    let entry = one(&machine);
    assert!(entry.segment.unwrap().removed);
    assert_eq!(entry.key, KeyGuess::Known("Logic".to_owned()));
}
