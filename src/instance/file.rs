//! One file of a registry, open for a moment.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::name::{Key, Part};
use super::place::Place;
use super::scope::{Audience, Numbering, Surroundings};
use super::stop::Stop;
use crate::kernel::{Errno, Fd, FileKind, FileLock, FileStat, OpenDirect, Range, RangeLocks, Wait};

/// Where a registry is, for one attempt.
#[derive(Debug)]
pub struct At<'a, K> {
    pub kernel: &'a K,
    pub key: &'a Key,
    pub numbering: &'a Numbering,
    pub surroundings: &'a Surroundings,
    pub place: &'a Place,
}

impl<K> Clone for At<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for At<'_, K> {}

/// An open file of a registry, checked to be one.
#[derive(Debug)]
pub struct File<'a, K: RangeLocks> {
    kernel: &'a K,
    fd: Option<Fd>,
    /// What keeps its description, if it was opened for locking.
    address: Option<NonZeroUsize>,
    pub path: PathBuf,
    pub stat: FileStat,
}

impl<'a, K: RangeLocks> At<'a, K> {
    pub fn path(&self, part: Part) -> PathBuf {
        self.place.file(&self.key.file(part))
    }

    /// Opens a file of the registry; `None` if it is not there.
    pub fn open(&self, part: Part, how: OpenDirect) -> Result<Option<File<'a, K>>, Stop> {
        let path = self.path(part);
        let fd = match self.kernel.open_direct(&path, how) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(Stop::failed("opening", &path, errno)),
        };
        match self.kernel.fstat(fd) {
            Ok(stat) => {
                let file = File {
                    kernel: self.kernel,
                    fd: Some(fd),
                    address: None,
                    path,
                    stat,
                };
                // Dropping it closes it.
                self.check(&file)?;
                Ok(Some(file))
            }
            Err(errno) => {
                self.kernel.close(fd);
                Err(Stop::failed("looking at", &path, errno))
            }
        }
    }

    /// Opens a file of the registry for locking; makes it if it is not there.
    pub fn open_or_make(&self, part: Part) -> Result<File<'a, K>, Stop> {
        if let Some(file) = self.open(part, OpenDirect::Write)? {
            return file.mapped();
        }
        let path = self.path(part);
        let (mode, group) = match self.numbering {
            Numbering::User(_) | Numbering::Session { .. } => (0o600, None),
            Numbering::Machine(audience) => (
                audience.mode(),
                match audience {
                    Audience::Group(gid) => Some(*gid),
                    Audience::World => None,
                },
            ),
        };
        match self.kernel.make_registry(&path, mode, group) {
            Ok(()) | Err(Errno::EEXIST) => {}
            // The directory has gone.
            Err(Errno::ENOENT) => return Err(Stop::Again),
            Err(errno) => return Err(Stop::failed("making", &path, errno)),
        }
        let file = self.open(part, OpenDirect::Write)?;
        file.ok_or(Stop::Again)?.mapped()
    }

    /// Whether a file is what it has to be, so that those who may lock it are those who count.
    fn check(&self, file: &File<'_, K>) -> Result<(), Stop> {
        let File { stat, path, .. } = file;
        let path = path.display();
        if stat.kind != FileKind::Regular {
            return Err(Stop::because(format!("{path} is not a plain file")));
        }
        match stat.links {
            1 => {}
            // Deleted since.
            0 => return Err(Stop::Again),
            _ => return Err(Stop::because(format!("{path} has other hard links"))),
        }
        let fits = match self.numbering {
            Numbering::User(uid) | Numbering::Session { uid, .. } => stat.uid == *uid,
            Numbering::Machine(audience @ Audience::World) => stat.mode & 0o777 == audience.mode(),
            Numbering::Machine(audience @ Audience::Group(gid)) => {
                stat.gid == *gid && stat.mode & 0o777 == audience.mode()
            }
        };
        if fits {
            return Ok(());
        }
        Err(Stop::because(format!(
            "{path} is somebody else's (owner uid {}, group {}, mode {:o})",
            stat.uid, stat.gid, stat.mode
        )))
    }
}

impl<K: RangeLocks> File<'_, K> {
    fn fd(&self) -> Fd {
        self.fd.unwrap_or(-1)
    }

    /// Maps it: before anything is locked, so that whoever sees a lock sees the mapping too.
    pub fn mapped(mut self) -> Result<Self, Stop> {
        let address = self.kernel.keep(self.fd());
        let address = address.map_err(|errno| Stop::failed("mapping", &self.path, errno))?;
        // The kernel maps nothing there unless it is told to.
        self.address = Some(NonZeroUsize::new(address).ok_or(Stop::Again)?);
        Ok(self)
    }

    /// Locks; false if somebody else has some of it locked.
    pub fn lock(&self, range: Range) -> Result<bool, Stop> {
        let lock = FileLock::Exclusive;
        match self.kernel.range_lock(self.fd(), range, lock, Wait::No) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(Stop::failed("locking", &self.path, errno)),
        }
    }

    pub fn unlock(&self, range: Range) {
        let unlock = FileLock::Unlock;
        let _ = self.kernel.range_lock(self.fd(), range, unlock, Wait::No);
    }

    /// One of the locks that others hold there.
    pub fn holder(&self, range: Range) -> Result<Option<Range>, Stop> {
        self.kernel
            .range_holder(self.fd(), range)
            .map_err(|errno| Stop::failed("asking for the locks of", &self.path, errno))
    }

    /// Whether the path still leads to this file.
    pub fn is_current(&self) -> bool {
        is_at(self.kernel, &self.path, (self.stat.dev, self.stat.ino))
    }

    /// What is written there; less where the file ends or can't be read.
    pub fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        self.kernel
            .read_at(self.fd(), offset, length)
            .unwrap_or_default()
    }

    /// Writes what people may want to know. Nothing depends on it, so it may fail.
    pub fn write(&self, offset: u64, bytes: &[u8]) {
        let _ = self.kernel.write_at(self.fd(), offset, bytes);
    }

    /// The same file, of a place that needs not live as long.
    pub fn of(mut self, kernel: &K) -> File<'_, K> {
        File {
            kernel,
            fd: self.fd.take(),
            address: self.address.take(),
            path: std::mem::take(&mut self.path),
            stat: self.stat,
        }
    }

    /// Device and inode number.
    pub fn id(&self) -> (u64, u64) {
        (self.stat.dev, self.stat.ino)
    }

    /// Keeps the file's description, and with it the locks, without a descriptor.
    pub fn keep(mut self) -> Result<Kept, Stop> {
        let address = self.address.take().ok_or(Stop::Again)?;
        Ok(Kept {
            file: self.id(),
            address,
        })
    }
}

impl<K: RangeLocks> Drop for File<'_, K> {
    fn drop(&mut self) {
        if let Some(fd) = self.fd {
            self.kernel.close(fd);
        }
        if let Some(address) = self.address {
            self.kernel.let_go(address.get());
        }
    }
}

/// An open file description with locks, until [`Self::let_go`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Device and inode number of the file.
    pub file: (u64, u64),
    address: NonZeroUsize,
}

impl Kept {
    pub fn let_go<K: RangeLocks>(self, kernel: &K) {
        kernel.let_go(self.address.get());
    }
}

/// Whether a path leads to a file.
pub fn is_at<K: RangeLocks>(kernel: &K, path: &Path, file: (u64, u64)) -> bool {
    kernel
        .lstat(path)
        .is_ok_and(|stat| (stat.dev, stat.ino) == file)
}
