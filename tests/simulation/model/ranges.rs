//! Locks on ranges of a file by open file description (`F_OFD_SETLK`), mappings that keep one,
//! and what is written into files.

use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{Errno, Fd, FileKind, HeldRange, OpenDirect, Range};

use super::call::{Cred, DONE, Reply, Value, fail, list, number};
use super::files::{READ, WRITE};
use super::process::Handle;
use super::range_call::{RangeCall, ranges};
use super::{Pid, World};

/// From here on, what stands for a descriptor is a mapping that keeps the description.
pub const KEPT: Fd = 10_000;

impl World {
    pub(super) fn range_call(&mut self, who: Pid, cred: Cred, call: &RangeCall) -> Reply {
        match call {
            RangeCall::Open(path, how) => self.open_direct(who, cred, path, *how),
            RangeCall::Lock(fd, range) => self.lock_range(who, *fd, *range),
            RangeCall::Unlock(fd, range) => self.unlock_range(who, *fd, *range),
            RangeCall::Holder(fd, range) => self.range_holder(who, *fd, *range),
            RangeCall::Held(range) => self.held_ranges(*range),
            RangeCall::Mapped(files, by) => self.mapped(cred, files, by.uid),
            RangeCall::Version(path) => self.version(who, cred, path),
            RangeCall::Keep(fd) => self.keep(who, *fd),
            RangeCall::LetGo(address) => {
                self.let_go(who, Fd::try_from(*address).unwrap());
                DONE
            }
            RangeCall::ReadAt(fd, offset, length) => self.read_at(who, *fd, *offset, *length),
            RangeCall::WriteAt(fd, offset, bytes) => self.write_at(who, *fd, *offset, bytes),
            RangeCall::ShmLoad(address) => self.shm_load(who, *address),
            RangeCall::ShmStore(address, value) => self.shm_store(who, *address, *value),
        }
    }

    fn open_direct(&mut self, who: Pid, cred: Cred, path: &Path, how: OpenDirect) -> Reply {
        if let Err(errno) = self.parent(who, cred, path) {
            return fail(errno);
        }
        let Some(ino) = self.names.get(path).copied() else {
            return fail(Errno::ENOENT);
        };
        let wanted = match how {
            OpenDirect::Read => READ,
            OpenDirect::Write => READ | WRITE,
        };
        match self.inode(ino).kind {
            FileKind::Link => return fail(Errno::ELOOP),
            FileKind::Directory if how == OpenDirect::Write => return fail(Errno::EISDIR),
            _ => {}
        }
        if !self.file_may(who, cred, ino, wanted) {
            return fail(Errno::EACCES);
        }
        number(self.new_fd(who, ino, how == OpenDirect::Write))
    }

