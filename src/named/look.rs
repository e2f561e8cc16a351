//! What a segment's file says, under its lock, and what it means for us.

use crate::actor::Actor;
use crate::kernel::{Kernel, Range};
use crate::options::Leftover;
use crate::place::Place;
use crate::trouble::{FileFault, Obstacle, Trouble};

use super::file::{File, Others, perm_of};

/// The byte whose lock says that a process is attached.
pub(super) const ATTACHED: Range = Range::new(0, 1);

/// What a segment is to us.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// In use, and we may use it.
    Live,
    /// Nobody is attached, and we may remove it.
    Leftover,
    /// We may not use it, or not know whether somebody does.
    Foreign(Obstacle),
}

/// Looks at a segment's file; `want` is what it is to be used for, as in
/// [`crate::access::grants`].
pub(super) fn look<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    file: &File<K>,
    want: u32,
) -> Result<Look, Trouble> {
    let ours = actor.may_use(&perm_of(&file.stat), want);
    let kept = actor.options.leftover == Leftover::Keep && ours && file.stat.size > 0;
    let users = if kept || file.locked(ATTACHED)?.is_some() {
        Others::Some
    } else {
        file.others(place)
    };
    Ok(match judge(users, ours) {
        Judgement::Live => Look::Live,
        Judgement::Leftover => Look::Leftover,
        Judgement::InTheWay(fault) => {
            Look::Foreign(Obstacle::file(&file.path, fault, Some(file.stat)))
        }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Live,
    Leftover,
    InTheWay(FileFault),
}

/// The decision alone: who uses it, and whether we may.
fn judge(users: Others, ours: bool) -> Judgement {
    match (users, ours) {
        (Others::Some, true) => Judgement::Live,
        (Others::None, _) => Judgement::Leftover,
        (Others::Unknown, true) => Judgement::InTheWay(FileFault::InDoubt),
        (Others::Some | Others::Unknown, false) => Judgement::InTheWay(FileFault::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_from_anybody_in_doubt() {
        use Judgement::{InTheWay, Leftover, Live};
        let table = [
            (Others::None, true, Leftover),
            (Others::None, false, Leftover),
            (Others::Some, true, Live),
            (Others::Some, false, InTheWay(FileFault::Foreign)),
            (Others::Unknown, true, InTheWay(FileFault::InDoubt)),
            (Others::Unknown, false, InTheWay(FileFault::Foreign)),
        ];
        for (users, ours, expected) in table {
            assert_eq!(judge(users, ours), expected, "{users:?} {ours}");
        }
    }
}
