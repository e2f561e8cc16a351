//! Segments, semaphores, key files and who has them, as they were found; and what follows from
//! that. The same for one key ([`Diagnosis`](super::Diagnosis)) and for the whole machine.

use std::path::{Path, PathBuf};

use crate::kernel::{FileKind, FileStat, IpcId, IpcKey, IpcPerm, Process, SemaphoreRow, ShmStat};
use crate::named::{Inside, Seen, perm_of};
use crate::trouble::FileFault;

/// A segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentFound {
    /// Its `key_t`; `None`: a POSIX one.
    pub key: Option<IpcKey>,
    /// Its id; `None`: a POSIX one.
    pub id: Option<IpcId>,
    /// The file of a POSIX one.
    pub file: Option<PathBuf>,
    /// Owner and mode, where they may be seen.
    pub perm: Option<IpcPerm>,
    /// In bytes, where that may be seen.
    pub size: Option<u64>,
    /// Attachments. Those of POSIX are counted by nobody: the processes that are known to have it;
    /// `None`: whether any does can't be seen from here.
    pub attached: Option<u64>,
    /// Who made it; `None`: not known.
    pub creator_pid: Option<i32>,
    /// Who attached or detached last; `None`: not known.
    pub last_pid: Option<i32>,
    /// When it was made or given to somebody, in seconds since 1970, where that may be seen.
    pub changed: Option<i64>,
    /// Removed already, and kept by the kernel until its last process detaches.
    pub removed: bool,
}

impl SegmentFound {
    /// One of System V; `stat`: what may be seen of it.
    pub(super) fn system_v(key: IpcKey, id: IpcId, stat: Option<ShmStat>) -> Self {
        let mut found = SegmentFound {
            key: Some(key),
            id: Some(id),
            ..SegmentFound::default()
        };
        if let Some(stat) = stat {
            found.perm = Some(stat.perm);
            found.size = Some(stat.size as u64);
            found.attached = Some(stat.attached);
            found.creator_pid = Some(stat.creator_pid);
            found.last_pid = Some(stat.last_pid);
            found.changed = Some(stat.changed);
            found.removed = stat.removed;
        }
        found
    }

    /// One of POSIX. `modified`: when it was written last, for file systems that do not know when
    /// a file was made.
    pub(super) fn posix(file: PathBuf, stat: &FileStat, modified: Option<i64>) -> Self {
        SegmentFound {
            file: Some(file),
            perm: Some(perm_of(stat)),
            size: Some(stat.size),
            changed: stat.born.or(modified),
            ..SegmentFound::default()
        }
    }
}

/// A semaphore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SemaphoreFound {
    /// Its `key_t`; `None`: a POSIX one.
    pub key: Option<IpcKey>,
    /// Its id; `None`: a POSIX one.
    pub id: Option<IpcId>,
    /// The file of a POSIX one.
    pub file: Option<PathBuf>,
    /// Owner and mode, where they may be seen.
    pub perm: Option<IpcPerm>,
    /// Its value, where it may be read: 1 is a free lock.
    pub value: Option<i32>,
    /// Who changed it last, where that may be read and the process can be seen.
    pub last_pid: Option<i32>,
    /// How many wait, where that may be read.
    pub waiting: Option<i32>,
    /// When it was made, in seconds since 1970, where that may be seen.
    pub changed: Option<i64>,
    /// The living process that is inside the lock, where that may be known.
    pub holder: Option<Process>,
    /// Of a POSIX one, who is inside as far as it says itself.
    pub inside: Inside,
}

impl SemaphoreFound {
    /// One of System V, of which only this is known.
    pub(super) fn unseen(key: IpcKey, id: IpcId) -> Self {
        SemaphoreFound {
            key: Some(key),
            id: Some(id),
            ..SemaphoreFound::default()
        }
    }

