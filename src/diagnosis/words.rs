//! The diagnosis in words, for people and for the end of error texts.

use std::fmt::{self, Write};

use nix::unistd::{Uid, User};

use crate::kernel::{IpcPerm, Kernel};
use crate::trouble::{FileFault, Obstacle};

use super::{
    Diagnosis, PlaceReport, Process, SegmentReport, SemaphoreReport, Verdict, of_obstacle,
};

/// A user by name, where there is one.
fn user(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => format!("uid {uid}"),
    }
}

fn ownership(perm: Option<IpcPerm>) -> String {
    match perm {
        Some(perm) => format!("belongs to {}, mode {:03o}", user(perm.uid), perm.mode),
        None => "belongs to somebody else".to_owned(),
    }
}

fn who(processes: &[Process]) -> String {
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

/// The command that removes what is in the way at a place.
pub(super) fn command(place: &PlaceReport) -> String {
    let mut text = String::from("sudo ipcrm");
    let live = place
        .segment
        .as_ref()
        .and_then(|segment| segment.stat)
        .is_some_and(|stat| stat.attached > 0);
    if live {
        // Nobody's to remove while it is in use.
        return String::new();
    }
    if let Some(segment) = &place.segment {
        let _ = write!(text, " -m {}", segment.object.id);
    }
    if let Some(semaphore) = &place.semaphore {
        let _ = write!(text, " -s {}", semaphore.object.id);
    }
    for file in &place.files {
        let _ = write!(
            text,
            "{} '{}'",
            if text.contains(" rm ") {
                ""
            } else {
                "; sudo rm -f"
            },
            file.display()
        );
    }
    text
}

/// What is in the way, whose it is and what clears it: the text behind an error's own.
pub(crate) fn explain<K: Kernel>(kernel: &K, obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::File { path, fault, stat } => {
            let what = match fault {
                FileFault::Link => "is a symbolic link",
                FileFault::NotPlain => "is not a plain file",
                FileFault::HardLinks => "has other hard links",
                FileFault::Foreign => "is not ours",
                FileFault::Unreadable => "may not be opened",
            };
            let owner = stat.map_or(String::new(), |stat| {
                format!(", belongs to {}, mode {:03o}", user(stat.uid), stat.mode)
            });
            format!(
                "{0} {what}{owner}; if no program uses it: sudo rm -r '{0}'",
                path.display()
            )
        }
        Obstacle::Segment { id, .. } => {
            let words = of_obstacle(kernel, obstacle).map(|report| {
                let live = report.stat.is_none_or(|stat| stat.attached > 0);
                (segment_words(&report), live)
            });
            match words {
                Some((words, true)) => words,
                Some((words, false)) => format!("{words}; to clear it: sudo ipcrm -m {id}"),
                None => obstacle.to_string(),
            }
        }
        Obstacle::Semaphore { key, id, perm } => {
            let perm = perm.or_else(|| kernel.sem_peek(*id));
            format!(
                "semaphore {key:#010x} (semid {id}) {}; if no program uses it: sudo ipcrm -s {id}",
                ownership(perm)
            )
        }
    }
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
