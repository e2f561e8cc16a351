//! What an entry is, whether it is in the viewer's way, and what there is to do about it.

use super::directories::DirectoryKind;
use super::entry::{Doubt, Entry, Remedy};
use super::{Machine, Viewer};
use crate::access::{grants, may_remove};
use crate::diagnosis::objects::{FileFound, SemaphoreFound, State};
use crate::identity::Identity;
use crate::kernel::{IpcPerm, Kernel as _, Linux};
use crate::key;
use crate::options::{self, Leftover, OptionsUpdate};

/// Key files without an object that are younger than this may be in use in the next moment, in
/// seconds.
const YOUNG: i64 = 60;

impl Viewer {
    /// Whether programs that the viewer starts may use an object.
    pub(crate) fn may_use(&self, perm: Option<&IpcPerm>) -> bool {
        let Identity { uid, gid, .. } = self.identity;
        uid == 0 || perm.is_some_and(|perm| grants(perm, uid, gid, 0o6))
    }

    /// Whether this process may remove an object.
    pub(super) fn may_remove(&self, perm: Option<&IpcPerm>) -> bool {
        self.is_root() || perm.is_some_and(|perm| may_remove(perm, self.euid))
    }

    /// Whether programs that the viewer starts may open a key file.
    pub(crate) fn may_open(&self, file: &FileFound) -> bool {
        let perm = IpcPerm {
            uid: file.uid,
            gid: file.gid,
            cuid: file.uid,
            cgid: file.gid,
            mode: file.mode & 0o777,
        };
        let Viewer { identity, .. } = self;
        identity.uid == 0 || grants(&perm, identity.uid, identity.gid, 0o4)
    }
}

/// Judges a System V entry whose objects, files and users are known.
pub(super) fn judge(machine: &Machine, entry: &mut Entry) {
    let (segment, semaphore) = (entry.segment.as_ref(), entry.semaphore.as_ref());
    entry.state = State::of(segment, semaphore, &entry.users);
    if entry.state == State::SemaphoreAlone {
        // 0 is no taken lock there, but a usual start of one that signals.
        if let Some(semaphore) = &mut entry.semaphore {
            semaphore.holder = None;
        }
    }
    entry.in_the_way = in_the_way(machine, entry);
    entry.remedy = remedy(machine, entry);
}

/// Whether the viewer's programs can't use the key because of it.
pub(super) fn in_the_way(machine: &Machine, entry: &Entry) -> bool {
    let viewer = &machine.viewer;
    let barred = |perm: Option<&IpcPerm>| !viewer.may_use(perm);
    let objects = entry
        .segment
        .as_ref()
        .is_some_and(|segment| barred(segment.perm.as_ref()))
        || entry
            .semaphore
            .as_ref()
            .is_some_and(|semaphore| barred(semaphore.perm.as_ref()));
    match &entry.directory {
        // A System V one without a key file nobody finds, until one gets the number of the old
        // file: ext4 gives it to the next one.
        None => objects,
        Some((directory, DirectoryKind::Temp)) => {
            let theirs = *directory == key::temp_dir() || directory.as_os_str() == "/tmp";
            let deleted = entry.files.iter().any(|file| file.deleted);
            let alone = entry.state == State::FileAlone;
            // Of any other file Qt makes a key, whatever it is and whosever.
            let bad = |file: &FileFound| file.leads_nowhere;
            theirs && !deleted && (objects || alone && entry.files.iter().any(bad))
        }
        Some(_) => false,
    }
}

fn remedy(machine: &Machine, entry: &Entry) -> Remedy {
    let viewer = &machine.viewer;
    if entry
        .segment
        .as_ref()
        .is_some_and(|segment| segment.attached != Some(0))
    {
        return Remedy::InUse;
    }
    if entry
        .semaphore
        .as_ref()
        .is_some_and(|semaphore| semaphore.holder.is_some())
    {
        return Remedy::InDoubt(Doubt::Held);
    }
    if entry.files.iter().any(|file| file.fault.is_some()) {
        return Remedy::InDoubt(Doubt::StrangeFile);
    }
    if entry.files.is_empty() {
        return Remedy::InDoubt(Doubt::NoKeyFile);
    }
    let deleted = entry.files.iter().any(|file| file.deleted);
    let objects = [
        entry.segment.as_ref().map(|segment| segment.perm.as_ref()),
        entry
            .semaphore
            .as_ref()
            .map(|semaphore| semaphore.perm.as_ref()),
    ];
    let permitted = objects
        .into_iter()
        .flatten()
        .all(|perm| viewer.may_remove(perm))
        && entry
            .files
            .iter()
            .all(|file| viewer.is_root() || file.uid == viewer.euid);
    match entry.state {
        State::Live | State::Unclear => Remedy::InUse,
        // Somebody has it open.
        _ if deleted => Remedy::InDoubt(Doubt::MayBeOpen),
        State::Leftover if keeps() => Remedy::InDoubt(Doubt::Keep),
        State::SemaphoreAlone => match &entry.semaphore {
            Some(semaphore) => of_semaphore_alone(machine, semaphore),
            None => Remedy::InUse,
        },
        State::FileAlone if is_young(machine, entry) => Remedy::InDoubt(Doubt::Young),
        State::FileAlone if machine.may_be_used_elsewhere() => Remedy::InDoubt(Doubt::Elsewhere),
        State::Leftover | State::FileAlone if permitted => Remedy::Remove,
        State::Leftover | State::FileAlone => Remedy::NeedsRoot,
    }
}

/// Whether a segment that nobody is attached to is to be kept here.
pub(super) fn keeps() -> bool {
    options::in_force(OptionsUpdate::default()).leftover == Leftover::Keep
}

fn is_young(machine: &Machine, entry: &Entry) -> bool {
    entry
        .files
        .iter()
        .any(|file| file.born.saturating_add(YOUNG) > machine.now)
}

/// A semaphore does not show who has it open. It is nobody's if it is free, nobody waits, its
/// last user is dead, and no process that may use it has a Qt.
fn of_semaphore_alone(machine: &Machine, semaphore: &SemaphoreFound) -> Remedy {
    let viewer = &machine.viewer;
    let idle = semaphore.value == Some(1)
        && semaphore.waiting == Some(0)
        && semaphore.last_pid.is_none_or(|pid| !Linux.is_alive(pid));
    let perm = semaphore.perm.as_ref();
    let may_use = |uid: u32| uid == 0 || perm.is_none_or(|perm| grants(perm, uid, perm.gid, 0o6));
    let mut others = machine.processes.iter().filter(|process| {
        machine.shares_objects(process)
            && may_use(process.uid)
            && process
                .mappings
                .as_ref()
                .is_none_or(|maps| !maps.qt.is_empty())
    });
    if semaphore.value.is_none() || !viewer.may_remove(perm) {
        Remedy::NeedsRoot
    } else if !idle || others.next().is_some() {
        Remedy::InDoubt(Doubt::MayBeOpen)
    } else {
        Remedy::IfNamed
    }
}
