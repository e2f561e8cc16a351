//! What is said of a segment and its semaphore together: an [`Entry`].

use std::fmt;
use std::path::PathBuf;

use super::directories::DirectoryKind;
use super::guess::KeyGuess;
use crate::diagnosis::objects::{FileFound, SegmentFound, SemaphoreFound, State, Users};
use crate::kernel::{IpcId, IpcPerm};

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
        let of = |perm: Option<IpcPerm>| perm.map(|perm| (perm.uid, perm.mode));
        self.segment
            .as_ref()
            .and_then(|segment| of(segment.perm))
            .or_else(|| self.semaphore.as_ref().and_then(|found| of(found.perm)))
            .or_else(|| self.files.first().map(|file| (file.uid, file.mode)))
    }

    /// When it was made, in seconds since 1970.
    pub fn since(&self) -> Option<i64> {
        self.segment
            .as_ref()
            .and_then(|segment| segment.changed)
            .or_else(|| self.semaphore.as_ref().and_then(|found| found.changed))
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
