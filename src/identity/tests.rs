//! Who called root, for everything that a caller may or may not have said.

use proptest::prelude::*;

use super::*;

const ALICE: (u32, u32) = (1000, 1000);
const BOB: (u32, u32) = (1001, 100);

fn users(user: UserRef<'_>) -> Option<(u32, u32)> {
    match user {
        UserRef::Uid(0) | UserRef::Name("root") => Some((0, 0)),
        UserRef::Uid(1000) | UserRef::Name("alice") => Some(ALICE),
        UserRef::Uid(1001) | UserRef::Name("bob") => Some(BOB),
        // A system may well have a user of this number; nobody acts for it.
        UserRef::Uid(NO_ID) => Some((NO_ID, NO_ID)),
        _ => None,
    }
}

/// A caller whose effective user is root, with these in its environment.
fn root(variables: &[(&str, &str)]) -> Caller {
    let value = |name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Caller {
        euid: 0,
        egid: 0,
        sudo_uid: value("SUDO_UID"),
        sudo_gid: value("SUDO_GID"),
        pkexec_uid: value("PKEXEC_UID"),
        doas_user: value("DOAS_USER"),
        login_uid: value("login").map(|uid| uid.parse().unwrap_or(NO_ID)),
    }
}

fn for_user((uid, gid): (u32, u32)) -> Identity {
    Identity {
        uid,
        gid,
        acting_as_root: true,
    }
}

const ROOT: Identity = Identity {
    uid: 0,
    gid: 0,
    acting_as_root: false,
};

