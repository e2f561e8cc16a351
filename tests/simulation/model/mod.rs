//! The simulated machine: one [`World`] is the whole state that the kernel keeps, a plain value
//! that can be cloned, compared and hashed.
//!
//! A world changes only by [`World::call`] (a process makes a system call), [`World::resume`] (a
//! call that had to wait goes on), [`World::time_out`] and [`World::kill`] / [`World::die`].
//! Numbers that a kernel hands out (inodes, ids, addresses) depend on what they are for and not
//! on the order of the calls, so that calls that commute lead to equal worlds.
//!
//! Not modelled, because no call of the trait can show it: `fs.protected_regular` and its kin
//! (they concern O_CREAT without O_EXCL), links in the middle of a path, forked children.

pub mod call;
mod directories;
mod files;
pub mod line;
mod locks;
mod mappings;
pub mod memory;
mod named;
pub mod process;
pub mod range_call;
mod range_locks;
mod ranges;
mod segments;
mod semaphores;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qshm::kernel::{Errno, IpcId, IpcPerm, Wait};

use call::{Call, Cred, DONE, Reply, fail};
pub use files::{Inode, UMASK};
pub use mappings::Mapping;
pub use memory::words;
pub use process::{Life, Process, Waiting};
use range_call::RangeCall;
pub use segments::Segment;
pub use semaphores::Set;

/// When something was made, in seconds: before the first process, or since.
const LONG_AGO: i64 = 0;
const LATELY: i64 = 100;

/// Where a process stands in [`World::processes`].
pub type Pid = usize;

/// The whole machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// Whether the number of a file that is gone is given to the next one of the same path (as
    /// ext4 does, and then it has the same `key_t`) or to none (as tmpfs does).
    pub reuse_inodes: bool,
    /// Whether what is made now was there before the first process, in an earlier second.
    pub long_ago: bool,
    pub names: BTreeMap<Arc<Path>, u64>,
    pub inodes: BTreeMap<u64, Inode>,
    pub segments: BTreeMap<IpcId, Segment>,
    pub sets: BTreeMap<IpcId, Set>,
    pub processes: Vec<Process>,
    /// How often a number was given out already, by what it is for.
    given: BTreeMap<(For, i64), u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum For {
    Inode,
    Segment,
    Set,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Answer(Reply),
    /// The process waits; see [`World::ready`].
    Waits,
}

impl World {
    /// A machine with an empty `/tmp`, of mode 1777.
    pub fn new() -> Self {
        let mut world = Self {
            reuse_inodes: true,
            long_ago: true,
            names: BTreeMap::new(),
            inodes: BTreeMap::new(),
            segments: BTreeMap::new(),
            sets: BTreeMap::new(),
            processes: Vec::new(),
            given: BTreeMap::new(),
        };
        world.plant_directory("/", 0, 0, 0o755);
        world.plant_directory("/tmp", 0, 0, 0o1777);
        world.plant_directory("/dev", 0, 0, 0o755);
        world.plant_directory("/dev/shm", 0, 0, 0o1777);
        world
    }

    /// Adds a process that has done nothing yet.
    pub fn start(&mut self, cred: Cred, groups: &[u32]) -> Pid {
        let pid = self.processes.len();
        self.processes.push(Process::new(pid, cred, groups));
        pid
    }

    /// What there is, for people.
    pub fn inventory(&self) -> String {
        let mut text = String::new();
        for (name, ino) in &self.names {
            let inode = &self.inodes[ino];
            let _ = writeln!(
                text,
                "  file {} inode {ino} owner {} mode {:o} {:x?}",
                name.display(),
                inode.uid,
                inode.mode,
                inode.memory
            );
        }
        for (id, segment) in &self.segments {
            let _ = writeln!(
                text,
                "  segment {id} attached {} {segment:?}",
                self.attached(*id)
            );
        }
        for (id, set) in &self.sets {
            let _ = writeln!(text, "  semaphore {id} {set:?}");
        }
        text
    }

