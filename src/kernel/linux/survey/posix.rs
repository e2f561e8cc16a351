//! POSIX segments and semaphores, which are files of `/dev/shm`, and who has them.
//!
//! Whether anybody has a file open is asked of the kernel itself, by a write lease (fcntl(2),
//! `F_SETLEASE`): it is given only where no other open file of that inode exists, and a mapping
//! keeps its file open. So processes count that `/proc` hides, those of other users and of other
//! PID namespaces. While the lease is held, who opens the file waits.

use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::path::{Path, PathBuf};

use super::super::{Linux, check};
use super::files::directory;
use crate::kernel::survey::FoundFile;
use crate::kernel::{Errno, Fd, FileKind, FileStat, Kernel as _, Open};

const SHARED_FILES: &str = "/dev/shm";

/// fcntl(2) of Linux that libc does not name.
const F_SETSIG: libc::c_int = 10;

/// All plain files of `/dev/shm`, and of the places aside in it.
pub fn shared_files() -> Vec<FoundFile> {
    let found = directory(Path::new(SHARED_FILES), |_| true);
    let (asides, mut files): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|file| file.stat.kind == FileKind::Directory);
    for aside in asides {
        let name = aside.path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b"qshm-") {
            files.extend(directory(&aside.path, |_| true));
        }
    }
    files.retain(|file| file.stat.kind == FileKind::Regular);
    files
}

fn owned(fd: Fd) -> File {
    // SAFETY: a new descriptor, which nobody else has.
    unsafe { File::from_raw_fd(fd) }
}

/// A file that no process has open but this one, and that others wait for who open it. Ends when
/// dropped.
#[derive(Debug)]
pub struct Lease {
    file: File,
    // After the file, which is closed first.
    _announced: Option<File>,
    path: PathBuf,
    stat: FileStat,
}

impl Lease {
    /// # Errors
    /// `EAGAIN`: somebody has it open. `EACCES`: it is somebody else's. `ENOENT`: it is gone.
    pub fn take(path: &Path) -> Result<Self, Errno> {
        // So that nobody takes us for one who uses it.
        let announced = Linux.announce(path).ok().map(owned);
        let file = owned(Linux.open(path, Open::Existing)?);
        let fd = file.as_raw_fd();
        // SAFETY: numbers only. Who opens the file meanwhile makes the kernel send a signal: one
        // that is ignored unless somebody asks for it, since the usual one would end the process.
        unsafe {
            check(libc::fcntl(fd, F_SETSIG, libc::SIGURG))?;
            check(libc::fcntl(fd, libc::F_SETLEASE, libc::F_WRLCK))?;
        }
        let stat = Linux.fstat(fd)?;
        Ok(Lease {
            file,
            _announced: announced,
            path: path.to_owned(),
            stat,
        })
    }

    /// Removes the file, unless somebody waits who had found it before. Such a one would go on
    /// with a file that nobody else finds.
    ///
    /// # Errors
    /// `EAGAIN`: somebody waits for it; it stays. `ESTALE`: another file has the name by now.
    pub fn remove(&self) -> Result<(), Errno> {
        let here = |path: &Path| {
            Linux
                .lstat(path)
                .is_ok_and(|stat| stat.same_file(&self.stat))
        };
        if !here(&self.path) {
            return Err(Errno::ESTALE);
        }
        // Under another name nobody finds it any more: who waits now, has found it before.
        let mut name = std::ffi::OsString::from(".qshm-repair-");
        name.push(format!("{}-", std::process::id()));
        name.push(self.path.file_name().unwrap_or_default());
        let aside = self.path.with_file_name(name);
        rename(&self.path, &aside)?;
        if self.is_waited_for() && rename(&aside, &self.path).is_ok() {
            return Err(Errno::EAGAIN);
        }
        Linux.unlink(&aside)
    }

    /// Whether somebody waits in open(2): the kernel wants the lease back.
    fn is_waited_for(&self) -> bool {
        // SAFETY: numbers only.
        let held = unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_GETLEASE) };
        held != libc::F_WRLCK
    }
}

/// renameat2(2) with `RENAME_NOREPLACE`.
fn rename(from: &Path, to: &Path) -> Result<(), Errno> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, Instant};

    use super::*;

    /// A file of its own in `/dev/shm`.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("qshm-lease-test-{name}-{}", std::process::id());
            let path = Path::new(SHARED_FILES).join(name);
            std::fs::write(&path, [0; 32]).unwrap();
            Self(path)
        }

        /// Waits until nobody has it: a child that another test forks has every descriptor that is
        /// open at that moment, for as long as it lives.
        fn lease(&self) -> Lease {
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                match Lease::take(&self.0) {
                    Err(Errno::EAGAIN) if Instant::now() < deadline => std::thread::yield_now(),
                    lease => return lease.unwrap(),
                }
            }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn who_has_a_file_open_is_seen() {
        let scratch = Scratch::new("open");
        drop(scratch.lease());
        let file = File::open(&scratch.0).unwrap();
        assert_eq!(Lease::take(&scratch.0).err(), Some(Errno::EAGAIN));
        drop(file);
        scratch.lease().remove().unwrap();
        assert!(!scratch.0.exists());
    }

    /// One who waits gets the file, under its name.
    #[test]
    fn who_waits_for_a_file_keeps_it() {
        let scratch = Scratch::new("wait");
        let lease = scratch.lease();
        let path = scratch.0.clone();
        let other = std::thread::spawn(move || File::open(path));
        while !lease.is_waited_for() {
            std::thread::yield_now();
        }
        assert_eq!(lease.remove(), Err(Errno::EAGAIN));
        drop(lease);
        other.join().unwrap().unwrap();
        assert!(scratch.0.exists());
    }

    #[test]
    fn a_file_made_anew_is_not_removed() {
        let scratch = Scratch::new("anew");
        let lease = scratch.lease();
        std::fs::remove_file(&scratch.0).unwrap();
        std::fs::write(&scratch.0, [1; 32]).unwrap();
        assert_eq!(lease.remove(), Err(Errno::ESTALE));
        assert!(scratch.0.exists());
    }
}