type Cases<'a> = &'a [(&'a [(&'a str, &'a str)], Identity)];

fn check(cases: Cases<'_>) {
    for (variables, expected) in cases {
        let found = identify(&root(variables), Access::Invoker, users);
        assert_eq!(found, *expected, "{variables:?}");
    }
}

#[test]
fn the_first_user_named_called() {
    check(&[
        (&[], ROOT),
        (&[("SUDO_UID", "1000")], for_user(ALICE)),
        (&[("PKEXEC_UID", "1001")], for_user(BOB)),
        (&[("DOAS_USER", "bob")], for_user(BOB)),
        (&[("login", "1000")], for_user(ALICE)),
        // In this order.
        (
            &[
                ("SUDO_UID", "1000"),
                ("PKEXEC_UID", "1001"),
                ("DOAS_USER", "bob"),
                ("login", "1001"),
            ],
            for_user(ALICE),
        ),
        (
            &[
                ("PKEXEC_UID", "1000"),
                ("DOAS_USER", "bob"),
                ("login", "1001"),
            ],
            for_user(ALICE),
        ),
        (
            &[("DOAS_USER", "alice"), ("login", "1001")],
            for_user(ALICE),
        ),
        // The group at the time, where it is one.
        (
            &[("SUDO_UID", "1001"), ("SUDO_GID", "1001")],
            for_user((1001, 1001)),
        ),
        (&[("SUDO_UID", "1001"), ("SUDO_GID", "")], for_user(BOB)),
        (&[("SUDO_UID", "1001"), ("SUDO_GID", "0")], for_user(BOB)),
        (&[("SUDO_UID", "1001"), ("SUDO_GID", "-1")], for_user(BOB)),
        (
            &[("SUDO_UID", "1001"), ("SUDO_GID", "4294967295")],
            for_user(BOB),
        ),
        // sudo's group says nothing of another source's user.
        (&[("SUDO_GID", "7"), ("PKEXEC_UID", "1001")], for_user(BOB)),
        // Root called root: who called that one?
        (&[("SUDO_UID", "0")], ROOT),
        (&[("SUDO_UID", "0"), ("login", "1000")], for_user(ALICE)),
        (&[("PKEXEC_UID", "0"), ("DOAS_USER", "bob")], for_user(BOB)),
        (&[("DOAS_USER", "root")], ROOT),
        (&[("DOAS_USER", "root"), ("login", "0")], ROOT),
        (&[("login", "0")], ROOT),
        // Nobody logged in: a service.
        (&[("login", "4294967295")], ROOT),
        (
            &[("SUDO_UID", "1000"), ("login", "4294967295")],
            for_user(ALICE),
        ),
    ]);
}

#[test]
fn what_names_no_user_is_passed_over() {
    check(&[
        // Not numbers of users, but the next source is asked.
        (&[("SUDO_UID", ""), ("PKEXEC_UID", "1001")], for_user(BOB)),
        (
            &[("SUDO_UID", "alice"), ("PKEXEC_UID", "1001")],
            for_user(BOB),
        ),
        (
            &[("SUDO_UID", "-1000"), ("PKEXEC_UID", "1001")],
            for_user(BOB),
        ),
        (
            &[("SUDO_UID", "+1000"), ("PKEXEC_UID", "1001")],
            for_user(BOB),
        ),
        (
            &[("SUDO_UID", " 1000"), ("PKEXEC_UID", "1001")],
            for_user(BOB),
        ),
        (
            &[("SUDO_UID", "1000 "), ("PKEXEC_UID", "1001")],
            for_user(BOB),
        ),
        (
            &[("SUDO_UID", "0x3e8"), ("PKEXEC_UID", "1001")],
            for_user(BOB),
        ),
        (
            &[("SUDO_UID", "1e3"), ("PKEXEC_UID", "1001")],
            for_user(BOB),
        ),
        (&[("SUDO_UID", "\u{661}\u{660}\u{660}\u{660}")], ROOT),
        (
            &[("SUDO_UID", "4294967295"), ("login", "1000")],
            for_user(ALICE),
        ),
        // 1000 in the low 32 bits.
        (
            &[("SUDO_UID", "4294968296"), ("login", "1001")],
            for_user(BOB),
        ),
        (
            &[("SUDO_UID", "99999999999999999999999"), ("login", "1001")],
            for_user(BOB),
        ),
        // Users that do not exist.
        (
            &[("SUDO_UID", "4242"), ("PKEXEC_UID", "1001")],
            for_user(BOB),
        ),
        (
            &[("DOAS_USER", "carol"), ("login", "1000")],
            for_user(ALICE),
        ),
        (&[("DOAS_USER", ""), ("login", "1000")], for_user(ALICE)),
        (&[("DOAS_USER", "1001"), ("login", "1000")], for_user(ALICE)),
        (&[("login", "4242")], ROOT),
        // A leading zero is a number all the same.
        (&[("SUDO_UID", "01000")], for_user(ALICE)),
    ]);
}

#[test]
fn only_root_has_an_invoker() {
    let everything = [
        ("SUDO_UID", "1001"),
        ("SUDO_GID", "1001"),
        ("PKEXEC_UID", "1001"),
        ("DOAS_USER", "bob"),
        ("login", "1001"),
    ];
    let caller = Caller {
        euid: 1000,
        egid: 5,
        ..root(&everything)
    };
    let own = Identity {
        uid: 1000,
        gid: 5,
        acting_as_root: false,
    };
    assert_eq!(identify(&caller, Access::Invoker, users), own);
    // Users are not even looked up, which may ask servers.
    let mut asked = std::cell::Cell::new(false);
    identify(&caller, Access::Invoker, |_| {
        asked.set(true);
        None
    });
    assert!(!*asked.get_mut());
}

#[test]
fn only_the_invoker_policy_asks_for_one() {
    let caller = root(&[("SUDO_UID", "1000"), ("login", "1000")]);
    for access in [Access::Owner, Access::Group(100), Access::World] {
        assert_eq!(identify(&caller, access, users), ROOT, "{access:?}");
    }
}

#[test]
fn this_process_has_an_identity() {
    let own = current(Access::Owner);
    let caller = caller();
    assert_eq!((own.uid, own.gid), (caller.euid, caller.egid));
    assert!(!own.acting_as_root);
    let found = current(Access::Invoker);
    assert_eq!(found, identify(&caller, Access::Invoker, look_up));
    assert_eq!(found, current(Access::Invoker));
}

#[test]
fn users_are_looked_up() {
    assert_eq!(look_up(UserRef::Uid(0)), Some((0, 0)));
    assert_eq!(look_up(UserRef::Name("root")), Some((0, 0)));
    assert_eq!(look_up(UserRef::Name("no such user")), None);
    assert_eq!(look_up(UserRef::Name("nul\0inside")), None);
}

proptest! {
    /// Whatever the environment says, root acts for a user that exists, or for itself.
    #[test]
    fn nothing_makes_up_a_user(
        sudo_uid in proptest::option::of(".*"),
        sudo_gid in proptest::option::of("[0-9]{0,12}|.*"),
        pkexec_uid in proptest::option::of("[-+ 0-9]{0,12}"),
        doas_user in proptest::option::of("alice|bob|root|.*"),
        login_uid in proptest::option::of(any::<u32>()),
    ) {
        let caller = Caller { euid: 0, egid: 0, sudo_uid, sudo_gid, pkexec_uid, doas_user, login_uid };
        let found = identify(&caller, Access::Invoker, users);
        prop_assert!(found == ROOT || (found.acting_as_root && [ALICE.0, BOB.0].contains(&found.uid)));
        prop_assert!(found.gid != NO_ID);
    }
}
