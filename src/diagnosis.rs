//! What there is to a key: which objects, whose, who is attached, whether it can be used, and
//! what clears it. A snapshot, and what follows from it; error texts are made of the same.

#[cfg(feature = "machine")]
mod explain;
#[cfg(feature = "machine")]
pub mod machine;
mod native_keys;
#[cfg(feature = "machine")]
pub mod repair;
mod words;

use std::path::{Path, PathBuf};

use crate::actor::Actor;
use crate::kernel::{IpcId, IpcKey, IpcPerm, Kernel, ShmStat};
use crate::place::{Place, Places};

pub use crate::kernel::Process;
#[cfg(feature = "machine")]
pub use explain::{Answer, Explanation, explain_key};
pub use native_keys::{NativeKeys, PosixNames, native_keys};
pub(crate) use words::explain;

/// A segment or a semaphore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: IpcKey,
    /// Its id: shmid or semid.
    pub id: IpcId,
    /// Its key file.
    pub path: PathBuf,
    /// Owner, creator and mode, where they may be seen.
    pub perm: Option<IpcPerm>,
}

/// A segment, and who uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// The segment.
    pub object: Object,
    /// Its size, users and last processes, where they may be seen.
    pub stat: Option<ShmStat>,
    /// The attached processes that may be seen.
    pub processes: Vec<Process>,
}

/// A semaphore, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SemaphoreReport {
    /// The semaphore.
    pub object: Object,
    /// Its value, where it may be read: 1 is free.
    pub value: Option<i32>,
    /// Who changed it last; while it is 0 that is who holds the lock.
    pub last_pid: Option<i32>,
}

/// What is at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceReport {
    /// The segment that the segment's key file leads to.
    pub segment: Option<SegmentReport>,
    /// The semaphore that the semaphore's key file leads to.
    pub semaphore: Option<SemaphoreReport>,
    /// The key files that are there.
    pub files: Vec<PathBuf>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Verdict {
    /// Nothing is there: `create()` makes it, `attach()` does not find it.
    #[default]
    Free = 0,
    /// In use, and we may join.
    Live = 1,
    /// What a crash left, and we clear it ourselves.
    Leftover = 2,
    /// Somebody else's: we step aside, or fail, by policy.
    InTheWay = 3,
    /// Somebody else's, and we have stepped aside: a segment of ours is in use there.
    Aside = 4,
}

/// What there is to a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// Where Qt has the objects of the key.
    pub machine_wide: PlaceReport,
    /// Where our identity has its own, if the first is in the way.
    pub aside: PlaceReport,
    /// What it comes to.
    pub verdict: Verdict,
    /// The command that clears what is in the way; empty if nothing is.
    pub command: String,
}

impl Diagnosis {
    /// Takes the snapshot and judges it. Changes nothing.
    pub(crate) fn of<K: Kernel>(actor: &Actor<K>, places: &Places) -> Self {
        let machine_wide = report(actor, &places.machine);
        let aside = report(actor, &places.aside);
        let verdict = judge(actor, &machine_wide, &aside);
        let command = match verdict {
            Verdict::InTheWay | Verdict::Aside => words::command(&machine_wide),
            _ => String::new(),
        };
        Diagnosis {
            machine_wide,
            aside,
            verdict,
            command,
        }
    }
}

fn is_live(place: &PlaceReport) -> bool {
    place
        .segment
        .as_ref()
        .is_some_and(|segment| segment.stat.is_none_or(|stat| stat.attached > 0))
}

fn judge<K: Kernel>(actor: &Actor<K>, machine: &PlaceReport, aside: &PlaceReport) -> Verdict {
    let usable = |object: &Object| object.perm.is_some_and(|perm| actor.may_use(&perm, 0o6));
    if is_live(aside) {
        return Verdict::Aside;
    }
    let segment = machine.segment.as_ref();
    let semaphore = machine.semaphore.as_ref();
    let barred = segment.is_some_and(|segment| !usable(&segment.object))
        || semaphore.is_some_and(|semaphore| !usable(&semaphore.object));
    let removable = |object: &Object| object.perm.is_some_and(|perm| actor.may_remove(&perm));
    match segment {
        Some(segment) if !is_live(machine) && removable(&segment.object) => Verdict::Leftover,
        _ if barred => Verdict::InTheWay,
        Some(_) => Verdict::Live,
        None => Verdict::Free,
    }
}

/// Looks at one place.
fn report<K: Kernel>(actor: &Actor<K>, place: &Place) -> PlaceReport {
    let kernel = &actor.kernel;
    let mut report = PlaceReport::default();
    let key = |path: &Path| {
        let stat = kernel.lstat(path).ok()?;
        Some(actor.ipc_key(path, &stat))
    };
    if let Some(key) = key(&place.segment) {
        report.files.push(place.segment.to_path_buf());
        report.segment = kernel
            .shm_find(key)
            .ok()
            .map(|id| segment_report(kernel, place.segment.to_path_buf(), key, id));
    }
    let semaphore = place.semaphore_to_clear();
    if let Some((path, key)) = semaphore.and_then(|path| key(&path).map(|key| (path, key))) {
        report.files.push(path.to_path_buf());
        report.semaphore = kernel.sem_find(key).ok().map(|id| SemaphoreReport {
            object: Object {
                key,
                id,
                path: path.to_path_buf(),
                perm: kernel
                    .sem_stat(id)
                    .ok()
                    .map(|stat| stat.perm)
                    .or_else(|| kernel.sem_peek(id)),
            },
            value: kernel.sem_value(id).ok(),
            last_pid: kernel.sem_last_pid(id).ok().filter(|pid| *pid != 0),
        });
    }
    report
}

fn segment_report<K: Kernel>(kernel: &K, path: PathBuf, key: IpcKey, id: IpcId) -> SegmentReport {
    let stat = kernel.shm_stat(id).ok().or_else(|| kernel.shm_peek(id));
    SegmentReport {
        object: Object {
            key,
            id,
            path,
            perm: stat.map(|stat| stat.perm),
        },
        stat,
        processes: kernel.attached_processes(id),
    }
}
