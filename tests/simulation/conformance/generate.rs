//! Random calls, mostly of the kind that can succeed.

mod posix;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qshm::kernel::{FileLock, IpcId, Open, OpenDirect, Range, Wait};

use super::real::NAMES;
use crate::Dice;
use crate::model::call::{Call, Cred};
use crate::model::process::number_of;
use crate::model::range_call::RangeCall;
use crate::model::{Pid, Waiting, World};

const KEYS: [i32; 3] = [0x5101_0001, 0x5101_0002, 0x5101_0003];
const IPC_MODES: [u32; 10] = [
    0o600, 0o600, 0o660, 0o666, 0o666, 0o666, 0o640, 0o400, 0o200, 0,
];
const FILE_MODES: [u32; 8] = [0o600, 0o640, 0o644, 0o644, 0o666, 0o666, 0o400, 0];
const IDS: [u32; 3] = [0, 2001, 2002];
/// Longer than any real call takes, short enough to be waited for.
const SHORT: Wait = Wait::AtMost(Duration::from_millis(4));

/// A wait for a word that only its end by another process ends.
pub const LONG: Duration = Duration::from_secs(3600);

/// Remembers ids, also of objects that are gone.
#[derive(Default)]
pub struct Generator {
    /// Mostly calls about files, and among them those of POSIX objects.
    posix: bool,
    segments: BTreeSet<IpcId>,
    sets: BTreeSet<IpcId>,
}

impl Generator {
    pub fn new(posix: bool) -> Self {
        Self {
            posix,
            ..Self::default()
        }
    }

    pub fn learn(&mut self, world: &World) {
        self.segments.extend(world.segments.keys());
        self.sets.extend(world.sets.keys());
    }

    /// Calls that look at everything.
    pub fn all_there_is(&self, names: &[&str]) -> Vec<Call> {
        let mut calls = Vec::new();
        calls.extend(names.iter().map(|name| Call::Lstat(path(name))));
        calls.extend(self.segments.iter().map(|id| Call::ShmStat(*id)));
        for id in &self.sets {
            calls.extend([
                Call::SemStat(*id),
                Call::SemValue(*id),
                Call::SemWaiting(*id),
                Call::SemLastPid(*id),
                Call::SemWasUsed(*id),
            ]);
        }
        calls
    }

    pub fn next(&self, world: &World, who: Pid, dice: &mut Dice) -> (Cred, Call) {
        let process = &world.processes[who];
        let cred = if process.cred.uid == 0 && dice.chance(30) {
            let uid = dice.one_of(&[2001, 2002]);
            Cred { uid, gid: uid }
        } else {
            process.cred
        };
        let kinds = if self.posix { 12 } else { 5 };
        let call = match dice.roll(kinds) {
            0 | 5 | 6 => file_call(world, who, dice),
            1 => self.segment_call(world, who, dice),
            2 => self.semaphore_call(dice),
            3 => range_call(world, who, dice),
            _ => posix::call(world, who, dice),
        };
        (cred, call)
    }

    fn segment_call(&self, world: &World, who: Pid, dice: &mut Dice) -> Call {
        let attached: Vec<usize> = world.processes[who].attached.keys().copied().collect();
        let ids: Vec<IpcId> = self.segments.iter().copied().collect();
        let key = dice.one_of(&KEYS);
        if ids.is_empty() || dice.chance(15) {
            return Call::ShmCreate(key, dice.one_of(&[0, 4, 4, 5000]), dice.one_of(&IPC_MODES));
        }
        // The latest are those that are still there.
        let id = ids[ids.len() - 1 - dice.roll(ids.len().min(6))];
        match dice.roll(14) {
            0 if dice.chance(30) => Call::ShmKeys,
            0 => Call::ShmFind(key),
            1..4 => Call::ShmStat(id),
            4 => Call::ShmSet(
                id,
                dice.one_of(&IDS),
                dice.one_of(&IDS),
                dice.one_of(&IPC_MODES),
            ),
            5 => Call::ShmRemove(id),
            6..9 => Call::ShmAttach(id, dice.chance(30)),
            _ if attached.is_empty() && dice.chance(5) => Call::ShmDetach(0x1000),
            _ if attached.is_empty() => Call::ShmAttach(id, dice.chance(30)),
            9 | 10 => Call::ShmDetach(dice.one_of(&attached)),
            _ => {
                let address = dice.one_of(&attached);
                let attachment = &world.processes[who].attached[&address];
                match dice.roll(3) {
                    0 if !attachment.read_only => {
                        Call::Poke(address, dice.roll(1000).try_into().unwrap())
                    }
                    1 if !attachment.read_only => {
                        Call::ShmClear(address, world.segments[&attachment.id].size)
                    }
                    _ => Call::Peek(address),
                }
            }
        }
    }

