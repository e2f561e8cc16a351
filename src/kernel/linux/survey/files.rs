//! Directories of key files, and POSIX objects, which are files of `/dev/shm`.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::super::{Linux, status};
use crate::kernel::survey::FoundFile;
use crate::kernel::{Errno, FileStat, Kernel as _};

/// stat(2): the file behind a link, as those of `/proc/PID/fd`.
pub fn follow(path: &Path) -> Option<FileStat> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    status(libc::AT_FDCWD, &path, 0).ok()
}

/// The files of a directory whose names `wanted` takes, links not followed; nothing where it may
/// not be read.
pub fn directory(directory: &Path, wanted: impl Fn(&[u8]) -> bool) -> Vec<FoundFile> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<FoundFile> = entries
        .filter(|entry| wanted(entry.file_name().as_bytes()))
        .filter_map(|entry| {
            Some(FoundFile {
                path: entry.path(),
                stat: Linux.lstat(&entry.path()).ok()?,
                modified: entry.metadata().ok()?.mtime(),
                deleted: false,
            })
        })
        .collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The value of a POSIX semaphore: the lower half of the first eight bytes of its file, as glibc
/// has it on 64-bit machines. `None`: not one, or it may not be read.
pub fn posix_value(file: &Path) -> Option<i32> {
    let name = file.file_name()?.as_bytes();
    if !name.starts_with(b"sem.") || Linux.lstat(file).ok()?.size != SEMAPHORE_SIZE {
        return None;
    }
    let bytes = fs::read(file).ok()?;
    let value: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    Some(i32::from_ne_bytes(value))
}

/// Of a `sem_t`.
const SEMAPHORE_SIZE: u64 = size_of::<libc::sem_t>() as u64;

/// A POSIX semaphore that is held as a lock; given back when dropped.
#[derive(Debug)]
pub struct PosixLock(*mut libc::sem_t);

/// Takes the POSIX semaphore of this name (with its slash) if it is free: sem_open(3) of an
/// existing one, sem_trywait(3).
///
/// # Errors
/// `ENOENT`: there is none. `EAGAIN`: somebody is inside, or died there.
pub fn lock_posix(name: &str) -> Result<PosixLock, Errno> {
    // A shorter file would be a memory fault when it is used.
    let size =
        Linux.lstat(&Path::new("/dev/shm").join(format!("sem.{}", name.trim_start_matches('/'))));
    if size?.size != SEMAPHORE_SIZE {
        return Err(Errno::EINVAL);
    }
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the name ends with a NUL and lives through the call; without O_CREAT there are no
    // further arguments.
    let semaphore = unsafe { libc::sem_open(name.as_ptr(), 0) };
    if semaphore == libc::SEM_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: sem_open gave it, and nobody has closed it.
    if unsafe { libc::sem_trywait(semaphore) } == -1 {
        let errno = Errno::last();
        // SAFETY: as above; it is not used again.
        unsafe { libc::sem_close(semaphore) };
        return Err(errno);
    }
    Ok(PosixLock(semaphore))
}

impl Drop for PosixLock {
    fn drop(&mut self) {
        // SAFETY: open and taken by `lock_posix`, and not used again.
        unsafe {
            libc::sem_post(self.0);
            libc::sem_close(self.0);
        }
    }
}
