//! Whether anybody else has a file open: the kernel knows how often it is open, and says so by
//! giving a lease or refusing it.
//!
//! Who opens a file only to look at it, for some microseconds, is counted as well. So those announce
//! themselves: by a lock on a byte of the file's directory, from before they open the file until
//! after they have closed it. Who finds the file open again and again, and nobody announced in
//! between, knows that somebody uses it, however many processes there are and whether or not they
//! can be seen.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, lstat};
use nix::unistd;

use super::super::{Errno, Fd, FileLock, Kernel as _, Range, Wait};
use super::leases::{lease, under_lease};
use super::locks::{range_holder, range_lock};
use super::waiting::asked_again;
use super::{Linux, named};

/// How long the end of a process can be seen by halves: its locks are gone, its files still open.
const ENDING: Duration = Duration::from_millis(2);

/// How often, at the least, a file is found open meanwhile, with nobody announced.
const TIMES: u32 = 10;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_micros(50);

/// Those who look at one file.
#[derive(Debug)]
struct Announcements {
    directory: OwnedFd,
    byte: Range,
}

impl Announcements {
    fn of(path: &Path) -> Result<Self, Errno> {
        let directory = path.parent().ok_or(Errno::EINVAL)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Announcements {
            directory: open(directory, flags, Mode::empty())?,
            byte: Range::new(position(path.file_name().unwrap_or_default()), 1),
        })
    }

    /// Announces this process.
    fn make(&self) -> Result<(), Errno> {
        range_lock(self.directory.as_raw_fd(), self.byte, FileLock::Shared)
    }

    fn take_back(&self) -> Result<(), Errno> {
        range_lock(self.directory.as_raw_fd(), self.byte, FileLock::Unlock)
    }

    /// Whether somebody else is announced.
    fn has_any(&self) -> bool {
        range_holder(self.directory.as_raw_fd(), self.byte).is_ok_and(|by| by.is_some())
    }
}

/// A number for a name (FNV-1a), which must be the same in all programs. Two names with one number
/// only make each other wait.
fn position(name: &OsStr) -> u64 {
    let bytes = name.as_encoded_bytes().iter();
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Positions are positive numbers of 64 bits.
    hash >> 2
}

/// Announces this process until the descriptor is closed.
pub fn announce(path: &Path) -> Result<Fd, Errno> {
    let announcements = Announcements::of(path)?;
    announcements.make()?;
    named::above_standard(announcements.directory)
}

/// Opens a file and takes its flock(2), announced until then.
pub fn open_locked(
    kernel: Linux,
    path: &Path,
    write: bool,
    known: bool,
    wait: Wait,
) -> Result<Fd, Errno> {
    // There is nothing to be opened, and so nothing to be announced.
    if !known && lstat(path).is_err_and(|errno| errno == Errno::ENOENT) {
        return Err(Errno::ENOENT);
    }
    // Where the directory may not be read, nobody can announce anything.
    let announced = (!known).then(|| Announcements::of(path));
    let announcements = announced.and_then(Result::ok);
    let announce = |change: fn(&Announcements) -> Result<(), Errno>| {
        announcements.as_ref().map(change);
    };
    let attempt = || {
        announce(Announcements::make);
        let opened = named::open(path, write).and_then(|fd| {
            let locked = kernel.flock(fd, FileLock::Exclusive, Wait::No);
            locked.map(|()| fd).inspect_err(|_| kernel.close(fd))
        });
        // Otherwise it ends with the directory's descriptor.
        if matches!(opened, Err(Errno::EAGAIN)) {
            announce(Announcements::take_back);
        }
        opened
    };
    asked_again(wait, attempt)
}

/// Whether nobody else has the file open; see [`named_alone`](super::super::Kernel::named_alone).
pub fn alone(fd: Fd, path: &Path, wait: Wait) -> Result<bool, Errno> {
    let ask = || match lease(fd) {
        Ok(()) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(errno),
    };
    let now = ask()?;
    if now || wait == Wait::No {
        return Ok(now);
    }
    let announcements = Announcements::of(path).ok();
    let begin = Instant::now();
    let is_over = || matches!(wait, Wait::AtMost(time) if begin.elapsed() >= time);
    let (mut since, mut times) = (begin, 0);
    while times < TIMES || since.elapsed() < ENDING {
        if announcements.as_ref().is_some_and(Announcements::has_any) {
            (since, times) = (Instant::now(), 0);
        }
        if is_over() {
            return Ok(false);
        }
        std::thread::sleep(PAUSE);
        if ask()? {
            return Ok(true);
        }
        times += 1;
    }
    Ok(false)
}

/// Removes a file that nobody else has open; see
/// [`named_unlink`](super::super::Kernel::named_unlink).
pub fn unlink(fd: Fd, path: &Path) -> Result<(), Errno> {
    let act = || {
        unistd::unlink(path)?;
        // Of a file that is open for reading alone the content stays, for whoever waits.
        let _ = named::resize(fd, 0);
        Ok(())
    };
    under_lease(fd, act).map_err(|_| Errno::EAGAIN)?
}
