//! From the numbers that one kernel gives out to those of the other.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{FileKind, FileStat, HeldRange, IpcPerm, ShmStat};

use super::real::Machine;
use crate::model::Pid;
use crate::model::call::{Call, Reply, Value};
use crate::model::range_call::RangeCall;

impl Machine {
    /// The call with the real kernel's numbers.
    pub fn to_real(&self, who: Pid, call: &Call) -> Call {
        let worker = self.workers[who].as_ref().unwrap();
        let name = |path: &Arc<Path>| -> Arc<Path> {
            self.root.join(path.strip_prefix("/tmp").unwrap()).into()
        };
        let fd = |fd: &i32| worker.fds.get(fd).copied().unwrap_or(*fd);
        let address = |address: &usize| worker.addresses.get(address).copied().unwrap_or(*address);
        let segment = |id: &i32| self.segments[id];
        let set = |id: &i32| self.sets[id];
        match call {
            Call::NamedOpen(..)
            | Call::NamedLook(..)
            | Call::NamedLocks(..)
            | Call::NamedUnlocked(..)
            | Call::Announce(..)
            | Call::NamedMake(..)
            | Call::NamedReserve(..)
            | Call::NamedAlone(..)
            | Call::IsMapped(..)
            | Call::Map(..)
            | Call::Unmap(..)
            | Call::Retire(..)
            | Call::Word(..)
            | Call::Words(..)
            | Call::WordSwap(..)
            | Call::WordSet(..)
            | Call::WordWait(..)
            | Call::WordWake(..) => panic!("not generated: {call:?}"),
            Call::IsAlive(pid) => Call::IsAlive(self.pids[pid]),
            Call::Open(path, how) => Call::Open(name(path), *how),
            Call::Reopen(at) => Call::Reopen(fd(at)),
            Call::Close(at) => Call::Close(fd(at)),
            Call::Fstat(at) => Call::Fstat(fd(at)),
            Call::Lstat(path) => Call::Lstat(name(path)),
            Call::Fchmod(at, mode) => Call::Fchmod(fd(at), *mode),
            Call::Fchgrp(at, gid) => Call::Fchgrp(fd(at), *gid),
            Call::Flock(at, lock, wait) => Call::Flock(fd(at), *lock, *wait),
            Call::Unlink(path) => Call::Unlink(name(path)),
            Call::Mkdir(path, mode) => Call::Mkdir(name(path), *mode),
            Call::Rmdir(path) => Call::Rmdir(name(path)),
            Call::ShmStat(id) => Call::ShmStat(segment(id)),
            Call::ShmSet(id, uid, gid, mode) => Call::ShmSet(segment(id), *uid, *gid, *mode),
            Call::ShmRemove(id) => Call::ShmRemove(segment(id)),
            Call::ShmAttach(id, read_only) => Call::ShmAttach(segment(id), *read_only),
            Call::ShmDetach(at) => Call::ShmDetach(address(at)),
            Call::ShmClear(at, size) => Call::ShmClear(address(at), *size),
            Call::ShmLoad(at) => Call::ShmLoad(address(at)),
            Call::ShmStore(at, value) => Call::ShmStore(address(at), *value),
            Call::RangeLock(at, range, lock) => Call::RangeLock(fd(at), *range, *lock),
            Call::RangeHolder(at, range) => Call::RangeHolder(fd(at), *range),
            Call::SemStat(id) => Call::SemStat(set(id)),
            Call::SemSet(id, uid, gid, mode) => Call::SemSet(set(id), *uid, *gid, *mode),
            Call::SemRemove(id) => Call::SemRemove(set(id)),
            Call::SemValue(id) => Call::SemValue(set(id)),
            Call::SemWaiting(id) => Call::SemWaiting(set(id)),
            Call::SemLastPid(id) => Call::SemLastPid(set(id)),
            Call::SemSetValue(id, value) => Call::SemSetValue(set(id), *value),
            Call::SemOp(id, delta, wait) => Call::SemOp(set(id), *delta, *wait),
            Call::OpenShared(path, mode, group) => Call::OpenShared(name(path), *mode, *group),
            Call::MayWrite(path) => Call::MayWrite(name(path)),
            Call::SemWasUsed(id) => Call::SemWasUsed(set(id)),
            Call::Inodes(path, prefix) => Call::Inodes(name(path), prefix.clone()),
            Call::OpenDeleted(path, uid) => Call::OpenDeleted(name(path), *uid),
            Call::Peek(at) => Call::Peek(address(at)),
            Call::Poke(at, value) => Call::Poke(address(at), *value),
            Call::Range(call) => Call::Range(match call {
                RangeCall::Open(path, how) => RangeCall::Open(name(path), *how),
                RangeCall::Keep(at) => RangeCall::Keep(fd(at)),
                RangeCall::LetGo(at) => RangeCall::LetGo(address(at)),
                RangeCall::ReadAt(at, offset, length) => {
                    RangeCall::ReadAt(fd(at), *offset, *length)
                }
                RangeCall::WriteAt(at, offset, bytes) => {
                    RangeCall::WriteAt(fd(at), *offset, bytes.clone())
                }
                RangeCall::Held(_) | RangeCall::Mapped(..) => call.clone(),
            }),
            Call::ShmFind(_)
            | Call::ShmCreate(..)
            | Call::SemFind(_)
            | Call::SemCreate(..)
            | Call::ShmKeys
            | Call::SemKeys
            | Call::Pause(_) => call.clone(),
        }
    }

