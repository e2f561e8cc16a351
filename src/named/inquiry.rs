//! How one asks about the users of a semaphore, and stands in for those who are dead.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::kernel::{Fd, FileStat, Kernel};

use super::semaphore::SIZE;
use super::slots;

/// A way to the file of a semaphore that somebody of this process uses.
///
/// Descriptors are looked at each time: an application may close all that it has while a thread
/// waits, and have other files under their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry<K: Kernel> {
    kernel: K,
    path: PathBuf,
    stat: FileStat,
    /// The semaphore's descriptor, which other threads have as well.
    lent: Fd,
    /// Whether somebody stands in for the dead by the lent one.
    busy: Arc<AtomicBool>,
}

impl<K: Kernel> Inquiry<K> {
    /// `lent`: a descriptor of the semaphore, if it has not been closed. `busy`: one for all who
    /// have the same.
    pub(super) fn new(
        kernel: &K,
        path: PathBuf,
        stat: FileStat,
        lent: Fd,
        busy: Arc<AtomicBool>,
    ) -> Self {
        Inquiry {
            kernel: kernel.clone(),
            path,
            stat,
            lent,
            busy,
        }
    }

    /// Runs `act` as the user of this slot, if its own is dead, and then leaves it free. Meanwhile
    /// nobody else is that user: not a process that starts, nor another thread that waits. A number
    /// that is no slot is nobody's.
    ///
    /// `None`: its user lives, somebody stands in for it already, or that can't be known.
    pub(super) fn stand_in<T>(&self, slot: u32, act: impl FnOnce() -> T) -> Option<T> {
        if slot >= slots::COUNT {
            return Some(act());
        }
        if !self.seems_gone(slot) {
            return None;
        }
        // A child that another thread forks meanwhile must not get the descriptor: it would be that
        // user for as long as it lives, if we die here. The mapping it does not get.
        let stands = self
            .kernel
            .without_fork(|| self.open().map(|fd| self.take(fd, slot)));
        match stands {
            Some(taken) => {
                let address = taken?;
                let done = act();
                self.kernel.unmap(address, SIZE);
                Some(done)
            }
            None => self.stand_in_by_lent(slot, act),
        }
    }

    /// Whether anybody of ours but the user of this slot uses the semaphore; in doubt there is one.
    pub(super) fn has_others(&self, slot: u32) -> bool {
        let is_free = |fd, range| self.kernel.range_holder(fd, range) == Ok(None);
        let alone = self.ask(|fd| {
            let mut others = slots::around(slot).into_iter();
            others.all(|range| is_free(fd, range))
        });
        alone != Some(true)
    }

    /// Whether it is worth trying. What the answer says may be over when it comes, or have been said
    /// of another file.
    fn seems_gone(&self, slot: u32) -> bool {
        self.ask(|fd| slots::is_free(&self.kernel, fd, slot)) == Some(true)
    }

    /// Asks by whichever descriptor there is.
    fn ask<T>(&self, question: impl FnOnce(Fd) -> T) -> Option<T> {
        if self.is_it(self.lent) {
            return Some(question(self.lent));
        }
        let fd = self.open()?;
        let answer = question(fd);
        if self.is_it(fd) {
            self.kernel.close(fd);
        }
        Some(answer)
    }

    /// Takes a slot for a mapping that is made by this descriptor, which is closed; where it is.
    fn take(&self, fd: Fd, slot: u32) -> Option<usize> {
        let kernel = &self.kernel;
        let taken = slots::take(kernel, fd, slot).and_then(|()| kernel.map_own(fd, SIZE, None));
        // Was it still our file that the lock was taken on?
        let right = self.is_it(fd);
        if right {
            kernel.close(fd);
        }
        match taken {
            Ok(address) if right => Some(address),
            Ok(address) => {
                kernel.unmap(address, SIZE);
                None
            }
            Err(_) => None,
        }
    }

    /// The same where the file may not be opened any more, by who has given up the rights that it
    /// had. All threads have this descriptor, so one at a time.
    fn stand_in_by_lent<T>(&self, slot: u32, act: impl FnOnce() -> T) -> Option<T> {
        if !self.is_it(self.lent) || self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        let taken = slots::take(&self.kernel, self.lent, slot).is_ok() && self.is_it(self.lent);
        let done = taken.then(act);
        if taken {
            slots::give_back(&self.kernel, self.lent, slot);
        }
        self.busy.store(false, Ordering::Release);
        done
    }

    /// Opens the file anew: by its path, or, where that leads elsewhere, by the descriptor.
    fn open(&self) -> Option<Fd> {
        let kernel = &self.kernel;
        let by_path = || kernel.named_open(&self.path, true);
        let by_lent = || kernel.named_reopen(self.lent);
        self.opened(by_path).or_else(|| self.opened(by_lent))
    }

    fn opened<E>(&self, open: impl FnOnce() -> Result<Fd, E>) -> Option<Fd> {
        let fd = open().ok()?;
        if self.is_it(fd) {
            return Some(fd);
        }
        self.kernel.close(fd);
        None
    }

    fn is_it(&self, fd: Fd) -> bool {
        let now = (fd >= 0).then(|| self.kernel.fstat(fd));
        now.is_some_and(|now| now.is_ok_and(|now| now.same_file(&self.stat)))
    }
}
