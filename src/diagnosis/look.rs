//! A look at the objects of one key in one place.

use std::path::Path;

use crate::actor::Actor;
use crate::kernel::{FileKind, FileStat, IpcId, IpcKey, Kernel};
use crate::key_file::fault;
use crate::named;
use crate::place::Place;
use crate::trouble::FileFault;

use super::objects::{FileFound, SegmentFound, SemaphoreFound, State, Users, is_younger};
use super::{PlaceReport, Subject};

/// Looks at a place. Changes nothing.
pub(super) fn look<K: Kernel>(
    actor: &Actor<K>,
    place: &Place,
    posix: bool,
    subject: Subject,
) -> PlaceReport {
    let mut report = if posix {
        of_posix(actor, place, subject)
    } else {
        of_system_v(actor, place, subject)
    };
    let lock = match subject {
        Subject::Memory => Some(&place.segment),
        Subject::Semaphore => place.semaphore.as_ref(),
    };
    if let Some(stat) = lock.and_then(|path| actor.kernel.lstat(path).ok()) {
        report.entering = actor.kernel.flock_holders(&stat);
    }
    let is_empty =
        report.segment.is_none() && report.semaphore.is_none() && report.files.is_empty();
    report.state = (!is_empty).then(|| {
        State::of(
            report.segment.as_ref(),
            report.semaphore.as_ref(),
            &report.users,
        )
    });
    report
}

fn of_system_v<K: Kernel>(actor: &Actor<K>, place: &Place, subject: Subject) -> PlaceReport {
    let kernel = &actor.kernel;
    let mut report = PlaceReport::default();
    // The key that a key file has; of native keys segment and semaphore may have one file.
    let mut file = |path: &Path| -> Option<(IpcKey, FileStat)> {
        let stat = kernel.lstat(path).ok()?;
        if !report.files.iter().any(|known| known.path == path) {
            report.files.push(file_found(actor, path, &stat));
        }
        Some((actor.ipc_key(path, &stat), stat))
    };
    let segment = (subject == Subject::Memory)
        .then(|| file(&place.segment))
        .flatten();
    let semaphore = place.semaphore_to_clear().and_then(|path| file(&path));
    if let Some((key, file)) = segment {
        if let Ok(id) = kernel.shm_find(key) {
            let stat = kernel.shm_stat(id).ok().or_else(|| kernel.shm_peek(id));
            let found = SegmentFound::system_v(key, id, stat);
            if !is_younger(&file, found.changed) {
                report.users = Users::attached(kernel.attached_processes(id), found.attached);
                report.segment = Some(found);
            }
        }
    }
    if let Some((key, file)) = semaphore {
        let found = kernel
            .sem_find(key)
            .ok()
            .map(|id| semaphore_found(kernel, key, id));
        report.semaphore = found.filter(|found| !is_younger(&file, found.changed));
    }
    // 0 is no taken lock of one that stands alone, but a usual start of one that signals.
    if let (None, Some(semaphore)) = (&report.segment, &mut report.semaphore) {
        semaphore.holder = None;
    }
    report
}

fn semaphore_found<K: Kernel>(kernel: &K, key: IpcKey, id: IpcId) -> SemaphoreFound {
    if let Some(row) = kernel.sem_peek(id) {
        return SemaphoreFound::system_v(&row, |pid| kernel.process(pid));
    }
    SemaphoreFound {
        perm: kernel.sem_stat(id).ok().map(|stat| stat.perm),
        value: kernel.sem_value(id).ok(),
        last_pid: kernel.sem_last_pid(id).ok().filter(|pid| *pid != 0),
        ..SemaphoreFound::unseen(key, id)
    }
}

fn of_posix<K: Kernel>(actor: &Actor<K>, place: &Place, subject: Subject) -> PlaceReport {
    let kernel = &actor.kernel;
    let mut report = PlaceReport::default();
    let mut in_use = Vec::new();
    let memory = (subject == Subject::Memory).then_some(&*place.segment);
    let lock = place.semaphore.as_deref();
    let mut object = |path: Option<&Path>, semaphore: bool| {
        let path = path?;
        let stat = kernel.lstat(path).ok()?;
        if stat.kind != FileKind::Regular || stat.links > 1 {
            report.files.push(file_found(actor, path, &stat));
            return None;
        }
        let seen = named::look_at(kernel, path, semaphore, true);
        in_use.push(seen.in_use);
        report.users.join(Users {
            seen: kernel.processes_of_file(&stat),
            ..Users::default()
        });
        Some((path.to_owned(), stat, seen))
    };
    let segment = object(memory, false);
    let semaphore = object(lock, true);
    report.users.settle(&in_use);
    report.segment = segment.map(|(path, stat, _)| {
        let mut found = SegmentFound::posix(path, &stat, None);
        found.attached = report.users.count();
        found
    });
    report.semaphore = semaphore
        .map(|(path, stat, seen)| SemaphoreFound::posix(path, &stat, None, &seen, &report.users));
    report
}

/// A key file, or what stands in the place of an object's file.
fn file_found<K: Kernel>(actor: &Actor<K>, path: &Path, stat: &FileStat) -> FileFound {
    let unreadable = || (!actor.may_open(stat)).then_some(FileFault::Unreadable);
    FileFound {
        fault: fault(actor, stat).or_else(unreadable),
        ..FileFound::of(path, stat)
    }
}
