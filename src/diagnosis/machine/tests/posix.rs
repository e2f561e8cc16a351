//! POSIX objects.

use std::path::Path;

use super::super::*;
use super::made_up::{ALICE, BOB, file, machine};
use crate::named::Seen;

/// `/NAME` and `sem.NAME` of POSIX, by who looks and whether anybody has them open.
#[test]
fn posix_objects_by_their_leases() {
    let row = |name: &str, ino, uid, in_use| {
        let mut file = file(&Path::new("/dev/shm").join(name), ino, uid);
        file.stat.mode = 0o600;
        PosixRow {
            file,
            seen: Seen {
                in_use,
                ..Seen::default()
            },
        }
    };
    let rest = guess::rest_of_key("Logic").unwrap();
    let old = [
        format!("qipc_sharedmemory_{rest}"),
        format!("sem.qipc_systemsem_{rest}"),
    ];
    let new = ["Logic".to_owned(), "sem.Logic".to_owned()];
    for (looks, owner, in_use, names, state, remedy) in [
        (
            ALICE,
            ALICE,
            Some(false),
            &old,
            State::Leftover,
            Remedy::Remove,
        ),
        (
            ALICE,
            ALICE,
            Some(false),
            &new,
            State::Leftover,
            Remedy::IfNamed,
        ),
        (ALICE, ALICE, Some(true), &new, State::Live, Remedy::InUse),
        (ALICE, BOB, None, &old, State::Unclear, Remedy::NeedsRoot),
        (0, BOB, Some(false), &new, State::Leftover, Remedy::IfNamed),
        (0, BOB, Some(true), &old, State::Live, Remedy::InUse),
    ] {
        let mut machine = machine(looks);
        machine.posix = vec![
            row(&names[0], 1, owner, in_use),
            row(&names[1], 2, owner, in_use),
        ];
        let entry = machine.entries_of("Logic").remove(0);
        assert_eq!(
            (entry.state, entry.remedy),
            (state, remedy),
            "{looks} {owner} {in_use:?} {names:?}"
        );
        assert_eq!(entry.in_the_way, looks != 0 && looks != owner);
        // Without the key only a name of Qt's own, or a program with Qt, tells.
        assert_eq!(machine.entries().len(), usize::from(*names == old));
    }
}
