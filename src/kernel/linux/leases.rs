//! Leases: fcntl(2) `F_SETLEASE`, given only where nobody else has the file open.
//!
//! Whoever opens the file while somebody has a lease waits.

use super::super::{Errno, Fd};
use super::check;
use super::lease_signal::Unheard;

/// Takes a lease and gives it back: whether nobody else has the file open.
pub fn lease(fd: Fd) -> Result<(), Errno> {
    under_lease(fd, || ())
}

/// Runs `act` while whoever opens the file waits.
pub fn under_lease<T>(fd: Fd, act: impl FnOnce() -> T) -> Result<T, Errno> {
    let _unheard = Unheard::of(fd)?;
    // SAFETY: numbers only; the kernel checks the descriptor.
    check(unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_WRLCK) })?;
    let _lease = Lease(fd);
    Ok(act())
}

/// Given back when dropped. It may be gone by then: who waits to open the file for long takes it away.
struct Lease(Fd);

impl Drop for Lease {
    fn drop(&mut self) {
        // SAFETY: numbers only.
        unsafe { libc::fcntl(self.0, libc::F_SETLEASE, libc::F_UNLCK) };
    }
}
