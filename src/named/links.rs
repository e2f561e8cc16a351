//! A semaphore's file that has two names.
//!
//! sem_open(3) makes a semaphore under a name of its own, `sem.` and six characters, links it to the
//! one that was asked for, and unlinks the first. A process of real Qt that is killed between the
//! two leaves both.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use crate::actor::Actor;
use crate::kernel::{FileStat, Kernel};

use super::file::File;

/// How often, and how long each time, the maker is waited for where its name can't be removed.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(1);

/// How many names a semaphore's file has, without that of its making.
pub(super) fn settled<K: Kernel>(actor: &Actor<K>, file: &File<K>) -> u64 {
    let kernel = &actor.kernel;
    let now = || {
        kernel
            .fstat(file.fd)
            .map_or(file.stat.links, |now| now.links)
    };
    let trusted = FileStat {
        links: 1,
        ..file.stat
    };
    if !actor.options.access.trusts_file(&actor.identity, &trusted) {
        return now();
    }
    let directory = file.path.parent().unwrap_or(Path::new("/"));
    for path in kernel.files_in(directory) {
        let is_it = || {
            let there = kernel.lstat(&path);
            there.is_ok_and(|there| there.same_file(&file.stat))
        };
        // Whoever is just making it does not care who removes that name.
        if path != file.path && is_of_a_making(path.file_name()) && is_it() {
            let _ = kernel.unlink(&path);
        }
    }
    for _ in 0..ATTEMPTS {
        if now() == 1 {
            break;
        }
        kernel.pause(PAUSE);
    }
    now()
}

/// Whether sem_open(3) gives such names.
fn is_of_a_making(name: Option<&OsStr>) -> bool {
    let Some(name) = name.map(OsStr::as_encoded_bytes) else {
        return false;
    };
    let rest = name.strip_prefix(b"sem.");
    rest.is_some_and(|rest| rest.len() == 6 && rest.iter().all(u8::is_ascii_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_making_are_told_from_keys() {
        let is = |name: &str| is_of_a_making(Some(OsStr::new(name)));
        assert!(is("sem.AnIbgB") && is("sem.000000"));
        assert!(!is("sem.Logic") && !is("sem.Logic12") && !is("AnIbgB") && !is("sem./tmpfi"));
        assert!(!is_of_a_making(None));
    }
}
