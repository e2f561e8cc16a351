//! From the numbers that one kernel gives out to those of the other.

use std::collections::HashMap;

use qshm::kernel::{FileKind, FileStat, HeldRange, IpcPerm, ShmStat};

use super::real::Machine;
use crate::model::Pid;
use crate::model::call::{Call, Name, Reply, Value};
use crate::model::range_call::RangeCall;

impl Machine {
    /// The call with the real kernel's numbers.
    pub fn to_real(&self, who: Pid, call: &Call) -> Call {
        let worker = self.workers[who].as_ref().unwrap();
        let mut call = call.clone();
        for name in call.names() {
            match name {
                Name::Fd(fd) => *fd = worker.fds.get(fd).copied().unwrap_or(*fd),
                Name::Address(at) => {
                    let offset = *at % 0x1000;
                    let page = *at - offset;
                    *at = offset + worker.addresses.get(&page).copied().unwrap_or(page);
                }
                Name::Segment(id) => *id = self.segments[id],
                Name::Set(id) => *id = self.sets[id],
                Name::Pid(pid) => *pid = self.pids[pid],
                Name::Path(path) => {
                    *path = self.root.join(path.strip_prefix("/tmp").unwrap()).into();
                }
                Name::File(file) => *file = (self.device, self.inodes[&file.1]),
            }
        }
        call
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
                if matches!(call, Call::Inodes(..) | Call::Range(RangeCall::Mapped(..))) =>
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
            _ if call.opens() => {
                worker.fds.insert(int(expected), int(real));
                Ok(())
            }
            Call::ShmAttach(..) | Call::Map(..) | Call::Range(RangeCall::Keep(_)) => {
                let before = worker.addresses.insert(size(expected), size(real));
                match call {
                    Call::Map(_, _, Some(_)) => equal("address", before, Some(size(real))),
                    _ => Ok(()),
                }
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
