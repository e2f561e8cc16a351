//! What is said of a segment and its semaphore together: an [`Entry`].

use std::fmt;
use std::path::PathBuf;

use super::directories::DirectoryKind;
use super::guess::KeyGuess;
use crate::kernel::{FileKind, IpcId, IpcKey, IpcPerm, Process};
use crate::trouble::FileFault;

/// Which kind of objects an entry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// System V.
    SystemV,
    /// POSIX realtime, of Qt 6.6 and later.
    Posix,
}

/// Which versions of Qt make objects of this native key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QtVersions {
    /// 4.4 to 4.8, and 5.9 and later: project id `Q`.
    Constant,
    /// 5.0 to 5.8: a hash as project id.
    Hashed,
    /// 6.6 and later, by a `QNativeIpcKey` of System V with this project id.
    Native(u8),
    /// 6.6 and later, POSIX.
    Posix,
}

impl fmt::Display for QtVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QtVersions::Constant => "4, 5.9+",
            QtVersions::Hashed => "5.0-5.8",
            QtVersions::Native(_) | QtVersions::Posix => "6.6+",
        })
    }
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFound {
    /// Its `key_t`; `None`: a POSIX one.
    pub key: Option<IpcKey>,
    /// Its id; `None`: a POSIX one.
    pub id: Option<IpcId>,
    /// The file of a POSIX one.
    pub file: Option<PathBuf>,
    /// Owner and mode.
    pub perm: IpcPerm,
    /// In bytes.
    pub size: u64,
    /// Attachments; of a POSIX one, the processes that were seen to have it.
    pub attached: u64,
    /// Who attached or detached last; `None`: not known.
    pub last_pid: Option<i32>,
    /// When it was made or given to somebody, in seconds since 1970.
    pub changed: i64,
    /// Removed already, and kept by the kernel until its last process detaches.
    pub removed: bool,
}

/// A semaphore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SemaphoreFound {
    /// Its `key_t`; `None`: a POSIX one.
    pub key: Option<IpcKey>,
    /// Its id; `None`: a POSIX one.
    pub id: Option<IpcId>,
    /// The file of a POSIX one.
    pub file: Option<PathBuf>,
    /// Owner and mode.
    pub perm: IpcPerm,
    /// Its value, where it may be read: 1 is a free lock.
    pub value: Option<i32>,
    /// Who changed it last, where that may be read and the process can be seen.
    pub last_pid: Option<i32>,
    /// How many wait, where that may be read.
    pub waiting: Option<i32>,
    /// When it was made, in seconds since 1970.
    pub changed: i64,
    /// The living process that is inside the lock, where that may be known.
    pub holder: Option<Holder>,
}

/// Who is between `lock()` and `unlock()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub process: Process,
    /// Whether it is stopped, so that it gives nothing back until it goes on.
    pub stopped: bool,
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
    /// When it was made, or changed last, in seconds since 1970.
    pub born: i64,
    /// Unlinked already; processes still have it open.
    pub deleted: bool,
    /// A symbolic link whose end can't be reached: the one thing that Qt makes no key of.
    pub leads_nowhere: bool,
    /// What is wrong with it, if it can't serve as a key file.
    pub(crate) fault: Option<FileFault>,
}

/// What an entry is.
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

/// Why something that looks like a leftover may be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A process is inside its lock.
    Held,
    /// Its key file is gone: only the first byte of its key says that it is Qt's.
    NoKeyFile,
    /// What stands where its key file should be is none of Qt's.
    StrangeFile,
    /// A semaphore does not show who has it open.
    MayBeOpen,
    /// Processes of other users, or of other PID namespaces, can't be seen from here.
    Hidden,
    /// Just made: somebody may be about to use it.
    Young,
    /// `QSHM_LEFTOVER=keep` is set.
    Keep,
    /// A program in another IPC namespace may have objects of the same key file.
    Elsewhere,
}

/// What there is to do about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: it is in use.
    InUse,
    /// Remove it: a leftover beyond doubt, and ours to remove.
    Remove,
    /// Remove it, but only who owns it or root may.
    NeedsRoot,
    /// Remove it if somebody asks for it by its key.
    IfNamed,
    /// Leave it.
    InDoubt(Doubt),
}

/// The processes that have an entry's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Those that were seen, and whether each is stopped.
    pub seen: Vec<(Process, bool)>,
    /// How many attachments belong to processes that may not be seen.
    pub hidden: u64,
    /// Versions of the Qt that they have loaded.
    pub qt: Vec<String>,
}

