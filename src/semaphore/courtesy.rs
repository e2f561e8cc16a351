//! Qt's own lock, taken for the length of a call.

use std::path::Path;
use std::time::Duration;

use crate::actor::Actor;
use crate::kernel::{IpcId, Kernel, Wait};

use super::usable_key;

/// A call of real Qt takes some 50 us, unless the scheduler interrupts it.
const COURTESY: Duration = Duration::from_millis(10);

/// Takes Qt's own lock for the length of a create, attach or detach, if it is free or soon
/// becomes so: processes of real Qt keep it while they do the same. Whoever keeps it for longer
/// is between lock() and unlock(), and is not waited for.
pub(crate) fn courtesy<K: Kernel>(actor: &Actor<K>, path: &Path) -> Option<IpcId> {
    let stat = actor.kernel.lstat(path).ok()?;
    if !actor.options.access.trusts_file(&actor.identity, &stat) {
        return None;
    }
    let key = usable_key(actor, path, &stat).ok()?;
    let id = actor.kernel.sem_find(key).ok()?;
    courtesy_of(actor, id)
}

/// The same of a semaphore that is known already.
pub(crate) fn courtesy_of<K: Kernel>(actor: &Actor<K>, id: IpcId) -> Option<IpcId> {
    let taken = actor.kernel.sem_op(id, -1, Wait::AtMost(COURTESY));
    taken.is_ok().then_some(id)
}

/// Gives back what [`courtesy`] took.
pub(crate) fn end_courtesy<K: Kernel>(actor: &Actor<K>, taken: Option<IpcId>) {
    if let Some(id) = taken {
        let _ = actor.kernel.sem_op(id, 1, Wait::No);
    }
}
