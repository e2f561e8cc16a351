//! What the value of a semaphore says, and when it is nobody's doing.

use crate::actor::Actor;
use crate::kernel::{Errno, IpcId, IpcKey, Kernel};
use crate::place::Place;
use crate::trouble::{Step, Trouble};

use super::segment_lives;

/// Whether nobody has given it a value yet: its maker was killed, or is about to. So it looks,
/// too, while a process in another PID namespace holds it: but not to one who is alone with it.
pub(super) fn unset<K: Kernel>(kernel: &K, id: IpcId) -> Result<bool, Trouble> {
    let look = || {
        let touched = kernel.sem_last_pid(id)? != 0;
        Ok(!touched && kernel.sem_value(id)? == 0)
    };
    look().map_err(|_: Errno| Trouble::Changed)
}

pub(super) fn set_value<K: Kernel>(
    kernel: &K,
    key: IpcKey,
    id: IpcId,
    value: i32,
) -> Result<(), Trouble> {
    kernel
        .sem_set_value(id, value)
        .map_err(|errno| failed(key, errno))
}

/// A failed call on a semaphore; one that vanished is looked for anew.
pub(super) fn failed(key: IpcKey, errno: Errno) -> Trouble {
    match errno {
        Errno::EIDRM | Errno::EINVAL => Trouble::Changed,
        _ => Trouble::System {
            step: Step::Semaphore,
            errno,
            what: format!("semaphore {key:#010x}"),
        },
    }
}

/// Whether somebody is inside the lock: its value is 0 and who brought it there lives. A dead
/// holder's share the kernel has given back, so a 0 of the dead is the doing of a reset. Who is
/// in a PID namespace that we can't see is known by the lock on the key file alone: `sem_otime`
/// is set also by the exit of a process that only tried.
pub(crate) fn is_held<K: Kernel>(kernel: &K, id: IpcId) -> bool {
    kernel.sem_value(id) == Ok(0)
        && match kernel.sem_last_pid(id) {
            Ok(0) | Err(_) => false,
            Ok(pid) => kernel.is_alive(pid),
        }
}

/// Whether a lock that no process of ours uses has a value that is nobody's doing.
pub(super) fn is_wrong<K: Kernel>(actor: &Actor<K>, id: IpcId, place: &Place) -> bool {
    match actor.kernel.sem_value(id) {
        Ok(1) | Err(_) => false,
        Ok(_) => {
            !is_held(&actor.kernel, id)
                && actor.kernel.sem_waiting(id) == Ok(0)
                && !segment_lives(actor, place)
        }
    }
}