    /// One system call of a process that does not wait in another.
    pub fn call(&mut self, who: Pid, cred: Cred, call: &Call) -> Step {
        debug_assert!(self.processes[who].life == Life::Alive);
        debug_assert!(self.processes[who].waiting.is_none());
        let answer = match call {
            Call::Flock(fd, lock, wait) => return self.flock(who, *fd, *lock, *wait),
            Call::RangeLock(fd, range, lock, wait) => {
                return self.range_lock(who, *fd, *range, *lock, *wait);
            }
            Call::SemOp(id, delta, wait) => return self.sem_op(who, cred, *id, *delta, *wait),
            Call::NamedOpenLocked(path, write, wait) => {
                return self.named_open_locked(who, cred, path, *write, *wait);
            }
            Call::NamedUnlocked(path, wait) => return self.named_unlocked(who, path, *wait),
            Call::NamedAlone(fd, path, wait) => {
                return self.named_alone(who, cred, *fd, path, *wait, false);
            }
            Call::Lease(fd, path, wait) => {
                return self.named_alone(who, cred, *fd, path, *wait, true);
            }
            Call::WordWait(address, low, time) => {
                return self.word_wait(who, *address, *low, *time);
            }
            Call::RangeHolder(fd, range) => self.range_holder(who, *fd, *range),
            Call::NamedOpen(path, write) => self.named_open(who, cred, path, *write),
            Call::NamedLook(path, write) => self.named_look(who, cred, path, *write),
            Call::NamedLocks(fd) => self.named_locks(who, *fd),
            Call::Announce(path) => self.announce(who, cred, path),
            Call::NamedMake(path, new) => self.named_make(who, cred, path, new),
            Call::LeaseBack(fd) => self.lease_back(who, *fd),
            Call::NamedReserve(fd, size) => self.named_reserve(who, *fd, *size),
            Call::IsMapped((_, ino)) => call::number(self.is_mapped(who, cred, *ino)),
            Call::Map(fd, how, at) => self.map(who, *fd, *how, *at),
            Call::Unmap(address) => {
                self.unmap(who, *address);
                DONE
            }
            Call::Retire(address) => {
                self.retire(who, *address);
                DONE
            }
            Call::Word(address) => self.word(who, *address),
            Call::Words(address, count) => self.words(who, *address, *count),
            Call::WordSwap(address, old, new) => self.word_swap(who, *address, *old, *new),
            Call::WordSet(address, value) => self.word_set(who, *address, *value),
            Call::WordWake(address, count) => self.word_wake(who, *address, *count),
            Call::Pause(time) => {
                self.processes[who].waiting = Some(Waiting::Pause(*time));
                return Step::Waits;
            }
            Call::IsAlive(pid) => call::number(self.is_alive(*pid)),
            Call::Open(path, how) => self.open(who, cred, path, *how),
            Call::Reopen(fd) => self.reopen(who, cred, *fd),
            Call::Close(fd) => {
                self.close(who, *fd);
                DONE
            }
            Call::Fstat(fd) => self.fstat(who, *fd),
            Call::Lstat(path) => self.lstat(who, cred, path),
            Call::Fchmod(fd, mode) => self.fchmod(who, cred, *fd, *mode),
            Call::Fchgrp(fd, gid) => self.fchgrp(who, cred, *fd, *gid),
            Call::Unlink(path) => self.unlink(who, cred, path),
            Call::Mkdir(path, mode) => self.mkdir(who, cred, path, *mode),
            Call::Rmdir(path) => self.rmdir(who, cred, path),
            Call::ShmFind(key) => self.shm_find(*key),
            Call::ShmCreate(key, size, mode) => self.shm_create(who, cred, *key, *size, *mode),
            Call::ShmStat(id) => self.shm_stat(who, cred, *id),
            Call::ShmSet(id, uid, gid, mode) => self.shm_set(cred, *id, *uid, *gid, *mode),
            Call::ShmRemove(id) => self.shm_remove(cred, *id),
            Call::ShmAttach(id, read_only) => self.shm_attach(who, cred, *id, *read_only),
            Call::ShmDetach(address) => self.shm_detach(who, *address),
            Call::ShmLoad(address) => self.shm_load(who, *address),
            Call::ShmStore(address, value) => self.shm_store(who, *address, *value),
            Call::ShmClear(address, size) => self.shm_clear(who, *address, *size),
            Call::SemFind(key) => self.sem_find(*key),
            Call::SemCreate(key, mode) => self.sem_create(cred, *key, *mode),
            Call::SemStat(id) => self.sem_stat(who, cred, *id),
            Call::SemSet(id, uid, gid, mode) => self.sem_set(cred, *id, *uid, *gid, *mode),
            Call::SemRemove(id) => self.sem_remove(cred, *id),
            Call::SemValue(id) => self.sem_value(who, cred, *id),
            Call::SemWaiting(id) => self.sem_waiting(who, cred, *id),
            Call::SemLastPid(id) => self.sem_last_pid(who, cred, *id),
            Call::SemSetValue(id, value) => self.sem_set_value(who, cred, *id, *value),
            Call::OpenShared(path, mode, group) => self.open_shared(who, cred, path, *mode, *group),
            Call::MayWrite(path) => call::number(self.may_write(who, cred, path)),
            Call::ShmKeys => self.shm_keys(),
            Call::SemKeys => call::list(self.sets.values().map(|set| set.key.into())),
            Call::SemWasUsed(id) => self.sem_was_used(who, cred, *id),
            Call::Inodes(path, prefix) => self.inodes_of(path, prefix),
            Call::OpenDeleted(path, uid) => self.open_deleted(who, cred, path, *uid),
            Call::Peek(address) => self.peek(who, *address),
            Call::Poke(address, value) => self.poke(who, *address, *value),
            Call::Vanish(path) => self.vanish(path),
            Call::Chmod(path, mode) => self.chmod(path, *mode),
            Call::Range(call) => self.range_call(who, cred, call),
        };
        Step::Answer(answer)
    }

