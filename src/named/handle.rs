//! Where a semaphore is mapped and which slot in it is ours, in one number, for an atomic.

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
