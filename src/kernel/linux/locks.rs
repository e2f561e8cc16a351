//! Locks of open files: flock(2), ranges by fcntl(2) `F_OFD_SETLK`, and leases.

use super::super::{Errno, Fd, FileLock, Range, Wait};
use super::check;
use super::waiting::asked_again;

pub fn flock(fd: Fd, lock: FileLock, wait: Wait) -> Result<(), Errno> {
    let operation = match lock {
        FileLock::Shared => libc::LOCK_SH,
        FileLock::Exclusive => libc::LOCK_EX,
        FileLock::Unlock => libc::LOCK_UN,
    };
    // SAFETY: two numbers; the kernel checks the descriptor.
    let ask = |flags| check(unsafe { libc::flock(fd, operation | flags) }).map(drop);
    match wait {
        Wait::No => ask(libc::LOCK_NB),
        Wait::Forever => loop {
            match ask(0) {
                Err(Errno::EINTR) => {}
                answer => return answer,
            }
        },
        Wait::AtMost(_) => asked_again(wait, || ask(libc::LOCK_NB)),
    }
}

fn record(kind: libc::c_int, range: Range) -> Result<libc::flock, Errno> {
    let offset = |number: u64| libc::off_t::try_from(number).map_err(|_| Errno::EINVAL);
    Ok(libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset(range.start)?,
        l_len: offset(range.length)?,
        // F_OFD_* wants it to be 0.
        l_pid: 0,
    })
}

pub fn range_lock(fd: Fd, range: Range, lock: FileLock) -> Result<(), Errno> {
    let kind = match lock {
        FileLock::Shared => libc::F_RDLCK,
        FileLock::Exclusive => libc::F_WRLCK,
        FileLock::Unlock => libc::F_UNLCK,
    };
    let record = record(kind, range)?;
    // SAFETY: the kernel reads `record`, which lives here, and checks the descriptor.
    match check(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const record) }) {
        // Either is allowed for "somebody has it", see fcntl(2).
        Err(Errno::EACCES) => Err(Errno::EAGAIN),
        answer => answer.map(drop),
    }
}

pub fn range_holder(fd: Fd, range: Range) -> Result<Option<Range>, Errno> {
    let mut record = record(libc::F_WRLCK, range)?;
    // SAFETY: the kernel reads and fills `record`, which lives here, and checks the descriptor.
    check(unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &raw mut record) })?;
    if libc::c_int::from(record.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    let start = record.l_start as u64;
    // A length of 0 is everything behind the start.
    let length = match record.l_len {
        0 => i64::MAX as u64 - start,
        length => length as u64,
    };
    Ok(Some(Range { start, length }))
}

/// fcntl(2) of Linux that libc does not name.
const F_SETSIG: libc::c_int = 10;

/// The signal for whoever has a lease that somebody else's open(2) breaks. It can only come while
/// [`lease`] runs; the usual one, SIGIO, would end the process, and this one is ignored.
const HARMLESS: libc::c_int = libc::SIGURG;

pub fn lease(fd: Fd) -> Result<(), Errno> {
    // SAFETY: numbers only; the kernel checks the descriptor.
    unsafe {
        check(libc::fcntl(fd, F_SETSIG, HARMLESS))?;
        check(libc::fcntl(fd, libc::F_SETLEASE, libc::F_WRLCK))?;
        check(libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK)).map(drop)
    }
}
