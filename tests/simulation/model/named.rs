//! POSIX objects: files that are mapped, the locks of open files, and words in memory.
//!
//! A mapping keeps its open file, and so the locks of that, without a descriptor. Each open file is
//! mapped once at most, which is how the code under test does it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qshm::kernel::{Errno, Fd, FileKind, FileLock, Wait};

use super::call::{Cred, DONE, Named, Reply, Value, fail, list, number};
use super::files::{EXECUTE, READ, WRITE};
use super::process::{Handle, Waiting};
use super::{Life, Pid, Step, World};

/// Addresses of mappings: far from those of System V segments.
const FIRST_ADDRESS: usize = 0x4000_0000;

/// Whether this is the address of a mapping, and not of a System V segment.
pub(super) fn is_mapping(address: usize) -> bool {
    (FIRST_ADDRESS..FIRST_ADDRESS + 0x1000_0000).contains(&address)
}

const PAGE: usize = 0x1000;

impl World {
    /// All open files, and whose they are.
    pub(super) fn open_files(&self) -> impl Iterator<Item = (Pid, &Handle)> {
        self.processes.iter().flat_map(|process| {
            let all = process.fds.values().chain(process.mapped.values());
            all.map(|handle| (process.pid, handle))
        })
    }

    pub(super) fn named_open(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        write: bool,
    ) -> Reply {
        if let Err(errno) = self.parent(who, cred, path) {
            return fail(errno);
        }
        let Some(ino) = self.names.get(path).copied() else {
            return fail(Errno::ENOENT);
        };
        let wanted = if write { READ | WRITE } else { READ };
        match self.inode(ino).kind {
            FileKind::Link => fail(Errno::ELOOP),
            FileKind::Directory if write => fail(Errno::EISDIR),
            _ if !self.file_may(who, cred, ino, wanted) => fail(Errno::EACCES),
            _ => number(self.new_fd(who, ino, write)),
        }
    }

    pub(super) fn named_open_locked(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        write: bool,
        wait: Wait,
    ) -> Step {
        if self.can_open_locked(path) {
            return Step::Answer(self.open_and_lock(who, cred, path, write));
        }
        // What may not be opened is not waited for.
        match self.named_open(who, cred, path, write) {
            Ok(Value::Number(fd)) => self.close(who, Fd::try_from(fd).unwrap()),
            other => return Step::Answer(other),
        }
        if wait == Wait::No {
            return Step::Answer(fail(Errno::EAGAIN));
        }
        self.processes[who].waiting = Some(Waiting::OpenLocked {
            cred,
            path: path.clone(),
            write,
            wait,
        });
        Step::Waits
    }

    pub(super) fn can_open_locked(&self, path: &Path) -> bool {
        let ino = self.names.get(path);
        ino.is_none_or(|ino| {
            let mut users = self.open_files().filter(|(_, handle)| handle.ino == *ino);
            users.all(|(_, handle)| handle.lock.is_none())
        })
    }

    pub(super) fn open_and_lock(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        write: bool,
    ) -> Reply {
        let opened = self.named_open(who, cred, path, write);
        if let Ok(Value::Number(fd)) = opened {
            self.take_lock(who, Fd::try_from(fd).unwrap(), FileLock::Exclusive);
        }
        opened
    }

    pub(super) fn named_make(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        new: &Named,
    ) -> Reply {
        let directory = match self.parent(who, cred, path) {
            Ok(ino) => ino,
            Err(errno) => return fail(errno),
        };
        if !self.file_may(who, cred, directory, WRITE | EXECUTE) {
            return fail(Errno::EACCES);
        }
        if self.names.contains_key(path) {
            return fail(Errno::EEXIST);
        }
        let ino = self.new_inode(path, FileKind::Regular, cred, new.mode & 0o7777);
        self.enter(path, ino);
        let member = |gid: &u32| cred.uid == 0 || self.in_group(who, cred, *gid);
        let group = new.group.filter(member);
        let inode = self.inode_mut(ino);
        inode.gid = group.unwrap_or(inode.gid);
        inode.size = new.size;
        for (index, word) in new.words.iter().enumerate() {
            if *word != 0 {
                inode.words.insert(8 * index, *word);
            }
        }
        let fd = self.new_fd(who, ino, true);
        let handle = self.processes[who].fds.get_mut(&fd).unwrap();
        handle.lock = Some(FileLock::Exclusive);
        number(fd)
    }