    /// One of System V. `process`: the living one of a pid.
    pub(super) fn system_v(row: &SemaphoreRow, process: impl Fn(i32) -> Option<Process>) -> Self {
        let last_pid = row.last_pid.filter(|pid| *pid != 0);
        SemaphoreFound {
            perm: Some(row.perm),
            value: row.value,
            last_pid,
            waiting: row.waiting,
            changed: Some(row.changed),
            holder: last_pid.filter(|_| row.value == Some(0)).and_then(process),
            ..SemaphoreFound::unseen(row.key, row.id)
        }
    }

    /// One of POSIX, and who has it or its segment.
    pub(super) fn posix(
        file: PathBuf,
        stat: &FileStat,
        modified: Option<i64>,
        seen: &Seen,
        users: &Users,
    ) -> Self {
        // Who is inside is known of qshm's own. Else, if somebody who has it is stopped, that is
        // the one to name.
        let mut those = users.seen.iter();
        let holder = match seen.inside {
            Inside::Alive => those.find(|process| Some(process.pid) == seen.last_pid),
            Inside::Unnamed => those.find(|process| process.stopped),
            Inside::Dead => None,
        };
        SemaphoreFound {
            file: Some(file),
            perm: Some(perm_of(stat)),
            value: seen.value,
            last_pid: seen.last_pid,
            changed: stat.born.or(modified),
            holder: holder.filter(|_| seen.value == Some(0)).cloned(),
            inside: seen.inside,
            ..SemaphoreFound::default()
        }
    }
}

/// A key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFound {
    /// Its path.
    pub path: PathBuf,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes: key files are empty.
    pub size: u64,
    /// When it was made, or changed last, in seconds since 1970; 0: not known.
    pub born: i64,
    /// Unlinked already; processes still have it open.
    pub deleted: bool,
    /// A symbolic link whose end can't be reached: the one thing that Qt makes no key of.
    pub leads_nowhere: bool,
    /// What is wrong with it, if it can't serve as a key file.
    pub(crate) fault: Option<FileFault>,
}

impl FileFound {
    /// A file as lstat(2) has it.
    pub(super) fn of(path: &Path, stat: &FileStat) -> Self {
        FileFound {
            path: path.to_owned(),
            uid: stat.uid,
            gid: stat.gid,
            mode: stat.mode & 0o7777,
            kind: stat.kind,
            size: stat.size,
            born: stat.born.unwrap_or(0),
            deleted: stat.links == 0,
            leads_nowhere: false,
            fault: FileFault::of(stat),
        }
    }
}

/// Whether an object that was last changed then was there before this file was, so that it is not
/// its own: see [`crate::key_file::KeyFile::is_younger_than`].
pub(super) fn is_younger(file: &FileStat, changed: Option<i64>) -> bool {
    let both = file.born.zip(changed);
    both.is_some_and(|(born, changed)| changed + 1 < born)
}

/// The processes that have an object, or one of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Those that were seen.
    pub seen: Vec<Process>,
    /// How many attachments belong to processes that may not be seen.
    pub hidden: u64,
    /// Whether there may be others: nothing that may be looked at here tells.
    pub unclear: bool,
    /// Versions of the Qt that they have loaded, where that was looked for.
    pub qt: Vec<String>,
}

impl Users {
    /// Those of a segment of System V.
    pub(super) fn attached(seen: Vec<Process>, attached: Option<u64>) -> Self {
        let count = seen.len() as u64;
        Users {
            seen,
            hidden: attached.unwrap_or(0).saturating_sub(count),
            unclear: attached.is_none(),
            qt: Vec::new(),
        }
    }

    /// Those of POSIX objects of which each was asked whether anybody has it.
    pub(super) fn settle(&mut self, in_use: &[Option<bool>]) {
        if self.seen.is_empty() {
            self.hidden = u64::from(in_use.contains(&Some(true)));
            self.unclear = self.hidden == 0 && in_use.contains(&None);
        }
    }

    /// How many attachments are known; `None`: there may be some.
    pub(super) fn count(&self) -> Option<u64> {
        (!self.unclear).then(|| self.seen.len() as u64 + self.hidden)
    }

