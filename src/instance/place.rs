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

/// How the directory in `/tmp` begins; the user's number follows.
const FALLBACK: &str = "/tmp/qshm-instances-";

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
    /// The last place of all, if this is a better one: whoever counts here has locks there too.
    pub last: Option<PathBuf>,
    /// Of the last place: what there is instead of the first one, in a number that is another one
    /// as soon as that changes, even if it is changed back. `None`: that may not be looked at.
    pub instead: Option<u64>,
}

/// Whether others who count together may find another place.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// The place in which those count who don't have this one: the environment of others may name
    /// none, and a runtime directory comes and goes.
    pub fn last(&self) -> Option<Place> {
        Some(Place {
            directory: self.last.clone()?,
            prefix: self.prefix,
            choice: Choice::Last,
            last: None,
            instead: None,
        })
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
pub fn candidates(uid: u32, surroundings: &Surroundings) -> Vec<PathBuf> {
    let first = Path::new(RUNTIME).join(uid.to_string());
    let named = surroundings.runtime_directory.as_ref();
    let named = named.filter(|path| path.is_absolute() && **path != first);
    let mut all: Vec<PathBuf> = [Some(&first), named]
        .into_iter()
        .flatten()
        .map(|parent| parent.join(INSIDE))
        .collect();
    all.push(PathBuf::from(format!("{FALLBACK}{uid}")));
    all
}

/// All directories in which the registry may be, for others or at other times.
pub fn all(numbering: &Numbering, surroundings: &Surroundings) -> Vec<PathBuf> {
    match numbering.uid() {
        Some(uid) => candidates(uid, surroundings),
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
    let all = candidates(uid, surroundings);
    let last = all.len() - 1;
    for (index, directory) in all.iter().enumerate() {
        let place = || Place {
            directory: directory.clone(),
            prefix: "",
            choice: match index {
                0 => Choice::First,
                _ if index == last => Choice::Last,
                _ => Choice::Named,
            },
            last: all.last().filter(|_| index != last).cloned(),
            instead: all
                .first()
                .filter(|_| index == last)
                .and_then(|first| instead(kernel, first)),
        };
        match kernel.lstat(directory) {
            Ok(stat)
                if is_private(&stat, uid)
                // The way to the first one is root's. Nobody may exchange the others either.
                && (index == 0 || index == last || is_named_well(kernel, directory, uid)) =>
            {
                return Ok(place());
            }
            // Everybody of this user sees the same, so all of them go on to the next.
            Ok(stat) if index == last => {
                return Err(Stop::because(not_private(directory, &stat, uid)));
            }
            Err(Errno::ENOENT) => {
                let may_be = match index {
                    0 => parent_is_private(kernel, directory, uid),
                    _ => index == last || is_named_well(kernel, directory, uid),
                };
                if !may_be {
                    continue;
                }
                if !make {
                    if index == last {
                        return Ok(place());
                    }
                    continue;
                }
                match kernel.mkdir(directory, 0o700) {
                    Ok(()) => {
                        // A umask may have taken the owner's own rights.
                        let _ = kernel.chmod(directory, 0o700);
                        return Err(Stop::Again);
                    }
                    Err(Errno::EEXIST) => return Err(Stop::Again),
                    Err(errno) if index == last => {
                        return Err(Stop::failed("making", directory, errno));
                    }
                    // Read-only, full or not ours after all.
                    Err(_) => {}
                }
            }
            Err(errno) if index == last => {
                return Err(Stop::failed("looking at", directory, errno));
            }
            _ => {}
        }
    }
    Err(Stop::Again)
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
            last: None,
            instead: None,
        });
    }
    Err(Stop::because(format!(
        "{SHARED} is not a directory of root's that all users may write to"
    )))
}
