//! Who uses what: processes with a segment, and holders of locks.

use std::path::Path;

use super::Machine;
use crate::diagnosis::objects::{SegmentFound, SemaphoreFound, Users};
use crate::kernel::linux::survey;
use crate::kernel::survey::{FoundFile, ProcessRow, SegmentRow, SemaphoreRow};
use crate::kernel::{FileStat, IpcKey, Process};
use crate::key::ftok;

pub(crate) fn process(row: &ProcessRow) -> Process {
    Process {
        pid: row.pid,
        uid: row.uid,
        program: row.program.clone(),
        stopped: row.stopped,
    }
}

/// The version in a library's file name: `5.15.8` of `libQt5Core.so.5.15.8`, `6` where that is
/// all there is.
fn version(library: &str) -> Option<&str> {
    let (_, version) = library.split_once(".so.")?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(version)
}

impl Machine {
    /// Whether a process sees the same System V objects as this one.
    pub(super) fn shares_objects(&self, row: &ProcessRow) -> bool {
        row.namespaces.ipc.is_none() || row.namespaces.ipc == self.namespaces.ipc
    }

    fn users(&self, uses: impl Fn(&ProcessRow) -> bool) -> Users {
        let mut users = Users::default();
        for row in self.processes.iter().filter(|row| uses(row)) {
            users.seen.push(process(row));
            for library in row.mappings.iter().flat_map(|maps| &maps.qt) {
                let version = version(library).unwrap_or_default().to_owned();
                if !version.is_empty() && !users.qt.contains(&version) {
                    users.qt.push(version);
                }
            }
        }
        users
    }

    /// Who is attached to a System V segment.
    pub(super) fn users_of_segment(&self, row: &SegmentRow) -> Users {
        let users = self.users(|process| {
            self.shares_objects(process) && Self::attached(process).any(|(id, _)| id == row.id)
        });
        Users {
            qt: users.qt,
            ..Users::attached(users.seen, Some(row.stat.attached))
        }
    }

    /// Who has a file of `/dev/shm` mapped or open.
    pub(super) fn users_of_file(&self, stat: &FileStat) -> Users {
        let number = (stat.dev, stat.ino);
        self.users(|process| {
            let maps = process.mappings.iter().flat_map(|maps| &maps.shared_files);
            let mut open = process.files.iter().flatten();
            maps.into_iter().any(|mapped| *mapped == number)
                || open.any(|open| open.stat.same_file(stat))
        })
    }

    /// Whether a process in another IPC namespace could have objects of key files here: one with
    /// Qt, or one that can't be looked into.
    pub(super) fn may_be_used_elsewhere(&self) -> bool {
        let mut rows = self.processes.iter();
        rows.any(|row| self.may_have_own_objects(row))
    }

    /// Whether a process is in another IPC namespace and may have Qt's objects there.
    fn may_have_own_objects(&self, row: &ProcessRow) -> bool {
        let maps = row.mappings.as_ref();
        row.namespaces.ipc.is_some()
            && row.namespaces.ipc != self.namespaces.ipc
            && maps.is_none_or(|maps| !maps.qt.is_empty() || !maps.segments.is_empty())
    }

    /// Whether a process, in whatever namespace, has a segment of this file, or the file open.
    pub(crate) fn is_key_file_used(&self, stat: &FileStat) -> bool {
        let low = ftok(0, stat.dev, stat.ino);
        self.processes.iter().any(|row| {
            let files = row.files.iter().flatten();
            Self::attached(row).any(|(_, key)| key & 0xff_ffff == low)
                || files.into_iter().any(|open| open.stat.same_file(stat))
        })
    }

    /// Whether a process in another IPC namespace, which may have objects of key files, has this
    /// very file at this path. A semaphore shows nobody, so that having Qt is enough.
    pub(crate) fn may_be_shared_elsewhere(&self, path: &Path, stat: &FileStat) -> bool {
        let mut others = self
            .processes
            .iter()
            .filter(|row| self.may_have_own_objects(row));
        others.any(|row| {
            survey::in_root_of(row.pid, path).is_some_and(|theirs| theirs.same_file(stat))
        })
    }

    fn attached(row: &ProcessRow) -> impl Iterator<Item = (i32, IpcKey)> {
        row.mappings
            .iter()
            .flat_map(|maps| maps.segments.iter().copied())
    }

    /// The key that a segment was made with: once it is removed only its users know it.
    pub(super) fn key_of(&self, row: &SegmentRow) -> IpcKey {
        if !row.stat.removed {
            return row.key;
        }
        let mut all = self
            .processes
            .iter()
            .filter(|process| self.shares_objects(process))
            .flat_map(Self::attached);
        all.find(|(id, _)| *id == row.id)
            .map_or(row.key, |(_, key)| key)
    }

    /// The process of this pid.
    pub(super) fn process(&self, pid: i32) -> Option<&ProcessRow> {
        self.processes.iter().find(|row| row.pid == pid)
    }

    /// A segment as an entry has it.
    pub(super) fn segment_found(&self, row: &SegmentRow) -> SegmentFound {
        SegmentFound::system_v(self.key_of(row), row.id, Some(row.stat))
    }

    /// A semaphore as an entry has it.
    pub(super) fn semaphore_found(&self, row: &SemaphoreRow) -> SemaphoreFound {
        SemaphoreFound::system_v(row, |pid| self.process(pid).map(process))
    }

    /// Who holds the lifecycle lock of a key file, if that is one who is stopped.
    pub(crate) fn stopped_in_lifecycle(&self, file: &FoundFile) -> Option<&ProcessRow> {
        let locks = self.locks.iter().filter(|lock| {
            lock.exclusive && (lock.dev, lock.ino) == (file.stat.dev, file.stat.ino)
        });
        locks
            .filter_map(|lock| self.process(lock.pid))
            .find(|row| row.stopped)
    }
}