    /// Whether no other process can notice this call, nor change what it answers.
    pub fn is_private(&self, who: Pid, call: &Call) -> bool {
        let fd = match call {
            Call::Close(fd) => fd,
            // An open file is the same whoever keeps it.
            Call::Range(RangeCall::Keep(_)) => return true,
            _ => return false,
        };
        let Some(handle) = self.processes[who].fds.get(fd) else {
            return true;
        };
        // A mapping keeps the open file.
        if !handle.mapped.is_empty() {
            return true;
        }
        // While it is open, its number is not given to another file; and whether that of a POSIX
        // object is open can be asked.
        !self.reuse_inodes
            && !handle.has_locks()
            && self.inodes[&handle.ino].links > 0
            && !self.is_posix(handle.ino)
    }

    /// Whether a file is where POSIX objects are.
    fn is_posix(&self, ino: u64) -> bool {
        let mut names = self.names.iter();
        names.any(|(name, of)| *of == ino && name.starts_with("/dev/shm"))
    }

    /// Whether the call that `who` waits in can go on by itself.
    pub fn ready(&self, who: Pid) -> bool {
        match &self.processes[who].waiting {
            None | Some(Waiting::Pause(_) | Waiting::Semaphore { .. } | Waiting::Word { .. }) => {
                false
            }
            Some(Waiting::Unlocked { path, .. }) => self.is_unlocked(path),
            Some(Waiting::Alone { fd, path, .. }) => self.knows_who_has_it(who, *fd, path),
            Some(Waiting::Answered(_)) => true,
            Some(Waiting::Lock { fd, lock, .. }) => self.can_lock(who, *fd, *lock),
            Some(Waiting::Range {
                fd, range, lock, ..
            }) => self.can_lock_range(who, *fd, *range, *lock),
        }
    }

    /// Lets the call that `who` waits in go on; it must be [`Self::ready`].
    pub fn resume(&mut self, who: Pid) -> Reply {
        match self.processes[who].waiting.take() {
            Some(Waiting::Answered(reply)) => reply,
            Some(Waiting::Lock { fd, lock, .. }) => {
                self.take_lock(who, fd, lock);
                DONE
            }
            Some(Waiting::Range {
                fd, range, lock, ..
            }) => self.take_range(who, fd, range, lock),
            Some(Waiting::Unlocked { .. }) => DONE,
            Some(Waiting::Alone { fd, lease, .. }) => self.alone(who, fd, lease),
            other => panic!("process {who} cannot go on from {other:?}"),
        }
    }

    /// When the call that `who` waits in gives up, counted from its begin.
    pub fn patience(&self, who: Pid) -> Option<Duration> {
        let wait = match self.processes[who].waiting.as_ref()? {
            Waiting::Pause(time) | Waiting::Word { time, .. } => return Some(*time),
            Waiting::Lock { wait, .. }
            | Waiting::Range { wait, .. }
            | Waiting::Semaphore { wait, .. }
            | Waiting::Unlocked { wait, .. }
            | Waiting::Alone { wait, .. } => *wait,
            Waiting::Answered(_) => return None,
        };
        match wait {
            Wait::AtMost(time) => Some(time),
            Wait::No | Wait::Forever => None,
        }
    }

    /// The time that the call may wait is over.
    pub fn time_out(&mut self, who: Pid) -> Reply {
        self.stop_waiting(who);
        match self.processes[who].waiting.take() {
            Some(Waiting::Pause(_) | Waiting::Word { .. }) => DONE,
            Some(Waiting::Alone { .. }) => call::number(0),
            _ => fail(Errno::EAGAIN),
        }
    }

    fn next_number(&mut self, purpose: For, base: i64) -> u32 {
        let given = self.given.entry((purpose, base)).or_default();
        *given += 1;
        *given - 1
    }

    /// ipcperms(): the object's creator counts as its owner.
    fn ipc_may(&self, who: Pid, cred: Cred, perm: &IpcPerm, wanted: u32) -> bool {
        let granted = if cred.uid == perm.cuid || cred.uid == perm.uid {
            perm.mode >> 6
        } else if self.in_group(who, cred, perm.cgid) || self.in_group(who, cred, perm.gid) {
            perm.mode >> 3
        } else {
            perm.mode
        };
        cred.uid == 0 || granted & wanted == wanted
    }

    fn in_group(&self, who: Pid, cred: Cred, gid: u32) -> bool {
        cred.gid == gid || self.processes[who].groups.contains(&gid)
    }
}

/// Whether IPC_SET and IPC_RMID are allowed.
fn ipc_owns(cred: Cred, perm: &IpcPerm) -> bool {
    cred.uid == 0 || cred.uid == perm.cuid || cred.uid == perm.uid
}

fn new_perm(cred: Cred, mode: u32) -> IpcPerm {
    IpcPerm {
        uid: cred.uid,
        gid: cred.gid,
        cuid: cred.uid,
        cgid: cred.gid,
        mode: mode & 0o777,
    }
}

/// A number from a text or another number, the same in every run.
fn spread(bytes: impl IntoIterator<Item = u8>) -> u32 {
    bytes.into_iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
