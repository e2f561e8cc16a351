//! The directory of a registry: the user's runtime directory where there is one, else a private
//! one that is verified.

use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

use super::scope::{Numbering, Surroundings};
use super::stop::Stop;
use crate::kernel::{Errno, FileKind, FileStat, RangeLocks};

/// Where systemd and elogind make each user's runtime directory.
const RUNTIME: &str = "/run/user";

/// How the directory is called inside a runtime directory.
const INSIDE: &str = "qshm";

/// How the last directory begins; the user's number follows. The second one is for systems where `/tmp`
/// keeps no locks.
const FALLBACKS: [&str; 2] = ["/tmp/qshm-instances-", "/dev/shm/qshm-instances-"];

/// Where the files of [`super::Scope::Machine`] are: everybody can write to it. There is no second
/// one, so that nobody finds another.
pub const SHARED: &str = "/dev/shm";

/// How their names begin: they lie among others.
pub const SHARED_PREFIX: &str = "qshm-instances.";

/// Where the files of a registry are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub directory: PathBuf,
    pub prefix: &'static str,
    /// What else there is to be thought of.
    pub choice: Choice,
    /// Whether there is a last place as well: whoever counts here has locks there too.
    pub has_last: bool,
    /// Of the last place: what there is instead of the first one, in a number that is another one
    /// as soon as that changes, even if it is changed back. `None`: that may not be looked at.
    pub instead: Option<u64>,
}

/// Whether others who count together may find another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Everybody finds this one.
    First,
    /// Named by the environment, in which others may differ: they find the last one.
    Named,
    /// Found by all who have no other. A better one may come to be there.
    Last,
}

impl Place {
    /// Whether a registry in it may be taken for the only one, once that has been seen to be so.
    pub fn settles(&self) -> bool {
        match self.choice {
            Choice::First => true,
            Choice::Named => false,
            Choice::Last => self.instead.is_some(),
        }
    }

    /// The last place, seen from a better one: those count there who don't have that. The environment
    /// of others may name none, and a runtime directory comes and goes.
    pub fn last(directory: PathBuf) -> Self {
        Place {
            directory,
            prefix: "",
            choice: Choice::Last,
            has_last: false,
            instead: None,
        }
    }

    /// The path of a file.
    pub fn file(&self, name: &str) -> PathBuf {
        if self.prefix.is_empty() {
            self.directory.join(name)
        } else {
            self.directory.join(format!("{}{name}", self.prefix))
        }
    }
}

/// Finds the place, and makes its directory if `make`.
pub fn find<K: RangeLocks>(
    kernel: &K,
    numbering: &Numbering,
    surroundings: &Surroundings,
    make: bool,
) -> Result<Place, Stop> {
    match numbering {
        Numbering::User(uid) | Numbering::Session { uid, .. } => {
            private(kernel, *uid, surroundings, make)
        }
        Numbering::Machine(_) => shared(kernel),
    }
}

/// The private directories of a user, the best first.
pub fn candidates(uid: u32, surroundings: &Surroundings) -> Vec<(Choice, PathBuf)> {
    let first = first(uid);
    let named = surroundings.runtime_directory.as_ref();
    let named = named.map(|parent| parent.join(INSIDE));
    let named = named.filter(|path| path.is_absolute() && *path != first);
    let mut all = vec![(Choice::First, first)];
    all.extend(named.map(|path| (Choice::Named, path)));
    all.extend(lasts(uid).map(|path| (Choice::Last, path)));
    all
}

/// The directory in the user's runtime directory.
pub fn first(uid: u32) -> PathBuf {
    Path::new(RUNTIME).join(uid.to_string()).join(INSIDE)
}

/// The last directories: the first of them in which locks are kept.
pub fn lasts(uid: u32) -> impl Iterator<Item = PathBuf> {
    FALLBACKS
        .iter()
        .map(move |before| PathBuf::from(format!("{before}{uid}")))
}

/// All directories in which the registry may be, for others or at other times.
pub fn all(numbering: &Numbering, surroundings: &Surroundings) -> Vec<PathBuf> {
    match numbering.uid() {
        Some(uid) => candidates(uid, surroundings)
            .into_iter()
            .map(|(_, path)| path)
            .collect(),
        None => vec![PathBuf::from(SHARED)],
    }
}

