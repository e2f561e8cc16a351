//! The diagnosis in words, for people and for the end of error texts.

use std::fmt::{self, Write};
use std::path::Path;

use nix::unistd::{Uid, User};

use crate::actor::Actor;
use crate::kernel::{FileKind, IpcPerm, Kernel};
use crate::place::Places;
use crate::trouble::Obstacle;

use super::look::look;
use super::objects::FileFound;
use super::{Diagnosis, PlaceReport, Process, State, Subject, Verdict, sentences};

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

/// So many of something: `1 process`, `2 processes`.
pub(super) fn count(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// A time in words: `3 days`.
pub(super) fn age(seconds: i64) -> String {
    let (number, unit) = match seconds.max(0) {
        seconds @ 0..=119 => (seconds, "second"),
        seconds @ 120..=7_199 => (seconds / 60, "minute"),
        seconds @ 7_200..=172_799 => (seconds / 3_600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    count(number.unsigned_abs(), unit, &format!("{unit}s"))
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// The ids as ipcrm(1) takes them; empty without any.
pub(super) fn ids(segment: Option<i32>, semaphore: Option<i32>) -> String {
    let option =
        |name: &str, id: Option<i32>| id.map_or(String::new(), |id| format!(" {name} {id}"));
    option("-m", segment) + &option("-s", semaphore)
}

/// What is wrong with a file that stands where another belongs; `None`: nothing.
pub(super) fn strange_file(file: &FileFound) -> Option<String> {
    let fault = file.fault?;
    Some(format!(
        "{} {fault}, belongs to {}, mode {:03o}",
        file.path.display(),
        user(file.uid),
        file.mode & 0o777
    ))
}

/// The command that clears a place; empty if nothing is there, or if it is in use.
pub(super) fn command(place: &PlaceReport) -> String {
    if place.state == Some(State::Live) {
        return String::new();
    }
    let segment = place.segment.as_ref();
    let semaphore = place.semaphore.as_ref();
    let objects = ids(
        segment.and_then(|found| found.id),
        semaphore.and_then(|found| found.id),
    );
    // Of what has not the name of a key file only what is empty: a native key may be any file, and
    // then that is somebody's.
    let is_key_file = |file: &&FileFound| {
        let name = file.path.file_name().unwrap_or_default();
        let empty = file.kind == FileKind::Regular && file.size == 0;
        empty || name.as_encoded_bytes().starts_with(b"qipc_")
    };
    let keys = place.files.iter().filter(is_key_file);
    let is_directory = |file: &FileFound| file.kind == FileKind::Directory;
    let option = if place.files.iter().any(is_directory) {
        "-rf"
    } else {
        "-f"
    };
    let posix = [
        segment.and_then(|found| found.file.as_ref()),
        semaphore.and_then(|found| found.file.as_ref()),
    ];
    let files: Vec<String> = (posix.into_iter().flatten())
        .chain(keys.map(|file| &file.path))
        .map(|file| quoted(file))
        .collect();
    match (objects.is_empty(), files.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("sudo rm {option} {}", files.join(" ")),
        (false, true) => format!("sudo ipcrm{objects}"),
        (false, false) => format!(
            "sudo ipcrm{objects} && sudo rm {option} {}",
            files.join(" ")
        ),
    }
}

/// Who has the exclusive lock of a file, for behind a sentence that says that somebody has; empty
/// where nobody is to be seen.
pub(crate) fn who_keeps<K: Kernel>(kernel: &K, path: &Path) -> String {
    let stat = kernel.lstat(path).ok();
    let holders = stat.map(|stat| kernel.flock_holders(&stat));
    let holders = holders.unwrap_or_default();
    if holders.is_empty() {
        return String::new();
    }
    let mut text = format!(": {}", who(&holders));
    if let [holder] = &holders[..] {
        if holder.stopped {
            let _ = write!(
                text,
                ", which is stopped, not dead (kill -CONT {})",
                holder.pid
            );
        }
    }
    text
}

/// The objects of a place, each in words, and what is to be known of all of them.
fn parts(place: &PlaceReport, now: i64) -> Vec<String> {
    let state = place.state.unwrap_or(State::FileAlone);
    let mut parts = Vec::new();
    if let Some(segment) = &place.segment {
        parts.push(sentences::segment(segment, &place.users, state, now, None));
    }
    if let Some(semaphore) = &place.semaphore {
        let with_segment = place.segment.is_some();
        parts.push(sentences::semaphore(
            semaphore,
            &place.users,
            state,
            with_segment,
            now,
        ));
    }
    if state == State::Unclear {
        parts.push("only root can see whether one has it".to_owned());
    }
    let file = place.lock_file();
    for stopped in place.entering.iter().filter(|process| process.stopped) {
        let words = file.map(|file| sentences::keeps_out(stopped, file));
        parts.extend(words.map(|words| format!("{words} (kill -CONT {})", stopped.pid)));
    }
    parts
}

/// What to do about a place that is in the way.
fn what_to_do(place: &PlaceReport, command: &str) -> Option<String> {
    let when = match place.state? {
        State::Live => return Some("to get it, end that application".to_owned()),
        // Nobody has it.
        State::Leftover => "to clear it",
        // A semaphore alone tells nothing of who has it open.
        _ => "if no program uses it",
    };
    (!command.is_empty()).then(|| format!("{when}: {command}"))
}

/// What is in the way, whose it is and what clears it: the text behind an error's own.
pub(crate) fn explain<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    subject: Subject,
    obstacle: &Obstacle,
) -> String {
    let place = look(actor, &places.machine, places.posix, subject);
    let now = actor.kernel.now();
    let objects = parts(&place, now);
    let mut all = Vec::new();
    if let Obstacle::File { path, fault, stat } = obstacle {
        let known = place.files.iter().any(|file| file.path == *path);
        let own_file = [
            place.segment.as_ref().and_then(|found| found.file.as_ref()),
            place
                .semaphore
                .as_ref()
                .and_then(|found| found.file.as_ref()),
        ];
        if own_file.contains(&Some(path)) {
            // Whose it is comes with the object.
            all.push(format!("{} {fault}", path.display()));
        } else {
            let found = stat.map(|stat| FileFound {
                fault: Some(*fault),
                ..FileFound::of(path, &stat)
            });
            let words = found.as_ref().and_then(strange_file);
            all.push(words.unwrap_or_else(|| format!("{} {fault}", path.display())));
            if !known || objects.is_empty() {
                // Only the file: planted there, or of something that is gone.
                let directory = found.is_some_and(|found| found.kind == FileKind::Directory);
                let remove = if directory { "rm -r" } else { "rm -f" };
                let path = quoted(path);
                all.push(format!("if no program uses it: sudo {remove} {path}"));
                return all.join("; ");
            }
        }
    }
    all.extend(objects);
    if all.is_empty() {
        // Gone meanwhile.
        return obstacle.to_string();
    }
    all.extend(what_to_do(&place, &command(&place)));
    all.join("; ")
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.verdict, self.machine_wide.state) {
            (Verdict::Free, _) => "nothing is in the way",
            (Verdict::Live, Some(State::Leftover)) => "kept, and can be joined",
            (Verdict::Live, _) => "in use, and can be joined",
            (Verdict::Leftover, _) => "left behind by a crash; the next start clears it",
            (Verdict::InTheWay, _) => "in the way",
            (Verdict::Aside, _) => {
                "in use in our own place, since the machine-wide one is not ours"
            }
        })?;
        for part in parts(&self.machine_wide, self.time) {
            write!(f, "; {part}")?;
        }
        for file in self.machine_wide.files.iter().filter_map(strange_file) {
            write!(f, "; {file}")?;
        }
        if matches!(self.verdict, Verdict::InTheWay | Verdict::Aside) {
            if let Some(text) = what_to_do(&self.machine_wide, &self.command) {
                write!(f, "; {text}")?;
            }
        }
        for part in parts(&self.aside, self.time) {
            write!(f, "; in our own place: {part}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_more_are_more() {
        assert_eq!(count(1, "process", "processes"), "1 process");
        assert_eq!(count(2, "process", "processes"), "2 processes");
        for (seconds, words) in [
            (-5, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7_200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(age(seconds), words);
        }
    }
}
