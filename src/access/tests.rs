//! Every policy against every kind of owner.

use super::*;

const ROOT: u32 = 0;
const ALICE: u32 = 1000;
const BOB: u32 = 1001;
const STAFF: u32 = 50;

const OWN: [Access; 2] = [Access::Owner, Access::Invoker];

fn identity(uid: u32, acting_as_root: bool) -> Identity {
    Identity {
        uid,
        gid: uid,
        acting_as_root,
    }
}

fn file(uid: u32, gid: u32) -> FileStat {
    FileStat {
        dev: 1,
        ino: 2,
        kind: FileKind::Regular,
        mode: 0o640,
        uid,
        gid,
        links: 1,
        size: 0,
        born: None,
    }
}

/// Owner, creator and owner's group.
fn perm(uid: u32, cuid: u32, gid: u32) -> IpcPerm {
    IpcPerm {
        uid,
        gid,
        cuid,
        cgid: cuid,
        mode: 0o600,
    }
}

#[test]
fn policies_have_names() {
    let gid_of = |name: &str| match name {
        "staff" => Some(STAFF),
        // A group whose name is a number.
        "1234" => Some(7),
        _ => None,
    };
    for (text, expected) in [
        ("owner", Some(Access::Owner)),
        ("invoker", Some(Access::Invoker)),
        ("world", Some(Access::World)),
        ("group:staff", Some(Access::Group(STAFF))),
        ("group:99", Some(Access::Group(99))),
        ("group:0", Some(Access::Group(0))),
        ("group:1234", Some(Access::Group(7))),
        ("group:nobody-here", None),
        ("group:", None),
        ("group", None),
        ("group:-1", None),
        ("group:+5", None),
        ("group:4294967295", None),
        ("group:4294967296", None),
        ("group: 5", None),
        ("Owner", None),
        ("world ", None),
        ("", None),
    ] {
        assert_eq!(Access::parse(text, gid_of), expected, "{text:?}");
    }
    assert_eq!(Access::default(), Access::Invoker);
}

#[test]
fn names_of_groups_are_looked_up() {
    assert_eq!(Access::from_text("group:root"), Some(Access::Group(0)));
    assert_eq!(Access::from_text("group:no such group"), None);
}

#[test]
fn modes_are_the_least_that_serves_the_policy() {
    for (access, object, key_file) in [
        (Access::Owner, 0o600, 0o600),
        (Access::Invoker, 0o600, 0o600),
        (Access::Group(STAFF), 0o660, 0o640),
        (Access::World, 0o666, 0o644),
    ] {
        assert_eq!(access.object_mode(), object, "{access:?}");
        assert_eq!(access.key_file_mode(), key_file, "{access:?}");
    }
}

#[test]
fn files_are_trusted_by_their_owner() {
    let alice = identity(ALICE, false);
    let for_alice = identity(ALICE, true);
    let root = identity(ROOT, false);
    for (who, uid, gid, own, staff) in [
        (alice, ALICE, ALICE, true, true),
        (alice, ROOT, ROOT, true, true),
        (alice, BOB, BOB, false, false),
        (alice, BOB, STAFF, false, true),
        // One's own primary group is none that the policy names.
        (alice, BOB, ALICE, false, false),
        (for_alice, ALICE, ALICE, true, true),
        (for_alice, BOB, BOB, false, false),
        // Root could use anything, and must not: others decide about it.
        (root, ALICE, ALICE, false, false),
        (root, ROOT, BOB, true, true),
    ] {
        let file = file(uid, gid);
        let case = format!("{who:?} {file:?}");
        for access in OWN {
            assert_eq!(access.trusts_file(&who, &file), own, "{access:?} {case}");
        }
        assert_eq!(
            Access::Group(STAFF).trusts_file(&who, &file),
            staff,
            "{case}"
        );
        assert!(Access::World.trusts_file(&who, &file), "{case}");
    }
}

