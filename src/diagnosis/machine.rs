//! All of Qt's IPC objects on the machine: a snapshot, and what follows from it.
//!
//! [`Machine::look`] takes the snapshot; everything else here is a function over it.
//!
//! ```
//! use qshm::diagnosis::machine::{Machine, Viewer};
//!
//! let machine = Machine::look(&Viewer::current(), &[]);
//! for entry in machine.entries() {
//!     println!("{}: {:?}", entry.key, entry.state);
//! }
//! ```

mod directories;
mod entry;
mod guess;
mod judge;
mod native;
mod native_files;
mod orphans;
mod pairs;
mod posix;
mod users;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::access::Access;
use crate::identity::{self, Identity};
use crate::kernel::linux::survey;
use crate::kernel::survey::{
    FoundFile, Limits, LockRow, Namespaces, ProcessRow, SegmentRow, SemaphoreRow, Variable,
};
use crate::kernel::{IpcKey, Kernel as _, Linux};
use crate::key;

pub use super::objects::{FileFound, SegmentFound, SemaphoreFound, State, Users};
pub use directories::{Directory, DirectoryKind};
pub use entry::{Backend, Doubt, Entry, QtVersions, Remedy};
pub use guess::KeyGuess;
pub use native::is_malformed;
pub use posix::PosixRow;
pub(crate) use users::process;

/// Who looks: whose rights count for "can I use it".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// For whom programs act that this user starts: the user, or under sudo the one who called.
    pub identity: Identity,
    /// The effective user, whose rights count for removing.
    pub euid: u32,
}

impl Viewer {
    /// The user of this process.
    pub fn current() -> Self {
        Viewer {
            identity: identity::current(Access::Invoker),
            euid: Linux.geteuid(),
        }
    }

    /// How this user calls the command again with the same rights.
    pub fn command(&self) -> &'static str {
        if self.is_root() && self.identity.acting_as_root {
            "sudo qshm"
        } else {
            "qshm"
        }
    }

    /// Whether the process may do anything.
    pub fn is_root(&self) -> bool {
        self.euid == 0
    }
}

/// The snapshot.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Who looked.
    pub viewer: Viewer,
    /// When, in seconds since 1970.
    pub now: i64,
    /// Every System V segment of this IPC namespace.
    pub segments: Vec<SegmentRow>,
    /// Every System V semaphore set of this IPC namespace.
    pub semaphores: Vec<SemaphoreRow>,
    /// Where key files may be.
    pub directories: Vec<Directory>,
    /// The key files, and files of runtime directories that may be some.
    pub files: Vec<FoundFile>,
    /// POSIX segments and semaphores: the files of `/dev/shm`.
    pub posix: Vec<PosixRow>,
    /// Every process but this one.
    pub processes: Vec<ProcessRow>,
    /// The namespaces of this process.
    pub namespaces: Namespaces,
    /// Whether processes of all users could be looked into, and no PID namespace hides some.
    pub sees_everything: bool,
    /// Who holds a lock of a file.
    pub locks: Vec<LockRow>,
    /// The limits of System V IPC.
    pub limits: Limits,
    /// Whether logind removes objects at logout; `None`: there is none.
    pub remove_ipc: Option<bool>,
}

/// The PID namespace that sees every process: `PROC_PID_INIT_INO` of the kernel.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

impl Machine {
    /// Looks around. Changes nothing. Of POSIX objects with names of the application's choice
    /// those of `keys` are looked at closely: see [`entries_of`](Self::entries_of).
    pub fn look(viewer: &Viewer, keys: &[String]) -> Self {
        let named: Vec<String> = keys
            .iter()
            .flat_map(|key| native::posix_names(key))
            .collect();
        let posix = posix::look(&named);
        // Objects first and processes after: who is attached in between is seen too.
        let segments = survey::segments();
        let semaphores = survey::semaphores();
        let processes = survey::processes();
        let namespaces = survey::own_namespaces();
        let directories = directories::find(viewer, &processes, namespaces);
        let mut files = directories::key_files(&directories);
        files.extend(directories::deleted_files(&processes));
        let sees_everything = viewer.is_root()
            && namespaces.pid == Some(FIRST_PID_NAMESPACE)
            && processes.iter().all(ProcessRow::is_open_to_us);
        Machine {
            viewer: *viewer,
            now: Linux.now(),
            posix,
            sees_everything,
            segments,
            semaphores,
            directories,
            files,
            processes,
            namespaces,
            locks: survey::file_locks(),
            limits: survey::limits(),
            remove_ipc: survey::remove_ipc(),
        }
    }

