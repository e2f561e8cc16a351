//! Where a semaphore is mapped and which slot in it is ours, in one number, for an atomic.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// An address that is a multiple of a page's 4096 bytes, and a slot below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(u64);

const SLOT: u64 = 0xfff;

impl Handle {
    pub(super) fn new(address: usize, slot: u32) -> Self {
        Handle(address as u64 & !SLOT | u64::from(slot) & SLOT)
    }

    /// As it was given by [`raw`](Self::raw); `None` if that was 0.
    pub fn from_raw(raw: u64) -> Option<Self> {
        (raw != 0).then_some(Handle(raw))
    }

    pub fn raw(self) -> u64 {
        self.0
    }

    pub(super) fn address(self) -> usize {
        (self.0 & !SLOT) as usize
    }

    pub(super) fn slot(self) -> u32 {
        (self.0 & SLOT) as u32
    }
}

/// The semaphore that an object has open, beside the object's state: what takes no waiting needs no
/// more.
#[derive(Debug, Default)]
pub(crate) struct OpenHandle {
    handle: AtomicU64,
    /// The process that opened it. A forked child has not got what it mapped.
    pid: AtomicI32,
}

impl OpenHandle {
    /// The semaphore, if it is this process's.
    #[inline]
    pub fn of(&self, pid: i32) -> Option<Handle> {
        let handle = Handle::from_raw(self.handle.load(Ordering::Acquire))?;
        (self.pid.load(Ordering::Relaxed) == pid).then_some(handle)
    }

    pub fn set(&self, pid: i32, handle: Handle) {
        self.pid.store(pid, Ordering::Relaxed);
        self.handle.store(handle.raw(), Ordering::Release);
    }

    pub fn clear(&self) {
        self.handle.store(0, Ordering::Release);
    }
}
