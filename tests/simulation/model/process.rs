//! Processes: what they hold, what they wait for, and how they die.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qshm::kernel::{Fd, FileLock, IpcId, Range, Wait};

use super::call::{Cred, Reply};
use super::mappings::Mapping;
use super::range_locks::RangeLocks;
use super::{Pid, World};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub pid: Pid,
    pub cred: Cred,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    pub life: Life,
    pub fds: BTreeMap<Fd, Handle>,
    /// Open files that are mapped and have no descriptor any more, by the first address.
    pub mapped: BTreeMap<usize, Handle>,
    /// Pages of its own in the place of mappings that it gave up.
    pub retired: BTreeSet<usize>,
    pub attached: BTreeMap<usize, Attachment>,
    pub attachments_made: usize,
    /// SEM_UNDO, by set.
    pub undo: BTreeMap<IpcId, i32>,
    pub waiting: Option<Waiting>,
}

/// An open file description; the trait has no dup(2), so each has one descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    pub ino: u64,
    pub lock: Option<FileLock>,
    pub ranges: RangeLocks,
    /// Open for writing.
    pub writable: bool,
    /// Where it is mapped, and how.
    pub mapped: BTreeMap<usize, Mapping>,
    /// Announces that its process looks at the file of this path.
    pub announces: Option<Arc<Path>>,
    /// A lease, which keeps others from opening the file.
    pub leased: bool,
}

impl Handle {
    /// Whether it is mapped to be kept, as instances do.
    pub fn is_kept(&self) -> bool {
        self.mapped.values().any(|how| *how == Mapping::Kept)
    }

    pub fn new(ino: u64, writable: bool) -> Self {
        Self {
            ino,
            lock: None,
            ranges: RangeLocks::default(),
            writable,
            mapped: BTreeMap::new(),
            announces: None,
            leased: false,
        }
    }

    /// Whether others can notice that it is closed.
    pub fn has_locks(&self) -> bool {
        let lock = self.lock.is_some() || !self.ranges.is_empty();
        lock || self.announces.is_some() || self.leased
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    pub id: IpcId,
    pub read_only: bool,
}

/// A process ends in three steps that others can see one by one: its memory goes (and with it
/// the attachments), then its semaphore operations are undone, then its open files go, also those
/// that were only mapped: the kernel puts that off to the end, and takes the last ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    Alive,
    LosesMemory,
    LosesSemaphores,
    LosesFiles,
    Gone,
}

/// What a process waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Waiting {
    Lock {
        fd: Fd,
        lock: FileLock,
        wait: Wait,
    },
    Range {
        fd: Fd,
        range: Range,
        lock: FileLock,
        wait: Wait,
    },
    Semaphore {
        id: IpcId,
        delta: i16,
        wait: Wait,
    },
    /// named_open_locked, between two attempts: until the file is gone or its lock free.
    Unlocked {
        path: Arc<Path>,
        wait: Wait,
    },
    /// named_alone: until nobody else has the file open, or somebody who does not just look.
    Alone {
        fd: Fd,
        path: Arc<Path>,
        wait: Wait,
        lease: bool,
    },
    /// word_wait: until it is woken.
    Word {
        ino: u64,
        offset: usize,
        time: Duration,
    },
    Pause(Duration),
    /// Somebody else has performed or ended the operation, the process has not run since.
    Answered(Reply),
}

impl Process {
    pub fn new(pid: Pid, cred: Cred, groups: &[u32]) -> Self {
        Self {
            pid,
            cred,
            groups: groups.to_vec(),
            life: Life::Alive,
            fds: BTreeMap::new(),
            mapped: BTreeMap::new(),
            retired: BTreeSet::new(),
            attached: BTreeMap::new(),
            attachments_made: 0,
            undo: BTreeMap::new(),
            waiting: None,
        }
    }

    /// Where files are mapped.
    pub fn mappings(&self) -> Vec<usize> {
        let all = self.fds.values().chain(self.mapped.values());
        all.flat_map(|handle| handle.mapped.keys().copied())
            .collect()
    }

    /// What getpid(2) says.
    pub fn number(&self) -> i32 {
        number_of(self.pid)
    }
}

pub fn number_of(pid: Pid) -> i32 {
    i32::try_from(pid).unwrap() + 101
}

impl World {
    /// A process that was killed and not yet waited for still has its pid; here its parent waits
    /// at once.
    pub(super) fn is_alive(&self, number: i32) -> bool {
        let mut all = self.processes.iter();
        all.any(|process| process.number() == number && process.life != Life::Gone)
    }

    /// The process ends, of itself or by a signal: it makes no further call. [`Self::die`] has
    /// to be called until it is gone.
    pub fn kill(&mut self, who: Pid) {
        self.stop_waiting(who);
        let process = &mut self.processes[who];
        process.waiting = None;
        process.life = Life::LosesMemory;
        self.skip_empty_steps(who);
    }

    /// Whether [`Self::die`] has something to do.
    pub fn dying(&self, who: Pid) -> bool {
        !matches!(self.processes[who].life, Life::Alive | Life::Gone)
    }

    /// Whether the next step of a death can come about in two ways, see [`Self::die`].
    pub fn dies_in_two_ways(&self, who: Pid) -> bool {
        let process = &self.processes[who];
        let locked = process.mapped.values().filter(|handle| handle.has_locks());
        process.life == Life::LosesFiles && process.fds.is_empty() && locked.count() > 1
    }

    /// One step of a process's death. Which of the files that were only mapped goes first depends
    /// on the addresses that the kernel chose: the highest (here: of the highest number), or the
    /// lowest.
    pub fn die(&mut self, who: Pid, lowest_first: bool) {
        match self.processes[who].life {
            Life::Alive | Life::Gone => panic!("process {who} is not dying"),
            Life::LosesMemory => {
                let addresses: Vec<usize> = self.processes[who].attached.keys().copied().collect();
                for address in addresses {
                    let _ = self.shm_detach(who, address);
                }
                self.lose_mappings(who);
            }
            Life::LosesSemaphores => self.undo(who),
            Life::LosesFiles => {
                // Up to the first that somebody else can notice.
                while let Some(handle) = self.next_file_to_go(who, lowest_first) {
                    self.forget_inode(handle.ino);
                    if handle.has_locks() {
                        break;
                    }
                }
            }
        }
        self.skip_empty_steps(who);
    }

    fn next_file_to_go(&mut self, who: Pid, lowest_first: bool) -> Option<Handle> {
        let Process { fds, mapped, .. } = &mut self.processes[who];
        if let Some((_, handle)) = fds.pop_last() {
            return Some(handle);
        }
        let next = if lowest_first {
            mapped.pop_first()
        } else {
            mapped.pop_last()
        };
        next.map(|(_, handle)| handle)
    }

    /// Steps in which nothing happens are no steps, which keeps the number of schedules down.
    fn skip_empty_steps(&mut self, who: Pid) {
        let process = &mut self.processes[who];
        let maps = !process.mappings().is_empty() || !process.retired.is_empty();
        if process.life == Life::LosesMemory && process.attached.is_empty() && !maps {
            process.life = Life::LosesSemaphores;
        }
        if process.life == Life::LosesSemaphores && process.undo.is_empty() {
            process.life = Life::LosesFiles;
        }
        if process.life == Life::LosesFiles && process.fds.is_empty() && process.mapped.is_empty() {
            process.life = Life::Gone;
            process.attachments_made = 0;
        }
    }
}
