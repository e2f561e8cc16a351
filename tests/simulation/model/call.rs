//! System calls and their answers as data, so that they can be compared, recorded and replayed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qshm::kernel::{
    Errno, Fd, FileLock, FileStat, HeldRange, IpcId, IpcKey, Open, Range, SemStat, ShmStat, Wait,
};

use super::Mapping;
use super::range_call::RangeCall;

/// One call of the trait `Kernel` that other processes can notice, or that notices them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    IsAlive(i32),
    Open(Arc<Path>, Open),
    Reopen(Fd),
    Close(Fd),
    Fstat(Fd),
    Lstat(Arc<Path>),
    Fchmod(Fd, u32),
    Fchgrp(Fd, u32),
    Flock(Fd, FileLock, Wait),
    Unlink(Arc<Path>),
    Mkdir(Arc<Path>, u32),
    Rmdir(Arc<Path>),
    ShmFind(IpcKey),
    ShmCreate(IpcKey, usize, u32),
    ShmStat(IpcId),
    ShmSet(IpcId, u32, u32, u32),
    ShmRemove(IpcId),
    ShmAttach(IpcId, bool),
    ShmDetach(usize),
    ShmClear(usize, usize),
    ShmLoad(usize),
    ShmStore(usize, u64),
    SemFind(IpcKey),
    SemCreate(IpcKey, u32),
    SemStat(IpcId),
    SemSet(IpcId, u32, u32, u32),
    SemRemove(IpcId),
    SemValue(IpcId),
    SemWaiting(IpcId),
    SemLastPid(IpcId),
    SemSetValue(IpcId, i32),
    SemOp(IpcId, i16, Wait),
    /// As [`Call::Open`] of a new file, with just this mode, and this group.
    OpenShared(Arc<Path>, u32, Option<u32>),
    MayWrite(Arc<Path>),
    ShmKeys,
    SemKeys,
    SemWasUsed(IpcId),
    /// The inode numbers of the files of a directory whose names begin so.
    Inodes(Arc<Path>, Arc<str>),
    OpenDeleted(Arc<Path>, u32),
    RangeLock(Fd, Range, FileLock, Wait),
    RangeHolder(Fd, Range),
    NamedOpen(Arc<Path>, bool),
    NamedOpenLocked(Arc<Path>, bool, Wait),
    /// The first half of an attempt of it: announced, and open.
    NamedLook(Arc<Path>, bool),
    /// The second: has its lock, or not, and is not announced any more.
    NamedLocks(Fd),
    /// Between two attempts.
    NamedUnlocked(Arc<Path>, Wait),
    Announce(Arc<Path>),
    NamedMake(Arc<Path>, Named),
    NamedReserve(Fd, u64),
    NamedAlone(Fd, Arc<Path>, Wait),
    /// The first half of it: if the answer is yes, there is a lease.
    Lease(Fd, Arc<Path>, Wait),
    /// The second: it is given back.
    LeaseBack(Fd),
    /// Of the file of this device and inode number.
    IsMapped((u64, u64)),
    /// How, and where if not anywhere.
    Map(Fd, Mapping, Option<usize>),
    Unmap(usize),
    Retire(usize),
    Word(usize),
    Words(usize, usize),
    WordSwap(usize, u64, u64),
    WordSet(usize, u64),
    WordWait(usize, u32, Duration),
    WordWake(usize, i32),
    Pause(Duration),
    /// The program reads the first four bytes of a segment.
    Peek(usize),
    /// The program writes the first four bytes of a segment.
    Poke(usize, u32),
    /// One of the trait `RangeLocks`.
    Range(RangeCall),
    /// Something that is done to a directory while programs run: it is gone, with all in it.
    Vanish(Arc<Path>),
    /// Root changes its mode.
    Chmod(Arc<Path>, u32),
}

