//! What a look around the whole machine finds, as `/proc` and the file system have it.
//!
//! For diagnosis and for clearing up, never for a lock. All of it is best effort: what may not be
//! read is `None` or left out, and the fields say which.

use std::path::PathBuf;

use super::{FileStat, IpcId, IpcKey};
pub use super::{LockRow, SegmentRow, SemaphoreRow};

/// A file of a directory that was looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Its path.
    pub path: PathBuf,
    /// Which file it is, as lstat(2) has it.
    pub stat: FileStat,
    /// When its contents changed last, in seconds since 1970.
    pub modified: i64,
    /// Unlinked already, and found open in a process.
    pub deleted: bool,
}

/// `$TMPDIR` of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The environment may not be read.
    Hidden,
    /// It has no such variable, or an empty one.
    Unset,
    /// Its value.
    Is(PathBuf),
}

/// The inode numbers of a process's namespaces; `None` where they may not be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// System V objects.
    pub ipc: Option<u64>,
    /// Mounts.
    pub mount: Option<u64>,
    /// Process ids.
    pub pid: Option<u64>,
}

/// What of a process's memory map matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings {
    /// Attached System V segments: the id, and the key that it was made with.
    pub segments: Vec<(IpcId, IpcKey)>,
    /// Files of `/dev/shm`, by device and inode number.
    pub shared_files: Vec<(u64, u64)>,
    /// File names of the Qt libraries: `libQt5Core.so.5.15.8`.
    pub qt: Vec<String>,
}

/// A descriptor that leads to a key file or into `/dev/shm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    /// The path that it was opened by.
    pub path: PathBuf,
    /// Whether it was unlinked meanwhile.
    pub deleted: bool,
    /// The file itself.
    pub stat: FileStat,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRow {
    /// Its pid.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its executable, or its name where that may not be seen.
    pub program: String,
    /// Whether it is stopped, so that it gives no lock back until it goes on.
    pub stopped: bool,
    /// Its temp directory.
    pub tmpdir: Variable,
    /// Its `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Variable,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// What it has mapped; `None`: may not be seen.
    pub mappings: Option<Mappings>,
    /// What it has open; `None`: may not be seen.
    pub files: Option<Vec<OpenFile>>,
}

impl ProcessRow {
    /// Whether it could be looked into. The first process has no Qt, and some systems keep even
    /// root from looking into it.
    pub fn is_open_to_us(&self) -> bool {
        self.mappings.is_some() || self.pid == 1
    }
}

/// The limits of System V IPC, and how much of each is in use. `None`: can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `kernel.shmmni`: segments.
    pub segments: Option<u64>,
    /// `kernel.shmall`: pages in all segments together.
    pub pages: Option<u64>,
    /// The fourth number of `kernel.sem`, `SEMMNI`: semaphore sets.
    pub semaphores: Option<u64>,
    /// The second number of `kernel.sem`, `SEMMNS`: semaphores in all sets.
    pub all_semaphores: Option<u64>,
    /// Bytes in a page.
    pub page_size: u64,
}
