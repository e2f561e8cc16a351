//! What there is to a key: which objects, whose, who has them, whether it can be used, and what
//! clears it. A snapshot, and what follows from it; error texts are made of the same.

#[cfg(feature = "machine")]
mod explain;
mod look;
#[cfg(feature = "machine")]
pub mod machine;
mod native_keys;
mod objects;
#[cfg(feature = "machine")]
pub mod repair;
mod sentences;
mod words;

use std::path::{Path, PathBuf};

use crate::actor::Actor;
use crate::kernel::Kernel;
use crate::options::Leftover;
use crate::place::Places;

pub use crate::kernel::Process;
pub use crate::named::{Inside, Seen};
#[cfg(feature = "machine")]
pub use explain::{Answer, Explanation, explain_key};
pub use native_keys::{NativeKeys, PosixNames, native_keys};
pub use objects::{FileFound, SegmentFound, SemaphoreFound, State, Users};
pub(crate) use words::{explain, who_keeps};

/// What is at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceReport {
    /// The segment; none of a semaphore that stands alone.
    pub segment: Option<SegmentFound>,
    /// The semaphore.
    pub semaphore: Option<SemaphoreFound>,
    /// The key files that are there, and what stands where an object should be.
    pub files: Vec<FileFound>,
    /// Who has the objects.
    pub users: Users,
    /// Who is in the middle of `create()`, `attach()` or `detach()` with qshm, and keeps the others
    /// out: for microseconds, unless it is stopped.
    pub entering: Vec<Process>,
    /// What it is; `None`: nothing.
    pub state: Option<State>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Verdict {
    /// Nothing is there: `create()` makes it, `attach()` does not find it.
    #[default]
    Free = 0,
    /// There, and we may join. (Who has a System V semaphore that stands alone, nothing tells.)
    Live = 1,
    /// What a crash left, and we clear it ourselves.
    Leftover = 2,
    /// Somebody else's: we step aside, or fail, by policy.
    InTheWay = 3,
    /// Somebody else's, and we have stepped aside: an object of ours is in use there.
    Aside = 4,
}

/// What an object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A segment and the semaphore that is its lock.
    Memory,
    /// A semaphore that stands alone.
    Semaphore,
}

/// What there is to a key, of System V or POSIX.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// Where Qt has the objects of the key.
    pub machine_wide: PlaceReport,
    /// Where our identity has its own, if the first is in the way.
    pub aside: PlaceReport,
    /// What it comes to.
    pub verdict: Verdict,
    /// The command that clears what is in the way; empty if nothing is, or if that is in use.
    pub command: String,
    /// When all of this was seen, in seconds since 1970.
    pub time: i64,
}

impl Diagnosis {
    /// Takes the snapshot and judges it. Changes nothing.
    pub(crate) fn of<K: Kernel>(actor: &Actor<K>, places: &Places, subject: Subject) -> Self {
        let look = |place| look::look(actor, place, places.posix, subject);
        let machine_wide = look(&places.machine);
        let aside = look(&places.aside);
        let verdict = judge(actor, &machine_wide, &aside, subject);
        let command = match verdict {
            Verdict::InTheWay | Verdict::Aside => words::command(&machine_wide),
            _ => String::new(),
        };
        Diagnosis {
            machine_wide,
            aside,
            verdict,
            command,
            time: actor.kernel.now(),
        }
    }
}

fn judge<K: Kernel>(
    actor: &Actor<K>,
    machine: &PlaceReport,
    aside: &PlaceReport,
    subject: Subject,
) -> Verdict {
    // A semaphore of System V does not show who has it. Who has stepped aside leaves none there.
    let alone = |place: &PlaceReport| {
        subject == Subject::Semaphore && place.state == Some(State::SemaphoreAlone)
    };
    if aside.state == Some(State::Live) || alone(aside) {
        return Verdict::Aside;
    }
    let Some(state) = machine.state else {
        return Verdict::Free;
    };
    let perms = || {
        let segment = machine.segment.iter().map(|segment| segment.perm);
        segment.chain(machine.semaphore.iter().map(|semaphore| semaphore.perm))
    };
    let all = |may: &dyn Fn(&crate::kernel::IpcPerm) -> bool| {
        perms().all(|perm| perm.is_some_and(|perm| may(&perm)))
    };
    let strange = machine.files.iter().any(|file| file.fault.is_some());
    let usable = !strange && all(&|perm| actor.may_use(perm, 0o6));
    let removable = !strange && all(&|perm| actor.may_remove(perm));
    let keeps = actor.options.leftover == Leftover::Keep;
    let unused = state == State::Leftover || alone(machine) && machine.is_posix();
    match state {
        _ if unused && (removable || usable) && !(keeps && usable) => Verdict::Leftover,
        _ if !usable => Verdict::InTheWay,
        // Another user's, who shares it: only its owner and root can tell whether anybody has it.
        State::Unclear if !removable => Verdict::InTheWay,
        State::FileAlone => Verdict::Free,
        State::SemaphoreAlone if subject == Subject::Memory => Verdict::Free,
        _ => Verdict::Live,
    }
}

impl PlaceReport {
    /// The file whose lock is the lifecycle lock.
    pub(crate) fn lock_file(&self) -> Option<&Path> {
        let segment = self.segment.as_ref().and_then(|found| found.file.as_ref());
        let semaphore = self
            .semaphore
            .as_ref()
            .and_then(|found| found.file.as_ref());
        let key_file = self.files.first().map(|file| &file.path);
        segment.or(semaphore).or(key_file).map(PathBuf::as_path)
    }

    /// Whether its objects are those of POSIX.
    pub(crate) fn is_posix(&self) -> bool {
        let segment = self.segment.as_ref().map(|found| found.file.is_some());
        let semaphore = self.semaphore.as_ref().map(|found| found.file.is_some());
        segment.or(semaphore) == Some(true)
    }
}