/// What a call names by a number or a name that is another one on another machine.
#[derive(Debug)]
pub enum Name<'a> {
    Fd(&'a mut Fd),
    Address(&'a mut usize),
    Segment(&'a mut IpcId),
    Set(&'a mut IpcId),
    Pid(&'a mut i32),
    Path(&'a mut Arc<Path>),
    File(&'a mut (u64, u64)),
}

impl Call {
    /// Whether the answer is a new descriptor.
    pub fn opens(&self) -> bool {
        matches!(
            self,
            Call::Open(..)
                | Call::OpenShared(..)
                | Call::OpenDeleted(..)
                | Call::Reopen(_)
                | Call::NamedOpen(..)
                | Call::NamedOpenLocked(..)
                | Call::NamedLook(..)
                | Call::Announce(_)
                | Call::NamedMake(..)
                | Call::Range(RangeCall::Open(..))
        )
    }

    /// All of them.
    pub fn names(&mut self) -> Vec<Name<'_>> {
        match self {
            Call::IsAlive(pid) => vec![Name::Pid(pid)],
            Call::Open(path, _)
            | Call::Lstat(path)
            | Call::Unlink(path)
            | Call::Mkdir(path, _)
            | Call::Rmdir(path)
            | Call::OpenShared(path, ..)
            | Call::MayWrite(path)
            | Call::Inodes(path, _)
            | Call::OpenDeleted(path, _)
            | Call::NamedOpen(path, _)
            | Call::NamedOpenLocked(path, ..)
            | Call::NamedLook(path, _)
            | Call::NamedUnlocked(path, _)
            | Call::Announce(path)
            | Call::NamedMake(path, _)
            | Call::Vanish(path)
            | Call::Chmod(path, _)
            | Call::Range(RangeCall::Version(path) | RangeCall::Open(path, _)) => {
                vec![Name::Path(path)]
            }
            Call::Reopen(fd)
            | Call::Close(fd)
            | Call::Fstat(fd)
            | Call::Fchmod(fd, _)
            | Call::Fchgrp(fd, _)
            | Call::Flock(fd, ..)
            | Call::RangeLock(fd, ..)
            | Call::RangeHolder(fd, _)
            | Call::NamedReserve(fd, _)
            | Call::NamedLocks(fd)
            | Call::LeaseBack(fd)
            | Call::Map(fd, _, None)
            | Call::Range(
                RangeCall::Keep(fd) | RangeCall::ReadAt(fd, ..) | RangeCall::WriteAt(fd, ..),
            ) => vec![Name::Fd(fd)],
            Call::NamedAlone(fd, path, _) | Call::Lease(fd, path, _) => {
                vec![Name::Fd(fd), Name::Path(path)]
            }
            Call::Map(fd, _, Some(address)) => vec![Name::Fd(fd), Name::Address(address)],
            Call::ShmDetach(address)
            | Call::ShmClear(address, _)
            | Call::ShmLoad(address)
            | Call::ShmStore(address, _)
            | Call::Peek(address)
            | Call::Poke(address, _)
            | Call::Unmap(address)
            | Call::Retire(address)
            | Call::Word(address)
            | Call::Words(address, _)
            | Call::WordSwap(address, ..)
            | Call::WordSet(address, _)
            | Call::WordWait(address, ..)
            | Call::WordWake(address, _)
            | Call::Range(RangeCall::LetGo(address)) => vec![Name::Address(address)],
            Call::ShmStat(id)
            | Call::ShmSet(id, ..)
            | Call::ShmRemove(id)
            | Call::ShmAttach(id, _) => vec![Name::Segment(id)],
            Call::SemStat(id)
            | Call::SemSet(id, ..)
            | Call::SemRemove(id)
            | Call::SemValue(id)
            | Call::SemWaiting(id)
            | Call::SemLastPid(id)
            | Call::SemSetValue(id, _)
            | Call::SemOp(id, ..)
            | Call::SemWasUsed(id) => vec![Name::Set(id)],
            Call::IsMapped(file) => vec![Name::File(file)],
            Call::Range(RangeCall::Mapped(files, _)) => {
                let files = Arc::make_mut(files).iter_mut();
                files.map(Name::File).collect()
            }
            Call::ShmFind(_)
            | Call::ShmCreate(..)
            | Call::SemFind(_)
            | Call::SemCreate(..)
            | Call::ShmKeys
            | Call::SemKeys
            | Call::Pause(_)
            | Call::Range(RangeCall::Held(_)) => Vec::new(),
        }
    }
}

/// A POSIX object to be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    pub mode: u32,
    pub group: Option<u32>,
    pub size: u64,
    pub words: Vec<u64>,
}

/// The effective user and group that a call is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cred {
    pub uid: u32,
    pub gid: u32,
}

/// What a call answers, the errno as a number (nix's type has no `Hash`).
pub type Reply = Result<Value, i32>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    Unit,
    Number(i64),
    List(Arc<[i64]>),
    /// A lock, or none.
    Range(Option<Range>),
    Ranges(Arc<[HeldRange]>),
    Bytes(Arc<[u8]>),
    File(FileStat),
    Shm(ShmStat),
    Sem(SemStat),
}

pub const DONE: Reply = Ok(Value::Unit);

pub fn number(value: impl Into<i64>) -> Reply {
    Ok(Value::Number(value.into()))
}

/// A list whose order says nothing.
pub fn list(numbers: impl IntoIterator<Item = i64>) -> Reply {
    let mut numbers: Vec<i64> = numbers.into_iter().collect();
    numbers.sort_unstable();
    Ok(Value::List(numbers.into()))
}

pub fn fail(errno: Errno) -> Reply {
    Err(errno as i32)
}
