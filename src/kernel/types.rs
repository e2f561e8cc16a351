//! What system calls take and answer.

use std::time::Duration;

#[allow(unused_imports)] // Named in the documentation.
use super::Kernel;

/// A file descriptor of the kernel in use.
pub type Fd = i32;

/// A System V `key_t`.
pub type IpcKey = i32;

/// The identifier of a System V segment or semaphore set.
pub type IpcId = i32;

/// What kind of file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A plain file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link (only [`Kernel::lstat`] sees one).
    Link,
    /// A FIFO, socket or device.
    Other,
}

/// The part of `struct statx` that matters here, see statx(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStat {
    /// Device, as `st_dev`.
    pub dev: u64,
    /// Inode number, as `st_ino`.
    pub ino: u64,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, `07777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of hard links; 0 once unlinked.
    pub links: u64,
    /// Length in bytes.
    pub size: u64,
    /// When it was made, in seconds since 1970, where the file system knows.
    pub born: Option<i64>,
}

impl FileStat {
    /// Whether both describe the same file.
    pub fn same_file(&self, other: &FileStat) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

/// Owner, creator and mode of a System V object, as `struct ipc_perm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpcPerm {
    /// Owner; may be changed by `IPC_SET`.
    pub uid: u32,
    /// Owner's group; may be changed by `IPC_SET`.
    pub gid: u32,
    /// Creator; never changes, and keeps the owner's rights.
    pub cuid: u32,
    /// Creator's group.
    pub cgid: u32,
    /// Permission bits, `0777`.
    pub mode: u32,
}

/// A segment, as `struct shmid_ds`, see shmctl(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShmStat {
    /// Owner and mode.
    pub perm: IpcPerm,
    /// The size asked for at creation, in bytes.
    pub size: usize,
    /// Number of attachments of living processes, `shm_nattch`.
    pub attached: u64,
    /// Creator's pid.
    pub creator_pid: i32,
    /// Pid of the last shmat or shmdt.
    pub last_pid: i32,
    /// Removed, but kept until the last process detaches (`SHM_DEST`); no key leads to it.
    pub removed: bool,
    /// When it was made or its owner or mode last changed, in seconds since 1970, `shm_ctime`.
    pub changed: i64,
}

/// A semaphore set, as `struct semid_ds`, see semctl(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SemStat {
    /// Owner and mode.
    pub perm: IpcPerm,
    /// Number of semaphores in the set.
    pub count: u64,
}

/// A row of `/proc/sysvipc/shm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    /// Its key; 0 once it is removed.
    pub key: IpcKey,
    /// Its id.
    pub id: IpcId,
    /// Size, owner, users.
    pub stat: ShmStat,
}

/// A row of `/proc/sysvipc/sem`, and what semctl(2) tells of the first semaphore of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SemaphoreRow {
    /// Its key.
    pub key: IpcKey,
    /// Its id.
    pub id: IpcId,
    /// Owner and mode.
    pub perm: IpcPerm,
    /// Number of semaphores in the set; Qt makes sets of one.
    pub count: u64,
    /// When it was last operated on, in seconds since 1970; 0: never.
    pub used: i64,
    /// When it was made, or its value set, in seconds since 1970.
    pub changed: i64,
    /// Its value, where it may be read: 1 is a free lock.
    pub value: Option<i32>,
    /// Who changed it last, where that may be read; 0: nobody, or a process of another PID
    /// namespace.
    pub last_pid: Option<i32>,
    /// How many wait, where that may be read.
    pub waiting: Option<i32>,
}

/// A flock(2) that somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRow {
    /// Who.
    pub pid: i32,
    /// Whether others can't have it too.
    pub exclusive: bool,
    /// The file's device.
    pub dev: u64,
    /// The file's inode number.
    pub ino: u64,
}

/// A process that uses an object, as far as the kernel lets us see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its executable, or its name where that may not be seen.
    pub program: String,
    /// Whether it is stopped, so that it gives no lock back until it goes on.
    pub stopped: bool,
}

/// How [`Kernel::open`] opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Open {
    /// `O_RDONLY`: the file must be there.
    Existing,
    /// `O_RDONLY | O_CREAT | O_EXCL` with this mode (less the umask): it must not be there.
    New(u32),
}

/// What [`Kernel::flock`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileLock {
    /// `LOCK_SH`
    Shared,
    /// `LOCK_EX`
    Exclusive,
    /// `LOCK_UN`
    Unlock,
}

/// Bytes of a file, from `start`, as many as `length`. Nothing need be stored there: locks may
/// lie far behind a file's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The first byte.
    pub start: u64,
    /// How many bytes.
    pub length: u64,
}

impl Range {
    /// `length` bytes from `start`.
    pub const fn new(start: u64, length: u64) -> Self {
        Self { start, length }
    }

    /// The first byte behind it.
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// Whether both have a byte in common.
    pub fn overlaps(&self, other: &Range) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

/// A slot that a process has in a POSIX semaphore, for all of its objects; see
/// [`Kernel::own_slots`](super::Kernel::own_slots).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnSlot {
    /// The fork mark of the process: a forked child's list begins as its parent's.
    pub fork_mark: u32,
    /// Device and inode number of the semaphore's file.
    pub file: (u64, u64),
    /// Where it is mapped and which slot it is, 0 if the page is free.
    pub handle: u64,
    /// The page.
    pub page: usize,
    /// How many objects use it.
    pub users: usize,
}

impl OwnSlot {
    /// Whether it is one in the semaphore of this file.
    pub fn is_of(&self, file: &FileStat) -> bool {
        self.handle != 0 && self.file == (file.dev, file.ino)
    }
}

/// A POSIX object to be made by [`Kernel::named_make`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NewObject<'a> {
    /// Permission bits.
    pub mode: u32,
    /// The group, if not the maker's.
    pub group: Option<u32>,
    /// Its length in bytes.
    pub size: u64,
    /// Whether the memory is taken now, fallocate(2), so that it can't be missing later.
    pub reserve: bool,
    /// How it begins; the rest is zero.
    pub content: &'a [u8],
}

/// How long a call that may block does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Not at all: the call fails with `EAGAIN` (`EWOULDBLOCK`).
    No,
    /// At most this long, then `EAGAIN`.
    AtMost(Duration),
    /// Until it can be done.
    Forever,
}
