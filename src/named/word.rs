//! The word that a POSIX semaphore is, as glibc has it on 64-bit machines, and what qshm keeps in
//! bits of it that glibc leaves alone.
//!
//! glibc (since 2.21) has the value in the lower half and the number of waiters in the upper one,
//! and changes each by adding and subtracting. So the uppermost bits, which no number of waiters
//! reaches, keep what is written there: who of ours has taken one from the value. Taking one and
//! saying who took it is then one step, which no kill can cut in two. There is room for one such;
//! the others are in the table (`accounts`).

/// The bits of the value.
const VALUE: u64 = 0xffff_ffff;
/// The bits of the number of waiters.
const WAITERS: u64 = 0x1fff << 32;
/// We count no further, so that processes of real Qt can't reach the bits behind. Who was killed
/// while it waited stays counted: then somebody is woken who is not there, and that is all.
const MOST_WAITERS: u64 = 0x1000 << 32;
const ONE_WAITER: u64 = 1 << 32;
/// Changes with each counted operation of ours.
const PARITY: u64 = 1 << 45;
/// Where the slot of the holder begins.
const HOLDER: u32 = 46;

/// The highest value of a semaphore, `SEM_VALUE_MAX`.
pub(super) const MOST: u32 = 0x7fff_ffff;

/// How the file of a semaphore begins that sem_open(3) makes: the word, then that it is shared
/// between processes.
pub(super) fn image(value: u32) -> [u8; 32] {
    let mut image = [0; 32];
    let (word, rest) = image.split_at_mut(8);
    word.copy_from_slice(&u64::from(value).to_ne_bytes());
    if let Some(shared) = rest.get_mut(..4) {
        shared.copy_from_slice(&128u32.to_ne_bytes());
    }
    image
}

/// Who has taken one, as far as the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldBy {
    /// Nobody, or a process of real Qt.
    Unknown,
    /// The user of ours in this slot.
    Slot(u32),
}

/// A state of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub u64);

impl Word {
    pub fn value(self) -> u32 {
        (self.0 & VALUE) as u32
    }

    pub fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    pub fn parity(self) -> bool {
        self.0 & PARITY != 0
    }

    pub fn holder(self) -> HeldBy {
        match (self.0 >> HOLDER) as u32 {
            0 => HeldBy::Unknown,
            slot => HeldBy::Slot(slot),
        }
    }

    /// With one less, which this slot has; `None` where there is not one, or another is named.
    pub fn taken_by(self, slot: u32) -> Option<Self> {
        let left = self.value().checked_sub(1)?;
        let free = self.holder() == HeldBy::Unknown;
        free.then(|| self.with_value(left).with_holder(HeldBy::Slot(slot)))
    }

    /// With the one that the named slot has given back.
    pub fn given_back(self) -> Self {
        let value = self.value().saturating_add(1).min(MOST);
        self.with_value(value).with_holder(HeldBy::Unknown)
    }

    pub fn with_value(self, value: u32) -> Self {
        Word(self.0 & !VALUE | u64::from(value))
    }

    pub fn with_parity(self, parity: bool) -> Self {
        Word(self.0 & !PARITY | if parity { PARITY } else { 0 })
    }

    pub fn with_holder(self, holder: HeldBy) -> Self {
        let slot = match holder {
            HeldBy::Unknown => 0,
            HeldBy::Slot(slot) => slot,
        };
        Word(self.0 & ((1 << HOLDER) - 1) | u64::from(slot) << HOLDER)
    }

    /// With one waiter more, as long as they can be counted.
    pub fn with_waiter(self) -> Option<Self> {
        (self.0 & WAITERS < MOST_WAITERS).then_some(Word(self.0.wrapping_add(ONE_WAITER)))
    }

    /// With one waiter less.
    pub fn without_waiter(self) -> Self {
        if self.has_waiters() {
            Word(self.0.wrapping_sub(ONE_WAITER))
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_touch_each_other() {
        let word = Word(0)
            .with_value(MOST)
            .with_holder(HeldBy::Slot(1000))
            .with_parity(true);
        assert_eq!(word.value(), MOST);
        assert_eq!(word.holder(), HeldBy::Slot(1000));
        assert!(word.parity() && !word.has_waiters());
        let waited = word.with_waiter().unwrap_or(word);
        assert!(waited.has_waiters());
        assert_eq!(waited.without_waiter(), word);
        assert_eq!(word.without_waiter(), word);
        let freed = word
            .with_holder(HeldBy::Unknown)
            .with_parity(false)
            .with_value(0);
        assert_eq!(freed, Word(0));
        assert_eq!(Word(WAITERS).with_waiter(), None);
        assert_eq!(Word(MOST_WAITERS).with_waiter(), None);
    }

    #[test]
    fn one_at_a_time_is_named() {
        let free = Word(2);
        let taken = free.taken_by(7).unwrap_or(free);
        assert_eq!(taken, Word(1).with_holder(HeldBy::Slot(7)));
        assert_eq!(taken.taken_by(8), None);
        assert_eq!(Word(0).taken_by(7), None);
        assert_eq!(taken.given_back(), free);
        let full = Word(0).with_value(MOST).with_holder(HeldBy::Slot(7));
        assert_eq!(full.given_back().value(), MOST);
    }

    /// The layout that everything here relies on is that of the C library in use.
    #[test]
    fn the_image_is_what_sem_open_makes() {
        use std::ffi::CString;
        let name = format!("/qshm-image-{}", std::process::id());
        let file = format!("/dev/shm/sem.{}", name.trim_start_matches('/'));
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: a name that ends with a NUL; the semaphore is closed, and its name removed.
        #[allow(unsafe_code)]
        unsafe {
            let semaphore = libc::sem_open(name.as_ptr(), libc::O_CREAT | libc::O_EXCL, 0o600, 5);
            assert_ne!(semaphore, libc::SEM_FAILED);
            let made = std::fs::read(file);
            libc::sem_unlink(name.as_ptr());
            libc::sem_close(semaphore);
            assert_eq!(made.unwrap_or_default(), image(5));
        }
    }
}