/// What there is in place of the best one: the first directory on the way to it that exists, and when
/// that was last changed.
fn instead<K: RangeLocks>(kernel: &K, best: &Path) -> Option<u64> {
    for (depth, directory) in best.ancestors().enumerate() {
        match kernel.version(directory) {
            Ok(version) => {
                let mut hash = Sha1::new();
                for number in [depth as u64].into_iter().chain(version) {
                    hash.update(number.to_le_bytes());
                }
                let bytes = hash.finalize();
                let bytes = bytes.iter().take(8);
                let hash = bytes.fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte));
                // Zero stands for nothing.
                return Some(hash.max(1));
            }
            Err(Errno::ENOENT) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Whether a directory is this user's.
pub fn is_own(stat: &FileStat, uid: u32) -> bool {
    stat.kind == FileKind::Directory && stat.uid == uid
}

/// Whether a directory is this user's alone.
pub fn is_private(stat: &FileStat, uid: u32) -> bool {
    is_own(stat, uid) && stat.mode.trailing_zeros() >= 6
}

fn private<K: RangeLocks>(
    kernel: &K,
    uid: u32,
    surroundings: &Surroundings,
    make: bool,
) -> Result<Place, Stop> {
    let mut keeps_none = None;
    for (choice, directory) in candidates(uid, surroundings) {
        let place = |directory| Place {
            directory,
            prefix: "",
            choice,
            has_last: choice != Choice::Last,
            instead: match choice {
                Choice::Last => instead(kernel, &first(uid)),
                Choice::First | Choice::Named => None,
            },
        };
        // The way to the first one is root's. Nobody may exchange the one that is named either.
        let is_well = || choice != Choice::Named || is_named_well(kernel, &directory, uid);
        match kernel.lstat(&directory) {
            Ok(stat) if is_private(&stat, uid) && is_well() => {
                if kernel.keeps_locks(&directory, &stat) {
                    return Ok(place(directory));
                }
                keeps_none = Some(directory);
            }
            // Everybody of this user sees the same, so all of them go on to the next.
            Ok(stat) if choice == Choice::Last => {
                return Err(Stop::because(not_private(&directory, &stat, uid)));
            }
            Err(Errno::ENOENT) => {
                let may_be = match choice {
                    Choice::First => parent_is_private(kernel, &directory, uid),
                    Choice::Named => is_well(),
                    Choice::Last => true,
                };
                if !may_be {
                    continue;
                }
                if !make {
                    if choice == Choice::Last {
                        return Ok(place(directory));
                    }
                    continue;
                }
                match make_directory(kernel, &directory) {
                    Ok(()) | Err(Errno::EEXIST) => return Err(Stop::Again),
                    Err(errno) if choice == Choice::Last => {
                        return Err(Stop::failed("making", &directory, errno));
                    }
                    // Read-only, full or not ours after all.
                    Err(_) => {}
                }
            }
            Err(errno) if choice == Choice::Last => {
                return Err(Stop::failed("looking at", &directory, errno));
            }
            _ => {}
        }
    }
    Err(match keeps_none {
        Some(directory) => Stop::because(format!(
            "the file system of {} does not keep locks",
            directory.display()
        )),
        None => Stop::Again,
    })
}

/// Makes a directory that is its user's alone.
pub fn make_directory<K: RangeLocks>(kernel: &K, directory: &Path) -> Result<(), Errno> {
    kernel.mkdir(directory, 0o700)?;
    // A umask may have taken the owner's own rights.
    let _ = kernel.chmod(directory, 0o700);
    Ok(())
}

fn parent_is_private<K: RangeLocks>(kernel: &K, directory: &Path, uid: u32) -> bool {
    let stat = directory.parent().map(|parent| kernel.lstat(parent));
    matches!(stat, Some(Ok(stat)) if is_private(&stat, uid))
}

/// Whether a directory that the environment names can be used: nobody else may exchange it, and
/// no link is on the way, which files are not opened through.
fn is_named_well<K: RangeLocks>(kernel: &K, directory: &Path, uid: u32) -> bool {
    let is_plain = |path: &Path| {
        let stat = kernel.lstat(path);
        stat.is_ok_and(|stat| stat.kind == FileKind::Directory)
    };
    parent_is_private(kernel, directory, uid) && directory.ancestors().skip(2).all(is_plain)
}

fn not_private(directory: &Path, stat: &FileStat, uid: u32) -> String {
    let directory = directory.display();
    if stat.kind != FileKind::Directory {
        format!("{directory} is not a directory")
    } else if stat.uid != uid {
        format!("{directory} belongs to uid {}", stat.uid)
    } else {
        format!("{directory} is open to others (mode {:o})", stat.mode)
    }
}

fn shared<K: RangeLocks>(kernel: &K) -> Result<Place, Stop> {
    let directory = Path::new(SHARED);
    let stat = kernel.lstat(directory);
    let stat = stat.map_err(|errno| Stop::failed("looking at", directory, errno))?;
    // Sticky: nobody else removes or renames what is ours.
    if stat.kind == FileKind::Directory && stat.uid == 0 && stat.mode & 0o1777 == 0o1777 {
        return Ok(Place {
            directory: directory.to_owned(),
            prefix: SHARED_PREFIX,
            choice: Choice::First,
            has_last: false,
            instead: None,
        });
    }
    Err(Stop::because(format!(
        "{SHARED} is not a directory of root's that all users may write to"
    )))
}
