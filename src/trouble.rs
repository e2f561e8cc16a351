//! What can stand between a call and its objects, before it becomes an [`crate::Error`].

use std::fmt;
use std::path::{Path, PathBuf};

use crate::kernel::{Errno, FileKind, FileStat, IpcId, IpcKey, IpcPerm};

/// Why an inner call did not do what it was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Something of this key belongs to somebody who does not let us use it.
    InTheWay(Obstacle),
    /// Somebody keeps the lock of this key file for longer than the lock wait.
    Busy(PathBuf),
    /// A system call failed.
    System {
        step: Step,
        errno: Errno,
        what: String,
    },
    /// Somebody changed the objects in between: begin again.
    Changed,
}

/// Which step a system call belongs to; Qt has a text of its own for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The segment's key file.
    KeyFile,
    /// ftok(3) gives no usable key.
    Key,
    /// shmget(2) and shmctl(2).
    Segment,
    /// shmat(2).
    Attach,
    /// The semaphore's key file.
    SemaphoreFile,
    /// semget(2) and semctl(2).
    Semaphore,
}

impl Trouble {
    pub fn system(step: Step, errno: Errno, path: &Path) -> Self {
        Trouble::System {
            step,
            errno,
            what: path.display().to_string(),
        }
    }
}

/// What is wrong with a file that stands where a key file should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFault {
    /// A symbolic link.
    Link,
    /// No plain file (or, for a directory, no directory).
    NotPlain,
    /// More than one hard link.
    HardLinks,
    /// Owned by somebody whom the policy does not trust.
    Foreign,
    /// May not be opened.
    Unreadable,
    /// Another user's, who shares it with us, and maybe in use: only its owner and root can tell.
    InDoubt,
}

impl FileFault {
    /// What is wrong with a file for everybody.
    pub fn of(stat: &FileStat) -> Option<Self> {
        match stat.kind {
            FileKind::Link => Some(FileFault::Link),
            FileKind::Regular if stat.links > 1 => Some(FileFault::HardLinks),
            FileKind::Regular => None,
            FileKind::Directory | FileKind::Other => Some(FileFault::NotPlain),
        }
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileFault::Link => "is a symbolic link",
            FileFault::NotPlain => "is not what belongs there",
            FileFault::HardLinks => "has other hard links",
            FileFault::Foreign => "is not ours",
            FileFault::Unreadable => "may not be opened",
            FileFault::InDoubt => "may be in use, which only its owner and root can tell",
        })
    }
}

/// Something of a key that we may not use.
#[derive(Clone, Debug)]
pub(crate) enum Obstacle {
    File {
        path: PathBuf,
        fault: FileFault,
        stat: Option<FileStat>,
    },
    Segment {
        key: IpcKey,
        id: IpcId,
        perm: Option<IpcPerm>,
    },
    Semaphore {
        key: IpcKey,
        id: IpcId,
        perm: Option<IpcPerm>,
    },
}

impl Obstacle {
    pub fn file(path: &Path, fault: FileFault, stat: Option<FileStat>) -> Self {
        Obstacle::File {
            path: path.to_owned(),
            fault,
            stat,
        }
    }
}

/// A short name for the log; [`crate::diagnosis`] has the whole story.
impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = |perm: &Option<IpcPerm>| {
            perm.map_or(String::new(), |perm| format!(" of uid {}", perm.uid))
        };
        match self {
            Obstacle::File { path, fault, stat } => {
                write!(f, "{} {fault}", path.display())?;
                stat.map_or(Ok(()), |stat| {
                    write!(f, " (owner uid {}, mode {:o})", stat.uid, stat.mode)
                })
            }
            Obstacle::Segment { key, id, perm } => {
                write!(
                    f,
                    "segment {key:#010x} (shmid {id}){} may not be used",
                    owner(perm)
                )
            }
            Obstacle::Semaphore { key, id, perm } => {
                write!(
                    f,
                    "semaphore {key:#010x} (semid {id}){} may not be used",
                    owner(perm)
                )
            }
        }
    }
}