/// A segment and its semaphore, or what there is of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// System V or POSIX.
    pub backend: Backend,
    /// The key, as far as it can be known.
    pub key: KeyGuess,
    /// The native key, as `QSharedMemory::nativeKey()` has it: the segment's key file, or the
    /// name of a POSIX one. `None`: not known.
    pub native_key: Option<String>,
    /// Where its key files are; `None`: a POSIX one, or they are gone.
    pub directory: Option<(PathBuf, DirectoryKind)>,
    /// Versions of Qt that make it. `None`: there are only key files.
    pub qt: Option<QtVersions>,
    /// The segment.
    pub segment: Option<SegmentFound>,
    /// The semaphore.
    pub semaphore: Option<SemaphoreFound>,
    /// The key files.
    pub files: Vec<FileFound>,
    /// Who uses it.
    pub users: Users,
    /// What it is.
    pub state: State,
    /// Whether it keeps the viewer from using its key.
    pub in_the_way: bool,
    /// What there is to do.
    pub remedy: Remedy,
}

impl Entry {
    /// What to call it: its key, or an object where that is not known.
    pub fn name(&self) -> String {
        let segment = self.segment.as_ref().and_then(|segment| segment.key);
        let semaphore = self.semaphore.as_ref().and_then(|semaphore| semaphore.key);
        match (&self.key, segment, semaphore) {
            (KeyGuess::Unknown, Some(key), _) => format!("segment {key:#010x}"),
            (KeyGuess::Unknown, None, Some(key)) => format!("semaphore {key:#010x}"),
            (key, _, _) => key.to_string(),
        }
    }

    /// Whether there is something to clear up, or to say why not, for somebody who names no key.
    pub fn wants_repair(&self) -> bool {
        !matches!(self.remedy, Remedy::InUse)
            && (self.state != State::SemaphoreAlone || self.in_the_way)
    }

    /// Whether its key file is not to be seen, so that it only may be Qt's, and in the way.
    pub fn is_guess(&self) -> bool {
        self.backend == Backend::SystemV && self.files.is_empty()
    }

    /// Owner and mode of the segment, else of the semaphore, else of the key file.
    pub fn owner(&self) -> Option<(u32, u32)> {
        let of = |perm: &IpcPerm| (perm.uid, perm.mode);
        self.segment
            .as_ref()
            .map(|segment| of(&segment.perm))
            .or_else(|| self.semaphore.as_ref().map(|semaphore| of(&semaphore.perm)))
            .or_else(|| self.files.first().map(|file| (file.uid, file.mode)))
    }

    /// When it was made, in seconds since 1970.
    pub fn since(&self) -> Option<i64> {
        self.segment
            .as_ref()
            .map(|segment| segment.changed)
            .or_else(|| self.semaphore.as_ref().map(|semaphore| semaphore.changed))
            .or_else(|| self.files.iter().map(|file| file.born).min())
    }

    /// The versions of Qt, for a sentence.
    pub(crate) fn qt_sentence(&self) -> String {
        match self.qt {
            Some(QtVersions::Constant) if self.qt_words() == "4, 5.9+" => {
                "4 or 5.9 and later".to_owned()
            }
            Some(QtVersions::Hashed) if self.users.qt.is_empty() => "5.0 to 5.8".to_owned(),
            Some(QtVersions::Native(_) | QtVersions::Posix) if self.users.qt.is_empty() => {
                "6.6 or later".to_owned()
            }
            _ => self.qt_words(),
        }
    }

    /// The versions of Qt in words: of those that use it, where they may be seen.
    pub fn qt_words(&self) -> String {
        if !self.users.qt.is_empty() {
            return self.users.qt.join(", ");
        }
        match (self.qt, self.owner()) {
            // Later ones give nobody else any right, CVE-2013-0254.
            (Some(QtVersions::Constant), Some((_, 0o666))) => "4".to_owned(),
            (Some(versions), _) => versions.to_string(),
            (None, _) => String::new(),
        }
    }

    /// Whether it has System V objects, and each is one of these entries'.
    pub(super) fn is_within(&self, entries: &[Entry]) -> bool {
        let segment = |entry: &Entry| entry.segment.as_ref().and_then(|segment| segment.id);
        let semaphore = |entry: &Entry| entry.semaphore.as_ref().and_then(|found| found.id);
        let (one, other) = (segment(self), semaphore(self));
        let known = |id: Option<IpcId>, of: &dyn Fn(&Entry) -> Option<IpcId>| {
            id.is_none() || entries.iter().any(|entry| of(entry) == id)
        };
        (one.is_some() || other.is_some()) && known(one, &segment) && known(other, &semaphore)
    }

    /// Whether both are of the same objects.
    pub(super) fn is_same(&self, other: &Entry) -> bool {
        let ids = |entry: &Entry| {
            let segment = entry.segment.as_ref().map(|s| (s.id, s.file.clone()));
            let semaphore = entry.semaphore.as_ref().map(|s| (s.id, s.file.clone()));
            (entry.backend, segment, semaphore)
        };
        let nothing = |entry: &Entry| entry.segment.is_none() && entry.semaphore.is_none();
        if nothing(self) || nothing(other) {
            return self.native_key == other.native_key && nothing(self) == nothing(other);
        }
        ids(self) == ids(other)
    }
}
