//! Locks on ranges of a file by open file (`F_OFD_SETLK`).

use qshm::kernel::{Errno, Fd, FileLock, HeldRange, Range, Wait};

use super::call::{DONE, Reply, Value, fail};
use super::process::{Handle, Waiting};
use super::range_call::ranges;
use super::{Pid, Step, World};

/// The locks of one open file: in order, and none overlaps another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RangeLocks(Vec<(Range, FileLock)>);

impl RangeLocks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &(Range, FileLock)> {
        self.0.iter()
    }

    /// Locks a range, or unlocks it, whatever was locked of it before.
    fn set(&mut self, range: Range, lock: FileLock) {
        let parts = |(of, lock): (Range, FileLock)| {
            let before = (of.start, of.end().min(range.start));
            let behind = (of.start.max(range.end()), of.end());
            [before, behind]
                .into_iter()
                .filter(|(start, end)| start < end)
                .map(move |(start, end)| (Range::new(start, end - start), lock))
        };
        let mut locks: Vec<_> = self.0.drain(..).flat_map(parts).collect();
        if lock != FileLock::Unlock {
            locks.push((range, lock));
        }
        locks.sort_unstable_by_key(|(range, _)| *range);
        // Those that touch and are of one kind are one.
        for (range, lock) in locks {
            match self.0.last_mut() {
                Some((last, kind)) if last.end() == range.start && *kind == lock => {
                    last.length += range.length;
                }
                _ => self.0.push((range, lock)),
            }
        }
    }
}

impl World {
    /// Whether a process has a lock on any range.
    pub fn has_ranges(&self, who: Pid) -> bool {
        self.open_files()
            .any(|(pid, handle)| pid == who && !handle.ranges.is_empty())
    }

    pub(super) fn range_lock(
        &mut self,
        who: Pid,
        fd: Fd,
        range: Range,
        lock: FileLock,
        wait: Wait,
    ) -> Step {
        let Some(own) = self.processes[who].fds.get(&fd) else {
            return Step::Answer(fail(Errno::EBADF));
        };
        if lock == FileLock::Exclusive && !own.writable {
            return Step::Answer(fail(Errno::EBADF));
        }
        if self.can_lock_range(who, fd, range, lock) {
            return Step::Answer(self.take_range(who, fd, range, lock));
        }
        if wait == Wait::No {
            return Step::Answer(fail(Errno::EAGAIN));
        }
        self.processes[who].waiting = Some(Waiting::Range {
            fd,
            range,
            lock,
            wait,
        });
        Step::Waits
    }

    pub(super) fn can_lock_range(&self, who: Pid, fd: Fd, range: Range, lock: FileLock) -> bool {
        let own = &self.processes[who].fds[&fd];
        lock == FileLock::Unlock
            || self
                .locks_of_others(own, range)
                .all(|(_, other)| other == FileLock::Shared && lock == FileLock::Shared)
    }

    pub(super) fn take_range(&mut self, who: Pid, fd: Fd, range: Range, lock: FileLock) -> Reply {
        let own = self.processes[who].fds.get_mut(&fd).unwrap();
        own.ranges.set(range, lock);
        DONE
    }

    /// The lowest that overlaps; the kernel may name another one.
    pub(super) fn range_holder(&self, who: Pid, fd: Fd, range: Range) -> Reply {
        let Some(own) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        let holders = self.locks_of_others(own, range);
        Ok(Value::Range(holders.map(|(range, _)| range).min()))
    }

    /// What other open files of the same file have locked of a range.
    fn locks_of_others(
        &self,
        own: &Handle,
        range: Range,
    ) -> impl Iterator<Item = (Range, FileLock)> {
        self.open_files()
            .map(|(_, handle)| handle)
            .filter(move |handle| handle.ino == own.ino && !std::ptr::eq(*handle, own))
            .flat_map(|handle| handle.ranges.iter().copied())
            .filter(move |(other, _)| other.overlaps(&range))
    }

    /// The exclusive ones, on all files.
    pub(super) fn held_ranges(&self, within: Range) -> Reply {
        ranges(self.open_files().flat_map(|(_, handle)| {
            let inside = handle.ranges.iter().filter(move |(range, lock)| {
                *lock == FileLock::Exclusive
                    && range.start >= within.start
                    && range.end() <= within.end()
            });
            inside.map(|(range, _)| HeldRange {
                dev: 1,
                ino: handle.ino,
                range: *range,
            })
        }))
    }
}
