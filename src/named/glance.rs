//! A file that is opened only to look at it.

use std::path::Path;

use crate::kernel::{Errno, Fd, Kernel};

/// An open file without its lifecycle lock, closed when dropped; announced for as long, so that
/// nobody takes the one who looks for one who uses it.
#[derive(Debug)]
pub(super) struct Glance<K: Kernel> {
    kernel: K,
    pub fd: Fd,
    announced: Option<Fd>,
}

impl<K: Kernel> Glance<K> {
    pub fn at(kernel: &K, path: &Path, write: bool) -> Result<Self, Errno> {
        let announced = kernel.announce(path).ok();
        match kernel.named_open(path, write) {
            Ok(fd) => Ok(Glance {
                kernel: kernel.clone(),
                fd,
                announced,
            }),
            Err(errno) => {
                if let Some(fd) = announced {
                    kernel.close(fd);
                }
                Err(errno)
            }
        }
    }
}

impl<K: Kernel> Drop for Glance<K> {
    fn drop(&mut self) {
        self.kernel.close(self.fd);
        if let Some(fd) = self.announced {
            self.kernel.close(fd);
        }
    }
}
