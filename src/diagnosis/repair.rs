//! Removing what is a leftover beyond doubt, under the locks that programs take, and nothing
//! else.
//!
//! What an [`Entry`] says is looked at again under the lock before anything is removed, so that
//! a program that starts at the same moment loses nothing.

mod posix;
mod system_v;

use super::machine::{Backend, Doubt, Entry, Machine, Remedy};
use super::objects::{SegmentFound, SemaphoreFound};
use crate::kernel::{Kernel as _, Linux};

/// What came of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What was removed, or would be: `segment 0x5100c064 (shmid 0)`.
    pub removed: Vec<String>,
    /// Why there is more, or nothing was removed.
    pub left: Option<Left>,
}

/// Why something stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is in use.
    InUse,
    /// Only root, or its owner, may remove it.
    NeedsRoot,
    /// It is removed if it is named.
    IfNamed,
    /// It may be in use.
    InDoubt(Doubt),
    /// Somebody else removed it, or made it anew, meanwhile.
    Changed,
    /// The kernel refused, with this errno.
    Failed(i32),
}

impl Repair {
    fn left(left: Left) -> Self {
        Repair {
            removed: Vec::new(),
            left: Some(left),
        }
    }
}

/// What [`repair`] would do, from the snapshot alone. `named`: somebody asked for this very key.
pub fn plan(entry: &Entry, named: bool) -> Repair {
    match &entry.remedy {
        Remedy::Remove => Repair {
            removed: objects(entry),
            left: None,
        },
        Remedy::IfNamed if named => Repair {
            removed: objects(entry),
            left: None,
        },
        Remedy::IfNamed => Repair::left(Left::IfNamed),
        Remedy::InUse => Repair::left(Left::InUse),
        Remedy::NeedsRoot => Repair::left(Left::NeedsRoot),
        Remedy::InDoubt(doubt) => Repair::left(Left::InDoubt(doubt.clone())),
    }
}

/// Removes an entry's objects and key files if they are a leftover beyond doubt.
///
/// Takes the lifecycle lock, for at most some seconds, and Qt's own lock only if it is free.
pub fn repair(machine: &Machine, entry: &Entry, named: bool) -> Repair {
    let plan = plan(entry, named);
    if plan.left.is_some() {
        return plan;
    }
    let clear = || match entry.backend {
        Backend::SystemV => system_v::clear(machine, entry),
        Backend::Posix => posix::clear(entry),
    };
    match owner(entry).filter(|_| machine.viewer.is_root()) {
        // With no more rights than it takes: the files are in places of that user's choice.
        Some((uid, gid)) => Linux
            .as_user(uid, gid, clear)
            .unwrap_or_else(|errno| Repair::left(Left::Failed(errno as i32))),
        None => clear(),
    }
}

/// The user, other than root, to whom all of an entry belongs.
fn owner(entry: &Entry) -> Option<(u32, u32)> {
    let segment = entry
        .segment
        .iter()
        .map(|segment| segment.perm.map(|perm| (perm.uid, perm.gid)));
    let semaphore = entry
        .semaphore
        .iter()
        .map(|semaphore| semaphore.perm.map(|perm| (perm.uid, perm.gid)));
    let files = entry.files.iter().map(|file| Some((file.uid, file.gid)));
    let mut owners = segment.chain(semaphore).chain(files);
    let first = owners.next()??;
    let same = |owner: Option<(u32, u32)>| owner.is_some_and(|(uid, _)| uid == first.0);
    (first.0 != 0 && owners.all(same)).then_some(first)
}

/// The objects of an entry, and its key files.
fn objects(entry: &Entry) -> Vec<String> {
    let mut objects = Vec::new();
    objects.extend(entry.segment.as_ref().map(SegmentFound::name));
    objects.extend(entry.semaphore.as_ref().map(SemaphoreFound::name));
    objects.extend(entry.files.iter().map(|file| file_name(&file.path)));
    objects
}

fn file_name(path: &std::path::Path) -> String {
    format!("key file {}", path.display())
}
