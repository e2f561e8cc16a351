//! One slot for each process and `QSystemSemaphore`, whichever of the process's objects uses it.
//!
//! What is given back when a process dies is on the account of its slot. So what one object has
//! acquired another one can release, as with System V, whose account (`SEM_UNDO`, semop(2)) is that
//! of the process. Where an object goes while its process owes something, the slot stays, until
//! the process ends or another object pays.

use std::sync::PoisonError;

use crate::kernel::{Errno, FileStat, Kernel, OwnSlot};

use super::handle::Handle;
use super::semaphore::SIZE;

/// The slots of this process, while no other thread forks: a child must not find the list locked.
/// What was its parent's is none of a child's.
fn with<K: Kernel, T>(kernel: &K, act: impl FnOnce(&mut Vec<OwnSlot>) -> T) -> T {
    kernel.without_fork(|| {
        let slots = kernel.own_slots().lock();
        let mut slots = slots.unwrap_or_else(PoisonError::into_inner);
        let mark = kernel.fork_mark();
        slots.retain(|slot| slot.fork_mark == mark);
        act(&mut slots)
    })
}

/// The slot that the process has in the semaphore of this file, or the one that `make` takes; and
/// whether it had it before. `make` gets a page to map the semaphore in, if there is one to spare.
pub(super) fn take<K: Kernel>(
    kernel: &K,
    file: &FileStat,
    make: impl FnOnce(Option<usize>) -> Result<Handle, Errno>,
) -> Result<(Handle, bool), Errno> {
    with(kernel, |slots| {
        let own = slots.iter_mut().find(|slot| slot.is_of(file));
        if let Some((slot, handle)) = own.and_then(|slot| {
            let handle = Handle::from_raw(slot.handle)?;
            Some((slot, handle))
        }) {
            slot.users += 1;
            return Ok((handle, true));
        }
        let spare = slots.iter().position(|slot| slot.handle == 0);
        let page = spare.and_then(|at| slots.get(at)).map(|slot| slot.page);
        let handle = make(page)?;
        if let Some(at) = spare {
            slots.swap_remove(at);
        }
        slots.push(OwnSlot {
            fork_mark: kernel.fork_mark(),
            file: (file.dev, file.ino),
            handle: handle.raw(),
            page: handle.address(),
            users: 1,
        });
        Ok((handle, false))
    })
}

/// An object stops using the slot; says whether the slot is given up with it, which `keep` can
/// prevent.
///
/// A thread may be about to look at the page where the semaphore was mapped, so that stays memory,
/// for the next semaphore.
pub(super) fn leave<K: Kernel>(kernel: &K, file: &FileStat, keep: impl FnOnce() -> bool) -> bool {
    with(kernel, |slots| {
        let Some(slot) = slots.iter_mut().find(|slot| slot.is_of(file)) else {
            return false;
        };
        slot.users = slot.users.saturating_sub(1);
        if slot.users > 0 || keep() {
            return false;
        }
        kernel.retire(slot.page, SIZE);
        slot.handle = 0;
        true
    })
}