    pub(super) fn named_resize(&mut self, who: Pid, fd: Fd, size: u64) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        if !handle.writable {
            return fail(Errno::EINVAL);
        }
        let ino = handle.ino;
        let inode = self.inode_mut(ino);
        inode.size = size;
        inode.words.retain(|offset, _| (*offset as u64) < size);
        DONE
    }

    pub(super) fn named_alone(&mut self, who: Pid, cred: Cred, fd: Fd, wait: Wait) -> Step {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return Step::Answer(fail(Errno::EBADF));
        };
        if cred.uid != 0 && cred.uid != self.inode(handle.ino).uid {
            return Step::Answer(fail(Errno::EACCES));
        }
        if self.is_alone(who, fd) {
            return Step::Answer(number(1));
        }
        if wait == Wait::No {
            return Step::Answer(number(0));
        }
        self.processes[who].waiting = Some(Waiting::Alone { fd, wait });
        Step::Waits
    }

    pub(super) fn is_alone(&self, who: Pid, fd: Fd) -> bool {
        let own = &self.processes[who].fds[&fd];
        let mut users = self
            .open_files()
            .filter(|(_, handle)| handle.ino == own.ino);
        users.all(|(_, handle)| std::ptr::eq(handle, own))
    }

    /// As far as this user may look into the maps of others.
    pub(super) fn is_mapped(&self, who: Pid, cred: Cred, ino: u64) -> bool {
        self.open_files().any(|(pid, handle)| {
            let process = &self.processes[pid];
            let visible = cred.uid == 0 || process.cred.uid == cred.uid;
            pid != who && visible && handle.ino == ino && handle.address.is_some()
        })
    }

    pub(super) fn range_lock(
        &mut self,
        who: Pid,
        fd: Fd,
        range: (u64, u64),
        lock: FileLock,
    ) -> Reply {
        let Some(own) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        if lock == FileLock::Exclusive && !own.writable {
            return fail(Errno::EBADF);
        }
        if lock != FileLock::Unlock && self.in_conflict(own, range, lock).is_some() {
            return fail(Errno::EAGAIN);
        }
        let locks = &mut self.processes[who].fds.get_mut(&fd).unwrap().named;
        if lock == FileLock::Unlock {
            locks.remove(&range);
        } else {
            locks.insert(range, lock);
        }
        DONE
    }

    pub(super) fn range_locked(&self, who: Pid, fd: Fd, range: (u64, u64)) -> Reply {
        let Some(own) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        let found = self.in_conflict(own, range, FileLock::Exclusive);
        list(found.map(|start| i64::try_from(start).unwrap()))
    }

    /// The first byte of a range that another open file has locked against this lock.
    fn in_conflict(&self, own: &Handle, range: (u64, u64), lock: FileLock) -> Option<u64> {
        let others = self
            .open_files()
            .map(|(_, handle)| handle)
            .filter(|handle| handle.ino == own.ino && !std::ptr::eq(*handle, own));
        let locks = others.flat_map(|handle| &handle.named);
        locks
            .filter(|(other, theirs)| {
                let meet = other.0 < range.0 + range.1 && range.0 < other.0 + other.1;
                let both_shared = **theirs == FileLock::Shared && lock == FileLock::Shared;
                meet && !both_shared
            })
            .map(|(other, _)| other.0)
            .min()
    }

    pub(super) fn map(&mut self, who: Pid, fd: Fd, own: bool, at: Option<usize>) -> Reply {
        let process = &mut self.processes[who];
        let taken: Vec<usize> = process
            .fds
            .values()
            .filter_map(|handle| handle.address)
            .chain(process.mapped.keys().copied())
            .collect();
        let Some(handle) = process.fds.get_mut(&fd) else {
            return fail(Errno::EBADF);
        };
        assert!(handle.address.is_none(), "an open file is mapped twice");
        let address = at.unwrap_or_else(|| {
            let all = (0..).map(|index| FIRST_ADDRESS + index * PAGE);
            let mut free = all.filter(|address| !taken.contains(address));
            free.next().unwrap()
        });
        handle.address = Some(address);
        handle.own = own;
        number(i64::try_from(address).unwrap())
    }

    pub(super) fn unmap(&mut self, who: Pid, address: usize) {
        let process = &mut self.processes[who];
        if let Some(handle) = process.mapped.remove(&address) {
            self.forget_inode(handle.ino);
            return;
        }
        for handle in process.fds.values_mut() {
            if handle.address == Some(address) {
                handle.address = None;
            }
        }
    }

    /// One step of a death: the next mapping that somebody else can notice goes.
    pub(super) fn lose_mappings(&mut self, who: Pid) {
        for handle in self.processes[who].fds.values_mut() {
            handle.address = None;
        }
        while let Some((address, handle)) = self.processes[who].mapped.first_key_value() {
            let (address, locked) = (*address, handle.has_locks());
            self.unmap(who, address);
            if locked {
                break;
            }
        }
    }

    /// The file and the offset at an address that is mapped; none where something was retired.
    fn place(&self, who: Pid, address: usize) -> Option<(u64, usize)> {
        let page = address & !(PAGE - 1);
        let process = &self.processes[who];
        let mut all = process.fds.values().chain(process.mapped.values());
        let handle = all.find(|handle| handle.address == Some(page))?;
        Some((handle.ino, address - page))
    }

    pub(super) fn word_at(&self, who: Pid, address: usize) -> u64 {
        self.place(who, address).map_or(0, |(ino, offset)| {
            self.inode(ino).words.get(&offset).copied().unwrap_or(0)
        })
    }

    pub(super) fn word(&self, who: Pid, address: usize) -> Reply {
        number(self.word_at(who, address) as i64)
    }

    pub(super) fn word_swap(&mut self, who: Pid, address: usize, old: u64, new: u64) -> Reply {
        let now = self.word_at(who, address);
        if now == old {
            let _ = self.word_set(who, address, new);
            DONE
        } else {
            number(now as i64)
        }
    }

    /// What a process has mapped, but for its semaphores: the inode, the latest last.
    pub fn mapped_segment(&self, who: Pid) -> Option<u64> {
        let process = &self.processes[who];
        let mut all: Vec<&Handle> = process
            .fds
            .values()
            .chain(process.mapped.values())
            .collect();
        all.retain(|handle| handle.address.is_some() && !handle.own);
        all.sort_by_key(|handle| handle.address);
        all.last().map(|handle| handle.ino)
    }

    pub(super) fn word_set(&mut self, who: Pid, address: usize, value: u64) -> Reply {
        if let Some((ino, offset)) = self.place(who, address) {
            let words = &mut self.inode_mut(ino).words;
            if value == 0 {
                words.remove(&offset);
            } else {
                words.insert(offset, value);
            }
        }
        DONE
    }

    pub(super) fn word_wait(&mut self, who: Pid, address: usize, low: u32, time: Duration) -> Step {
        match self.place(who, address) {
            Some((ino, offset)) if self.word_at(who, address) as u32 == low => {
                self.processes[who].waiting = Some(Waiting::Word { ino, offset, time });
                Step::Waits
            }
            _ => Step::Answer(DONE),
        }
    }

    pub(super) fn word_wake(&mut self, who: Pid, address: usize, count: i32) -> Reply {
        let Some(place) = self.place(who, address) else {
            return DONE;
        };
        let waits = |process: &&mut super::Process| {
            let at = match process.waiting {
                Some(Waiting::Word { ino, offset, .. }) => (ino, offset),
                _ => return false,
            };
            process.life == Life::Alive && at == place
        };
        let woken = self.processes.iter_mut().filter(waits);
        for process in woken.take(usize::try_from(count).unwrap_or(0)) {
            process.waiting = Some(Waiting::Answered(DONE));
        }
        DONE
    }
}
