//! Which files will do as key files, and what is in the way where one will not.

use std::path::Path;

use crate::actor::Actor;
use crate::kernel::{Errno, FileKind, FileStat, Kernel};
use crate::trouble::{FileFault, Obstacle, Step, Trouble};

/// Whether a file was made to be a key file, as far as that can be seen: a native key may be any
/// file or directory.
pub(super) fn holds_nothing(stat: &FileStat) -> bool {
    stat.kind == FileKind::Regular && stat.size == 0
}

/// What is wrong with a key file that could be opened. A native key may be a directory: it has more
/// than one link by nature, and nobody can replace it by its links.
pub(super) fn unfit<K: Kernel>(actor: &Actor<K>, stat: &FileStat) -> Option<FileFault> {
    match stat.kind {
        FileKind::Directory if actor.one_file => {
            let as_file = FileStat {
                kind: FileKind::Regular,
                links: 1,
                ..*stat
            };
            fault(actor, &as_file)
        }
        _ => fault(actor, stat),
    }
}

/// What is wrong with a file that could be opened: a key file, or that of a POSIX object.
pub(crate) fn fault<K: Kernel>(actor: &Actor<K>, stat: &FileStat) -> Option<FileFault> {
    let trusted = actor.options.access.trusts_file(&actor.identity, stat);
    FileFault::of(stat).or_else(|| (!trusted).then_some(FileFault::Foreign))
}

/// A file that could not be opened: in the way if it is there, else a failure of the system.
/// `None`: it was in the way and is not there any more.
pub(crate) fn refused<K: Kernel>(
    actor: &Actor<K>,
    path: &Path,
    step: Step,
    errno: Errno,
) -> Option<Trouble> {
    let fault = match errno {
        Errno::ELOOP => FileFault::Link,
        Errno::EACCES | Errno::EPERM => FileFault::Unreadable,
        Errno::ENXIO | Errno::ENODEV | Errno::EISDIR => FileFault::NotPlain,
        _ => return Some(Trouble::system(step, errno, path)),
    };
    match actor.kernel.lstat(path) {
        // Our own, made under a umask that took our rights, by a process that was killed then.
        Ok(stat)
            if fault == FileFault::Unreadable
                && stat.kind == FileKind::Regular
                && stat.uid == actor.identity.uid
                && stat.mode & 0o400 == 0
                && actor.kernel.chmod(path, 0o600).is_ok() =>
        {
            None
        }
        Ok(stat) => Some(Trouble::InTheWay(Obstacle::file(path, fault, Some(stat)))),
        Err(Errno::ENOENT) => None,
        Err(_) => Some(Trouble::system(step, errno, path)),
    }
}