#[test]
fn only_plain_files_with_one_name_are_trusted() {
    let alice = identity(ALICE, false);
    let own = file(ALICE, ALICE);
    for access in [
        Access::Owner,
        Access::Invoker,
        Access::Group(STAFF),
        Access::World,
    ] {
        assert!(access.trusts_file(&alice, &own));
        for links in [0, 2] {
            assert!(!access.trusts_file(&alice, &FileStat { links, ..own }));
        }
        for kind in [FileKind::Directory, FileKind::Link, FileKind::Other] {
            assert!(!access.trusts_file(&alice, &FileStat { kind, ..own }));
        }
    }
}

#[test]
fn objects_are_trusted_by_owner_and_creator() {
    let alice = identity(ALICE, false);
    let for_alice = identity(ALICE, true);
    let root = identity(ROOT, false);
    for (who, uid, cuid, gid, own, staff) in [
        (alice, ALICE, ALICE, ALICE, true, true),
        // Made by root and handed over, or not.
        (alice, ALICE, ROOT, ALICE, true, true),
        (alice, ROOT, ROOT, ROOT, true, true),
        // Handed over by someone who keeps the rights of a creator.
        (alice, ALICE, BOB, ALICE, false, false),
        (alice, ROOT, BOB, ROOT, false, false),
        // Given away: the new owner can read along.
        (alice, BOB, ALICE, BOB, false, false),
        (alice, BOB, BOB, BOB, false, false),
        (alice, BOB, BOB, STAFF, false, true),
        (alice, BOB, ROOT, STAFF, false, true),
        (for_alice, ALICE, ALICE, ALICE, true, true),
        (for_alice, ALICE, BOB, ALICE, false, false),
        (root, ROOT, ROOT, ROOT, true, true),
        (root, ALICE, ALICE, ALICE, false, false),
        (root, ROOT, ALICE, ROOT, false, false),
    ] {
        let perm = perm(uid, cuid, gid);
        let case = format!("{who:?} {perm:?}");
        for access in OWN {
            assert_eq!(access.trusts_object(&who, &perm), own, "{access:?} {case}");
        }
        assert_eq!(
            Access::Group(STAFF).trusts_object(&who, &perm),
            staff,
            "{case}"
        );
        assert!(Access::World.trusts_object(&who, &perm), "{case}");
    }
}

#[test]
fn grants_as_the_kernel_does() {
    // Owner Alice, creator Bob, groups 100 and 101; someone else is 1002.
    let with = |mode| IpcPerm {
        uid: ALICE,
        gid: 100,
        cuid: BOB,
        cgid: 101,
        mode,
    };
    for (mode, uid, gid, want, expected) in [
        (0o600, ALICE, 9, 0o6, true),
        (0o600, BOB, 9, 0o6, true),
        (0o600, 1002, 100, 0o4, false),
        (0o600, 1002, 9, 0o4, false),
        (0o400, ALICE, 9, 0o4, true),
        (0o400, ALICE, 9, 0o2, false),
        (0o400, ALICE, 9, 0o6, false),
        (0o660, 1002, 100, 0o6, true),
        (0o660, 1002, 101, 0o6, true),
        (0o660, 1002, 9, 0o4, false),
        (0o640, 1002, 100, 0o4, true),
        (0o640, 1002, 100, 0o6, false),
        (0o666, 1002, 9, 0o6, true),
        (0o662, 1002, 9, 0o2, true),
        (0o662, 1002, 9, 0o4, false),
        // The first class that fits decides, also where a later one has more.
        (0o066, ALICE, 100, 0o4, false),
        (0o066, BOB, 100, 0o4, false),
        (0o606, 1002, 100, 0o4, false),
        // Asking for nothing; bits beyond a digit.
        (0o000, 1002, 9, 0, true),
        (0o004, 1002, 9, 0o104, true),
    ] {
        let case = format!("{mode:o} {uid} {gid} {want:o}");
        assert_eq!(grants(&with(mode), uid, gid, want), expected, "{case}");
    }
}