    /// Qt's objects, paired, each with its state: those of System V first, then POSIX, by path.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = pairs::entries(self);
        entries.extend(posix::entries(self, None));
        entries
    }

    /// The entries of one key, as applications give it to `setKey()`, or of a native key (a path,
    /// `systemv:PATH`, `posix:/NAME`).
    pub fn entries_of(&self, key: &str) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self
            .entries()
            .into_iter()
            .filter(|entry| native::is_of_key(entry, key) && native::has_project(entry, key))
            .collect();
        for entry in &mut entries {
            native::name_it(entry, key);
        }
        let mut add = |found: Vec<Entry>| {
            for entry in found {
                let known =
                    entries.iter().any(|known| known.is_same(&entry)) || entry.is_within(&entries);
                if !known && native::has_project(&entry, key) {
                    entries.push(entry);
                }
            }
            entries.iter().any(|entry| entry.state != State::FileAlone)
        };
        add(native_files::of_key(self, key));
        let found = add(posix::entries(self, Some(key)));
        add(orphans::of_key(self, key, found));
        entries
    }

    /// The key files of a key, in every directory.
    pub(crate) fn files_of<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a FoundFile> {
        let rest = guess::rest_of_key(key);
        let given = native::path(key);
        self.files.iter().filter(move |file| {
            let name = file.path.file_name().and_then(|name| name.to_str());
            let parts = name.and_then(guess::parts);
            parts.is_some_and(|(_, of_file)| Some(of_file) == rest.as_deref())
                || Some(&file.path) == given.as_ref()
        })
    }

    /// The files of POSIX objects of a key, in every place.
    pub(crate) fn posix_files_of<'a>(
        &'a self,
        key: &str,
    ) -> impl Iterator<Item = &'a FoundFile> + use<'a> {
        let names = native::posix_names(key);
        let rows = self.posix.iter().map(|row| &row.file);
        rows.filter(move |file| posix::is_of(&file.path, &names))
    }

    /// The directory where programs of this environment look for the key files of a key, and these;
    /// `None`: a POSIX key, which has none.
    pub(crate) fn place_of(key: &str) -> Option<(PathBuf, Vec<PathBuf>)> {
        if native::is_posix(key) {
            return None;
        }
        if let Some(path) = native::path(key) {
            return Some((path.parent()?.to_owned(), vec![path]));
        }
        let directory = Self::temp_directory();
        let rest = guess::rest_of_key(key)?;
        let names = [key::SEGMENT_PREFIX, key::SEMAPHORE_PREFIX];
        let names = names.map(|prefix| directory.join(format!("{prefix}{rest}")));
        Some((directory, names.into()))
    }

    /// The temp directory of this environment; also one that is not there, of which Qt makes an
    /// empty text.
    pub(crate) fn temp_directory() -> PathBuf {
        let directory = key::temp_dir();
        if directory.as_os_str().is_empty() {
            return std::env::var_os("TMPDIR").map_or("/tmp".into(), PathBuf::from);
        }
        directory
    }

    /// Whether this is the `key_t` that some Qt makes of one of the key's files.
    pub(crate) fn is_key_of(&self, key: &str, number: IpcKey) -> bool {
        number != 0
            && self
                .files_of(key)
                .any(|file| pairs::is_key_of_file(file, number))
    }

    /// The key file that a process in another mount namespace has where here is another one, or
    /// none.
    pub(crate) fn own_key_file(&self, row: &ProcessRow, key: &str) -> Option<PathBuf> {
        let temp = match &row.tmpdir {
            Variable::Is(path) => path.clone(),
            Variable::Unset => PathBuf::from("/tmp"),
            Variable::Hidden => return None,
        };
        let path = temp.join(format!(
            "{}{}",
            key::SEGMENT_PREFIX,
            guess::rest_of_key(key)?
        ));
        let theirs = survey::in_root_of(row.pid, &path)?;
        let ours = self.files.iter().any(|file| file.stat.same_file(&theirs));
        (!ours).then_some(path)
    }
}
