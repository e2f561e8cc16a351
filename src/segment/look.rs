//! What stands at a place: a snapshot of the segment, and what it means for us.

use crate::actor::Actor;
use crate::kernel::{Errno, FileStat, IpcId, IpcKey, Kernel, ShmStat};
use crate::options::Leftover;
use crate::place::Place;
use crate::semaphore::usable_key;
use crate::trouble::{Obstacle, Step, Trouble};

/// What stands at a place whose key file is usable.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// No segment.
    Nothing,
    /// One that is in use, and that we may use.
    Live {
        id: IpcId,
        /// When it was made, or last changed.
        changed: i64,
    },
    /// One that nobody is attached to.
    Leftover {
        id: IpcId,
        stat: ShmStat,
        /// Whether this process may remove it.
        removable: bool,
        /// Whether it is in the way of our identity, although this process (root) may remove it.
        in_the_way: bool,
    },
    /// One that we may not use.
    Foreign(Obstacle),
}

/// Looks at the segment of a place; `want` is what it is to be used for, as in
/// [`crate::access::grants`].
pub(crate) fn look<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    file: &FileStat,
    want: u32,
) -> Result<Look, Trouble> {
    let key = usable_key(actor, &place.segment, file)?;
    let id = match actor.kernel.shm_find(key) {
        Ok(id) => id,
        Err(Errno::ENOENT) => return Ok(Look::Nothing),
        Err(errno) => return Err(Trouble::system(Step::Segment, errno, &place.segment)),
    };
    let stat = match actor.kernel.shm_stat(id) {
        Ok(stat) if stat.removed => return Ok(Look::Nothing),
        Ok(stat) => Some(stat),
        // Removed between the two calls.
        Err(Errno::EIDRM | Errno::EINVAL) => return Ok(Look::Nothing),
        Err(Errno::EACCES | Errno::EPERM) => None,
        Err(errno) => return Err(Trouble::system(Step::Segment, errno, &place.segment)),
    };
    Ok(judge(actor, file, key, id, stat, want))
}

/// The decision alone, over a snapshot. `stat` is `None` where we may not even look.
fn judge<K: Kernel>(
    actor: &Actor<K>,
    file: &FileStat,
    key: IpcKey,
    id: IpcId,
    stat: Option<ShmStat>,
    want: u32,
) -> Look {
    let foreign = |stat: Option<ShmStat>| {
        Look::Foreign(Obstacle::Segment {
            key,
            id,
            perm: stat.map(|stat| stat.perm),
        })
    };
    let Some(stat) = stat else {
        return foreign(None);
    };
    let ours = actor.may_use(&stat.perm, want) && actor.may_open(file);
    let in_use = stat.attached > 0 || actor.options.leftover == Leftover::Keep && ours;
    match (in_use, ours) {
        (true, true) => Look::Live {
            id,
            changed: stat.changed,
        },
        (true, false) => foreign(Some(stat)),
        (false, _) => {
            let removable = actor.may_remove(&stat.perm);
            if removable || ours {
                let in_the_way = !ours && actor.identity.acting_as_root;
                Look::Leftover {
                    id,
                    stat,
                    removable,
                    in_the_way,
                }
            } else {
                foreign(Some(stat))
            }
        }
    }
}