    /// Whether both answers are the same but for such numbers; learns new ones.
    pub fn same(
        &mut self,
        who: Pid,
        call: &Call,
        expected: &Reply,
        real: &Reply,
    ) -> Result<(), String> {
        match (expected, real) {
            (Ok(Value::Number(expected)), Ok(Value::Number(real))) => {
                self.same_number(who, call, *expected, *real)
            }
            (Ok(Value::File(expected)), Ok(Value::File(real))) => self.same_file(expected, real),
            (Ok(Value::Shm(expected)), Ok(Value::Shm(real))) => self.same_segment(expected, real),
            (Ok(Value::List(expected)), Ok(Value::List(real)))
                if matches!(call, Call::Inodes(..)) =>
            {
                // In the order of the other side's numbers; a file not looked at before is new.
                equal("number of files", expected.len(), real.len())?;
                let known = expected
                    .iter()
                    .filter_map(|ino| self.inodes.get(&(*ino as u64)));
                let unknown = known.filter(|ino| !real.contains(&(**ino as i64))).count();
                equal("files that are not there", 0, unknown)
            }
            (Ok(Value::Ranges(expected)), Ok(Value::Ranges(real))) => {
                self.same_ranges(expected, real)
            }
            (expected, real) => equal("answer", expected, real),
        }
    }

    fn same_number(
        &mut self,
        who: Pid,
        call: &Call,
        expected: i64,
        real: i64,
    ) -> Result<(), String> {
        let worker = self.workers[who].as_mut().unwrap();
        let int = |number: i64| i32::try_from(number).unwrap();
        let size = |number: i64| usize::try_from(number).unwrap();
        match call {
            Call::Open(..)
            | Call::OpenShared(..)
            | Call::OpenDeleted(..)
            | Call::Reopen(_)
            | Call::Range(RangeCall::Open(..)) => {
                worker.fds.insert(int(expected), int(real));
                Ok(())
            }
            Call::ShmAttach(..) | Call::Range(RangeCall::Keep(_)) => {
                worker.addresses.insert(size(expected), size(real));
                Ok(())
            }
            Call::ShmCreate(..) => learn(&mut self.segments, int(expected), int(real)),
            Call::ShmFind(_) => equal(
                "segment",
                self.segments.get(&int(expected)),
                Some(&int(real)),
            ),
            Call::SemCreate(..) => learn(&mut self.sets, int(expected), int(real)),
            Call::SemFind(_) => equal("semaphore", self.sets.get(&int(expected)), Some(&int(real))),
            Call::SemLastPid(_) => equal("last pid", self.pid(int(expected)), int(real)),
            _ => equal("number", expected, real),
        }
    }

    fn pid(&self, number: i32) -> i32 {
        if number == 0 { 0 } else { self.pids[&number] }
    }

    fn same_file(&mut self, expected: &FileStat, real: &FileStat) -> Result<(), String> {
        // The model gives every file a number of its own here, the real one may use one again.
        let known = *self.inodes.entry(expected.ino).or_insert(real.ino);
        equal("inode", known, real.ino)?;
        let expected = FileStat {
            dev: real.dev,
            ino: real.ino,
            // A clock that stands still.
            born: real.born,
            ..*expected
        };
        if expected.kind == FileKind::Regular {
            return equal("file", &expected, real);
        }
        // Links and sizes of the others differ between file systems.
        let real = FileStat {
            links: expected.links,
            size: expected.size,
            ..*real
        };
        equal("file", expected, real)
    }

    /// The same locks on the same files, also on those that are deleted; the device is that of
    /// the directory. A file that nobody has looked at yet is not told from another.
    fn same_ranges(&self, expected: &[HeldRange], real: &[HeldRange]) -> Result<(), String> {
        equal("number of locks", expected.len(), real.len())?;
        let known = expected.iter().filter_map(|held| {
            let ino = *self.inodes.get(&held.ino)?;
            let dev = self.device;
            Some(HeldRange { dev, ino, ..*held })
        });
        let missing: Vec<HeldRange> = known.filter(|held| !real.contains(held)).collect();
        equal("locks that are not there", &[][..], &missing[..])
    }

    fn same_segment(&self, expected: &ShmStat, real: &ShmStat) -> Result<(), String> {
        let perm: IpcPerm = expected.perm;
        let expected = ShmStat {
            perm,
            creator_pid: self.pid(expected.creator_pid),
            last_pid: self.pid(expected.last_pid),
            changed: real.changed,
            ..*expected
        };
        equal("segment", &expected, real)
    }
}

fn learn(map: &mut HashMap<i32, i32>, expected: i32, real: i32) -> Result<(), String> {
    match map.insert(expected, real) {
        None => Ok(()),
        Some(before) => equal("id", before, real),
    }
}

#[allow(clippy::needless_pass_by_value)] // Half of the callers have references.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, real: T) -> Result<(), String> {
    if expected == real {
        Ok(())
    } else {
        Err(format!("{what}: {expected:?} is not {real:?}"))
    }
}
