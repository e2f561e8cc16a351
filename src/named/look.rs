//! What a segment's file says, under its lock, and what it means for us.

use crate::actor::Actor;
use crate::kernel::{Kernel, Range};
use crate::options::Leftover;
use crate::trouble::{FileFault, Obstacle, Trouble};

use super::file::{File, perm_of};

/// The byte whose lock says that a process is attached.
pub(super) const ATTACHED: Range = Range::new(0, 1);

/// What a segment is to us.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// In use, and we may use it.
    Live,
    /// Nobody is attached.
    Leftover {
        /// Whether this process may remove it.
        removable: bool,
    },
    /// We may not use it.
    Foreign(Obstacle),
}

/// Looks at a segment's file; `want` is what it is to be used for, as in
/// [`crate::access::grants`].
pub(super) fn look<K: Kernel>(
    actor: &Actor<K>,
    file: &File<K>,
    want: u32,
) -> Result<Look, Trouble> {
    let ours = actor.may_use(&perm_of(&file.stat), want);
    let kept = actor.options.leftover == Leftover::Keep && ours && file.stat.size > 0;
    let in_use = kept || file.locked(ATTACHED)?.is_some() || file.is_used_by_others();
    let euid = actor.kernel.geteuid();
    let removable = euid == 0 || file.stat.uid == euid;
    Ok(judge(file, in_use, ours, removable))
}

/// The decision alone.
fn judge<K: Kernel>(file: &File<K>, in_use: bool, ours: bool, removable: bool) -> Look {
    let foreign = || {
        let stat = Some(file.stat);
        Look::Foreign(Obstacle::file(&file.path, FileFault::Foreign, stat))
    };
    match (in_use, ours) {
        (true, true) => Look::Live,
        (false, _) if removable || ours => Look::Leftover { removable },
        _ => foreign(),
    }
}
