//! A descriptor to ask the kernel about the users of a semaphore with, while one waits for it.

use std::cell::Cell;
use std::path::PathBuf;

use crate::kernel::{Fd, FileStat, Kernel};

/// An open file of a semaphore of the asker's own, made when it is first needed and closed when
/// dropped.
///
/// Of its own, because who takes a dead user's slot must not find that another thread, by the same
/// open file, has given it back meanwhile. And looked at each time anew: an application may close
/// all its descriptors while a thread waits, and have other files under their numbers.
#[derive(Debug)]
pub(crate) struct Inquiry<K: Kernel> {
    kernel: K,
    path: PathBuf,
    stat: FileStat,
    /// The descriptor that the semaphore has, for where the path leads elsewhere by now.
    lent: Fd,
    own: Cell<Fd>,
}

impl<K: Kernel> Inquiry<K> {
    pub(super) fn new(kernel: &K, path: PathBuf, stat: FileStat, lent: Fd) -> Self {
        Inquiry {
            kernel: kernel.clone(),
            path,
            stat,
            lent,
            own: Cell::new(-1),
        }
    }

    /// The descriptor; none where there is no way to the semaphore's file any more.
    pub(super) fn fd(&self) -> Option<Fd> {
        if self.is_it(self.own.get()) {
            return Some(self.own.get());
        }
        self.own.set(-1);
        if let Ok(fd) = self.kernel.named_open(&self.path, true) {
            if self.is_it(fd) {
                self.own.set(fd);
                return Some(fd);
            }
            self.kernel.close(fd);
        }
        self.is_it(self.lent).then_some(self.lent)
    }

    fn is_it(&self, fd: Fd) -> bool {
        fd >= 0
            && self
                .kernel
                .fstat(fd)
                .is_ok_and(|now| now.same_file(&self.stat))
    }
}

impl<K: Kernel> Drop for Inquiry<K> {
    fn drop(&mut self) {
        if self.is_it(self.own.get()) {
            self.kernel.close(self.own.get());
        }
    }
}
