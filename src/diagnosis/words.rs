//! The diagnosis in words, for people and for the end of error texts.

use std::fmt::{self, Write};
use std::path::Path;

use nix::unistd::{Uid, User};

use crate::actor::Actor;
use crate::kernel::{FileKind, FileStat, IpcPerm, Kernel};
use crate::place::Places;
use crate::trouble::{FileFault, Obstacle};

use super::{
    Diagnosis, PlaceReport, Process, SegmentReport, SemaphoreReport, Verdict, is_live, report,
};

/// A user by name, where there is one.
pub(super) fn user(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => format!("uid {uid}"),
    }
}

pub(super) fn ownership(perm: Option<IpcPerm>) -> String {
    match perm {
        Some(perm) => format!("belongs to {}, mode {:03o}", user(perm.uid), perm.mode),
        None => "belongs to somebody else".to_owned(),
    }
}

pub(super) fn who(processes: &[Process]) -> String {
    let mut text = String::new();
    for (index, process) in processes.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        let _ = write!(
            text,
            "{} (pid {}, {})",
            process.program,
            process.pid,
            user(process.uid)
        );
    }
    text
}

/// A time in words: `3 days`.
#[cfg(feature = "machine")]
pub(super) fn age(seconds: i64) -> String {
    let (count, unit) = match seconds.max(0) {
        seconds @ 0..=119 => (seconds, "second"),
        seconds @ 120..=7_199 => (seconds / 60, "minute"),
        seconds @ 7_200..=172_799 => (seconds / 3_600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// A segment in a sentence without an end.
fn segment_words(segment: &SegmentReport) -> String {
    let mut text = format!(
        "segment {:#010x} (shmid {}) {}",
        segment.object.key,
        segment.object.id,
        ownership(segment.object.perm)
    );
    match segment.stat {
        Some(stat) if stat.attached == 0 => {
            let _ = write!(
                text,
                ", and no process is attached: left behind by a crash, pid {} used it last",
                stat.last_pid
            );
        }
        Some(stat) if segment.processes.is_empty() => {
            let _ = write!(
                text,
                ", attached by {} process(es), the last was pid {}",
                stat.attached, stat.last_pid
            );
        }
        Some(_) => {
            let _ = write!(text, ", attached by {}", who(&segment.processes));
        }
        None => {}
    }
    text
}

fn semaphore_words(semaphore: &SemaphoreReport) -> String {
    let mut text = format!(
        "semaphore {:#010x} (semid {}) {}",
        semaphore.object.key,
        semaphore.object.id,
        ownership(semaphore.object.perm)
    );
    if let (Some(0), Some(pid)) = (semaphore.value, semaphore.last_pid) {
        let _ = write!(text, ", held by pid {pid}");
    }
    text
}

/// The command that removes what is in the way at a place: each object before its key file.
/// Empty while the segment is in use, since it is nobody's to remove then.
pub(super) fn command(place: &PlaceReport) -> String {
    if is_live(place) {
        return String::new();
    }
    let mut objects = String::new();
    if let Some(segment) = &place.segment {
        let _ = write!(objects, " -m {}", segment.object.id);
    }
    if let Some(semaphore) = &place.semaphore {
        let _ = write!(objects, " -s {}", semaphore.object.id);
    }
    let files: Vec<String> = place.files.iter().map(|file| quoted(file)).collect();
    match (objects.is_empty(), files.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("sudo rm -f {}", files.join(" ")),
        (false, true) => format!("sudo ipcrm{objects}"),
        (false, false) => format!("sudo ipcrm{objects} && sudo rm -f {}", files.join(" ")),
    }
}

/// What is wrong with a file.
fn file_words(path: &Path, fault: FileFault, stat: Option<FileStat>) -> String {
    match stat {
        Some(stat) => strange_file(path, fault, stat.uid, stat.mode & 0o777),
        None => format!("{} {}", path.display(), fault_words(fault)),
    }
}

/// The same of a file that was looked at.
pub(super) fn strange_file(path: &Path, fault: FileFault, uid: u32, mode: u32) -> String {
    format!(
        "{} {}, belongs to {}, mode {mode:03o}",
        path.display(),
        fault_words(fault),
        user(uid)
    )
}

fn fault_words(fault: FileFault) -> &'static str {
    match fault {
        FileFault::Link => "is a symbolic link",
        FileFault::NotPlain => "is not what belongs there",
        FileFault::HardLinks => "has other hard links",
        FileFault::Foreign => "is not ours",
        FileFault::Unreadable => "may not be opened",
        FileFault::InDoubt => "may be in use, which only its owner and root can tell",
    }
}

/// What is in the way, whose it is and what clears it: the text behind an error's own.
pub(crate) fn explain<K: Kernel>(actor: &Actor<K>, places: &Places, obstacle: &Obstacle) -> String {
    let place = report(actor, &places.machine);
    let mut parts = Vec::new();
    if let Obstacle::File { path, fault, stat } = obstacle {
        parts.push(file_words(path, *fault, *stat));
        if !place.files.contains(path) || place.segment.is_none() && place.semaphore.is_none() {
            // Only the file: planted there, or of something that is gone.
            let directory = stat.is_some_and(|stat| stat.kind == FileKind::Directory);
            let remove = if directory { "rm -r" } else { "rm -f" };
            parts.push(format!(
                "if no program uses it: sudo {remove} '{}'",
                path.display()
            ));
            return parts.join("; ");
        }
    }
    if let Some(segment) = &place.segment {
        parts.push(segment_words(segment));
    }
    if let (Some(semaphore), false) = (&place.semaphore, is_live(&place)) {
        parts.push(semaphore_words(semaphore));
    }
    if parts.is_empty() {
        // Gone meanwhile.
        return obstacle.to_string();
    }
    let command = command(&place);
    if !command.is_empty() {
        // A semaphore alone tells nothing of who has it open.
        let when = if place.segment.is_some() {
            "to clear it"
        } else {
            "if no program uses it"
        };
        parts.push(format!("{when}: {command}"));
    }
    parts.join("; ")
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verdict {
            Verdict::Free => "nothing is in the way",
            Verdict::Live => "in use, and can be joined",
            Verdict::Leftover => "left behind by a crash; the next start clears it",
            Verdict::InTheWay => "in the way",
            Verdict::Aside => "in use in our own place, since the machine-wide one is not ours",
        })?;
        for place in [&self.machine_wide, &self.aside] {
            if let Some(segment) = &place.segment {
                write!(f, "; {}", segment_words(segment))?;
            }
            if let Some(semaphore) = &place.semaphore {
                write!(f, "; {}", semaphore_words(semaphore))?;
            }
        }
        if !self.command.is_empty() {
            write!(f, "; to clear it: {}", self.command)?;
        }
        Ok(())
    }
}
