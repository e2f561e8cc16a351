//! What there is to know of a file: statx(2).

use std::ffi::CStr;
use std::mem::MaybeUninit;

use nix::sys::stat::{SFlag, makedev};

use super::super::{Errno, Fd, FileKind, FileStat};
use super::check;

/// statx(2), which nix has not: stat(2) does not say when a file was made.
pub(super) fn status(at: Fd, path: &CStr, flags: libc::c_int) -> Result<FileStat, Errno> {
    let mut status: MaybeUninit<libc::statx> = MaybeUninit::uninit();
    let wanted = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
    // SAFETY: the path ends with a NUL and lives through the call; the kernel checks the
    // descriptor itself, fills `status`, which lives here, and only then is it read.
    unsafe {
        check(libc::statx(
            at,
            path.as_ptr(),
            flags,
            wanted,
            status.as_mut_ptr(),
        ))?;
        Ok(file_stat(&status.assume_init()))
    }
}

fn file_stat(stat: &libc::statx) -> FileStat {
    let mode = libc::mode_t::from(stat.stx_mode);
    let kind = match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => FileKind::Regular,
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFLNK => FileKind::Link,
        _ => FileKind::Other,
    };
    FileStat {
        dev: makedev(stat.stx_dev_major.into(), stat.stx_dev_minor.into()),
        ino: stat.stx_ino,
        kind,
        mode: mode & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        links: stat.stx_nlink.into(),
        size: stat.stx_size,
        born: (stat.stx_mask & libc::STATX_BTIME != 0).then_some(stat.stx_btime.tv_sec),
    }
}
