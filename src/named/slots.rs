//! Who uses a semaphore: each user has a slot, a byte that is locked for as long as the user
//! lives.
//!
//! The lock belongs to the open file through which the user has the semaphore mapped, and that
//! mapping is not passed on to forked children. So whoever finds the byte of a slot free knows that
//! its user is gone, and what it has left is its own to clear up: by taking that byte.

use crate::kernel::{Errno, Fd, FileLock, Kernel, Range, Wait};

/// Where the bytes of the slots begin: far behind the end of the file.
const BASE: u64 = 1 << 32;

/// How many users one semaphore can have at a time. Slot 0 is nobody's.
pub(super) const COUNT: u32 = 1000;

/// The bytes of all slots.
pub(super) const ALL: Range = Range::new(BASE + 1, COUNT as u64 - 1);

/// The bytes of all slots but this one.
pub(super) fn around(slot: u32) -> Vec<Range> {
    let own = byte(slot);
    // A length of 0 would be all up to the end of the world.
    [
        Range::new(ALL.start, own.start.saturating_sub(ALL.start)),
        Range::new(own.end(), ALL.end().saturating_sub(own.end())),
    ]
    .into_iter()
    .filter(|range| range.length > 0)
    .collect()
}

fn byte(slot: u32) -> Range {
    Range::new(BASE + u64::from(slot), 1)
}

/// Takes a slot that is free, beginning somewhere that another process hardly begins.
pub(super) fn claim<K: Kernel>(kernel: &K, fd: Fd) -> Result<u32, Errno> {
    let begin = kernel.getpid().unsigned_abs();
    for step in 0..COUNT - 1 {
        let slot = 1 + begin.wrapping_add(step) % (COUNT - 1);
        match take(kernel, fd, slot) {
            Err(Errno::EAGAIN) => {}
            answer => return answer.map(|()| slot),
        }
    }
    Err(Errno::ENOSPC)
}

/// Takes this slot.
pub(super) fn take<K: Kernel>(kernel: &K, fd: Fd, slot: u32) -> Result<(), Errno> {
    kernel.range_lock(fd, byte(slot), FileLock::Exclusive, Wait::No)
}

/// Gives a slot back.
pub(super) fn give_back<K: Kernel>(kernel: &K, fd: Fd, slot: u32) {
    let _ = kernel.range_lock(fd, byte(slot), FileLock::Unlock, Wait::No);
}

/// Whether nobody has a slot, as it looks from outside. A number that is no slot nobody has; in
/// doubt somebody does.
pub(super) fn is_free<K: Kernel>(kernel: &K, fd: Fd, slot: u32) -> bool {
    slot >= COUNT || kernel.range_holder(fd, byte(slot)) == Ok(None)
}