    fn lock_range(&mut self, who: Pid, fd: Fd, range: Range) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        if !handle.writable {
            return fail(Errno::EBADF);
        }
        if self.others(who, fd).any(|other| other.overlaps(&range)) {
            return fail(Errno::EAGAIN);
        }
        let handle = self.processes[who].fds.get_mut(&fd).unwrap();
        handle.ranges = without(&handle.ranges, range);
        handle.ranges.push(range);
        handle.ranges = merged(std::mem::take(&mut handle.ranges));
        DONE
    }

    fn unlock_range(&mut self, who: Pid, fd: Fd, range: Range) -> Reply {
        let Some(handle) = self.processes[who].fds.get_mut(&fd) else {
            return fail(Errno::EBADF);
        };
        handle.ranges = without(&handle.ranges, range);
        DONE
    }

    /// The lowest that overlaps; the kernel may name another one.
    fn range_holder(&self, who: Pid, fd: Fd, range: Range) -> Reply {
        if !self.processes[who].fds.contains_key(&fd) {
            return fail(Errno::EBADF);
        }
        let holder = self
            .others(who, fd)
            .filter(|other| other.overlaps(&range))
            .min();
        match holder {
            Some(range) => list([range.start as i64, range.length as i64]),
            None => list([]),
        }
    }

    /// What others have locked on the file of a descriptor.
    fn others(&self, who: Pid, fd: Fd) -> impl Iterator<Item = Range> {
        let ino = self.processes[who].fds[&fd].ino;
        self.handles()
            .filter(move |(pid, other, handle)| (*pid, *other) != (who, fd) && handle.ino == ino)
            .flat_map(|(_, _, handle)| handle.ranges.iter().copied())
    }

    fn handles(&self) -> impl Iterator<Item = (Pid, Fd, &Handle)> {
        self.processes.iter().flat_map(|process| {
            let fds = process.fds.iter();
            fds.map(|(fd, handle)| (process.pid, *fd, handle))
        })
    }

    fn held_ranges(&self, within: Range) -> Reply {
        ranges(self.handles().flat_map(|(_, _, handle)| {
            let inside = handle
                .ranges
                .iter()
                .filter(move |range| range.start >= within.start && range.end() <= within.end());
            inside.map(|range| HeldRange {
                dev: 1,
                ino: handle.ino,
                range: *range,
            })
        }))
    }

    fn mapped(&self, cred: Cred, files: &[(u64, u64)], uid: Option<u32>) -> Reply {
        let shown = self
            .processes
            .iter()
            .filter(|process| cred.uid == 0 || process.cred.uid == cred.uid)
            .filter(|process| uid.is_none_or(|uid| [uid, 0].contains(&process.cred.uid)));
        let kept = shown.flat_map(|process| process.fds.range(KEPT..));
        let mut inodes: Vec<u64> = kept.map(|(_, handle)| handle.ino).collect();
        inodes.sort_unstable();
        inodes.dedup();
        let found = inodes.into_iter().filter(|ino| files.contains(&(1, *ino)));
        list(found.map(|ino| ino as i64))
    }

    fn version(&self, who: Pid, cred: Cred, path: &Path) -> Reply {
        if let Err(errno) = self.parent(who, cred, path) {
            return fail(errno);
        }
        match self.names.get(path) {
            Some(ino) => number((*ino as i64) << 32 | i64::from(self.inode(*ino).changes)),
            None => fail(Errno::ENOENT),
        }
    }

    fn keep(&mut self, who: Pid, fd: Fd) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        if self.inodes[&handle.ino].kind != FileKind::Regular {
            return fail(Errno::ENODEV);
        }
        let fds = &mut self.processes[who].fds;
        let address = (KEPT..Fd::MAX)
            .find(|kept| !fds.contains_key(kept))
            .unwrap();
        let handle = fds.get_mut(&fd).unwrap();
        handle.kept = Some(address);
        let twin = Handle::new(handle.ino, handle.writable);
        fds.insert(address, twin);
        number(address)
    }

    fn let_go(&mut self, who: Pid, address: Fd) {
        for handle in self.processes[who].fds.values_mut() {
            handle.kept = handle.kept.filter(|kept| *kept != address);
        }
        self.close(who, address);
    }

    fn read_at(&self, who: Pid, fd: Fd, offset: u64, length: usize) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        let inode = self.inode(handle.ino);
        match inode.kind {
            FileKind::Directory => return fail(Errno::EISDIR),
            FileKind::Other => return fail(Errno::ESPIPE),
            _ => {}
        }
        let bytes = inode.content.iter().copied().skip(offset as usize);
        Ok(Value::Bytes(bytes.take(length).collect()))
    }

    fn write_at(&mut self, who: Pid, fd: Fd, offset: u64, bytes: &[u8]) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        let (ino, offset) = (handle.ino, offset as usize);
        if self.inode(ino).kind == FileKind::Other {
            return fail(Errno::ESPIPE);
        }
        if !handle.writable {
            return fail(Errno::EBADF);
        }
        let mut content = self.inode(ino).content.to_vec();
        content.resize(content.len().max(offset + bytes.len()), 0);
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.inode_mut(ino).content = Arc::from(content);
        DONE
    }
}

/// What is left of locks when some of it is unlocked.
fn without(locks: &[Range], range: Range) -> Vec<Range> {
    let parts = |lock: &Range| {
        let before = (lock.start, lock.end().min(range.start));
        let behind = (lock.start.max(range.end()), lock.end());
        [before, behind]
    };
    let parts = locks
        .iter()
        .flat_map(parts)
        .filter(|(start, end)| start < end);
    parts
        .map(|(start, end)| Range::new(start, end - start))
        .collect()
}

/// Locks of one owner that touch are one.
fn merged(mut locks: Vec<Range>) -> Vec<Range> {
    locks.sort_unstable();
    let mut all: Vec<Range> = Vec::new();
    for lock in locks {
        match all.last_mut() {
            Some(last) if last.end() == lock.start => last.length += lock.length,
            _ => all.push(lock),
        }
    }
    all
}