    fn semaphore_call(&self, dice: &mut Dice) -> Call {
        let ids: Vec<IpcId> = self.sets.iter().copied().collect();
        let key = dice.one_of(&KEYS);
        if ids.is_empty() || dice.chance(12) {
            return Call::SemCreate(key, dice.one_of(&IPC_MODES));
        }
        let id = ids[ids.len() - 1 - dice.roll(ids.len().min(5))];
        match dice.roll(14) {
            0 if dice.chance(30) => Call::SemKeys,
            0 => Call::SemFind(key),
            1 if dice.chance(50) => Call::SemWasUsed(id),
            1 => Call::SemStat(id),
            2 => Call::SemSet(
                id,
                dice.one_of(&IDS),
                dice.one_of(&IDS),
                dice.one_of(&IPC_MODES),
            ),
            3 if dice.chance(60) => Call::SemRemove(id),
            3 | 4 => Call::SemValue(id),
            5 => Call::SemWaiting(id),
            6 => Call::SemLastPid(id),
            7 => Call::SemSetValue(id, dice.one_of(&[0, 1, 1, 2, 32_767, 32_768, -1])),
            8 | 9 => Call::SemOp(id, dice.one_of(&[1, 1, 2, 20_000, 32_767]), Wait::No),
            _ => {
                let wait = dice.one_of(&[Wait::No, SHORT, Wait::Forever, Wait::Forever]);
                Call::SemOp(id, dice.one_of(&[-1, -1, -2, -20_000]), wait)
            }
        }
    }
}

fn file_call(world: &World, who: Pid, dice: &mut Dice) -> Call {
    let fds = descriptors(world, who);
    let name = path(dice.one_of(NAMES));
    if fds.len() < 2 || dice.chance(15) {
        let how = if dice.chance(40) {
            Open::New(dice.one_of(&FILE_MODES))
        } else {
            Open::Existing
        };
        return Call::Open(name, how);
    }
    let fd = if dice.chance(3) {
        999
    } else {
        dice.one_of(&fds)
    };
    match dice.roll(16) {
        0 => Call::Reopen(fd),
        1 => Call::Close(fd),
        2 => Call::Fstat(fd),
        3 => Call::Lstat(name),
        4 => Call::Fchmod(fd, dice.one_of(&FILE_MODES)),
        5 => Call::Fchgrp(fd, dice.one_of(&IDS)),
        6 => Call::Unlink(name),
        7 => Call::Mkdir(name, dice.one_of(&[0o700, 0o777, 0o1777])),
        8 => Call::Rmdir(name),
        9 => match dice.roll(6) {
            0 => Call::IsAlive(number_of(dice.roll(world.processes.len()))),
            1 => Call::OpenShared(
                name,
                dice.one_of(&FILE_MODES),
                dice.one_of(&[None, Some(2001), Some(2002)]),
            ),
            2 => Call::MayWrite(path(dice.one_of(&[
                "/tmp",
                "/tmp/d",
                "/tmp/a",
                "/tmp/none",
            ]))),
            3 => Call::Inodes(path("/tmp"), dice.one_of(&["a", "b", "f"]).into()),
            _ => Call::OpenDeleted(name, dice.one_of(&IDS)),
        },
        _ => {
            let lock = dice.one_of(&[
                FileLock::Shared,
                FileLock::Shared,
                FileLock::Exclusive,
                FileLock::Exclusive,
                FileLock::Unlock,
            ]);
            // With two waiting, which of them gets the lock is the kernel's choice.
            let somebody_waits = world
                .processes
                .iter()
                .any(|process| matches!(process.waiting, Some(Waiting::Lock { .. })));
            let wait = dice.one_of(&[Wait::No, SHORT, Wait::Forever]);
            // And one can wait for a lock of one's own, for ever.
            let wait = if somebody_waits && wait == Wait::Forever {
                Wait::No
            } else {
                wait
            };
            Call::Flock(fd, lock, wait)
        }
    }
}

fn descriptors(world: &World, who: Pid) -> Vec<i32> {
    world.processes[who].fds.keys().copied().collect()
}

/// Locks of ranges. Where they are is unlike what anybody else on the machine locks, since the
/// table shows all; and only single bytes are asked for, since of several locks the kernel names
/// any.
fn range_call(world: &World, who: Pid, dice: &mut Dice) -> Call {
    let base = 1 << 50 | u64::from(std::process::id()) << 20;
    let range = Range::new(base + dice.roll(5) as u64, 1 + dice.roll(3) as u64);
    let byte = Range::new(range.start, 1);
    let name = path(dice.one_of(NAMES));
    let how = dice.one_of(&[OpenDirect::Write, OpenDirect::Write, OpenDirect::Read]);
    let fds = descriptors(world, who);
    if fds.len() < 2 || dice.chance(20) {
        return Call::Range(RangeCall::Open(name, how));
    }
    let fd = if dice.chance(3) {
        999
    } else {
        dice.one_of(&fds)
    };
    let kept = world.processes[who].mappings();
    Call::Range(match dice.roll(14) {
        0..6 => {
            let lock = dice.one_of(&[
                FileLock::Exclusive,
                FileLock::Exclusive,
                FileLock::Exclusive,
                FileLock::Shared,
                FileLock::Unlock,
            ]);
            return Call::RangeLock(fd, range, lock, dice.one_of(&[Wait::No, Wait::No, SHORT]));
        }
        6 | 7 => return Call::RangeHolder(fd, byte),
        8 => RangeCall::Held(Range::new(base, 100)),
        9 if kept.is_empty() => RangeCall::Held(Range::new(base + 1, 3)),
        9 => RangeCall::LetGo(dice.one_of(&kept)),
        10 | 11 => RangeCall::Keep(fd),
        12 => RangeCall::ReadAt(fd, dice.roll(4) as u64, 1 + dice.roll(6)),
        _ => {
            let length = 1 + dice.roll(3);
            let bytes: Vec<u8> = (0..length).map(|_| dice.roll(256) as u8).collect();
            RangeCall::WriteAt(fd, dice.roll(4) as u64, bytes.into())
        }
    })
}

fn path(name: &str) -> Arc<Path> {
    Path::new(name).into()
}