    /// Those of both.
    pub(super) fn join(&mut self, others: Users) {
        for one in others.seen {
            if !self.seen.iter().any(|known| known.pid == one.pid) {
                self.seen.push(one);
            }
        }
        for version in others.qt {
            if !self.qt.contains(&version) {
                self.qt.push(version);
            }
        }
    }
}

/// What a segment with its semaphore and key files is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A process is attached.
    Live,
    /// Nobody is attached: what a crash left.
    Leftover,
    /// A semaphore, and no segment.
    SemaphoreAlone,
    /// Key files that lead to nothing.
    FileAlone,
    /// Perhaps nobody uses it; who could is hidden from us.
    Unclear,
}

impl State {
    /// What follows from what was found.
    pub(super) fn of(
        segment: Option<&SegmentFound>,
        semaphore: Option<&SemaphoreFound>,
        users: &Users,
    ) -> Self {
        if !users.seen.is_empty() || users.hidden > 0 {
            State::Live
        } else if users.unclear {
            State::Unclear
        } else if segment.is_some() {
            State::Leftover
        } else if semaphore.is_some() {
            State::SemaphoreAlone
        } else {
            State::FileAlone
        }
    }

    /// The word for programs, which stays as it is.
    pub fn word(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Leftover => "leftover",
            State::SemaphoreAlone => "semaphore-without-segment",
            State::FileAlone => "key-file-without-object",
            State::Unclear => "unclear",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, stopped: bool) -> Process {
        Process {
            pid,
            uid: 1,
            program: "/bin/x".to_owned(),
            stopped,
        }
    }

    /// Who may be named as the holder of a POSIX lock, and who not.
    #[test]
    fn only_who_is_known_to_be_inside_is_named() {
        let stat = FileStat {
            dev: 1,
            ino: 1,
            kind: FileKind::Regular,
            mode: 0o600,
            uid: 1,
            gid: 1,
            links: 1,
            size: 4096,
            born: Some(1),
        };
        let users = Users {
            seen: vec![process(7, false), process(8, false), process(9, true)],
            ..Users::default()
        };
        for (value, inside, last_pid, holder) in [
            (1, Inside::Unnamed, Some(8), None),
            (0, Inside::Alive, Some(8), Some(8)),
            (0, Inside::Alive, Some(5), None),
            (0, Inside::Dead, Some(8), None),
            // Of Qt alone, which leaves no word: at least one who is stopped is worth a look.
            (0, Inside::Unnamed, None, Some(9)),
        ] {
            let seen = Seen {
                in_use: Some(true),
                value: Some(value),
                last_pid,
                inside,
            };
            let found = SemaphoreFound::posix("/x".into(), &stat, None, &seen, &users);
            let named = found.holder.map(|process| process.pid);
            assert_eq!(named, holder, "{value} {inside:?} {last_pid:?}");
        }
    }

    #[test]
    fn a_state_follows_from_the_users() {
        let (segment, semaphore) = (SegmentFound::default(), SemaphoreFound::default());
        let all = [(true, true), (true, false), (false, true), (false, false)];
        let alone = |unclear, hidden, seen| Users {
            seen,
            hidden,
            unclear,
            qt: Vec::new(),
        };
        for (users, states) in [
            (alone(false, 1, vec![]), [State::Live; 4]),
            (alone(true, 0, vec![process(7, false)]), [State::Live; 4]),
            (alone(true, 0, vec![]), [State::Unclear; 4]),
            (
                Users::default(),
                [
                    State::Leftover,
                    State::Leftover,
                    State::SemaphoreAlone,
                    State::FileAlone,
                ],
            ),
        ] {
            for ((one, other), state) in all.into_iter().zip(states) {
                let found = State::of(one.then_some(&segment), other.then_some(&semaphore), &users);
                assert_eq!(found, state, "{users:?} {one} {other}");
            }
        }
    }
}
