//! An object in words: which, whose, since when, and who has it.

use super::objects::{SegmentFound, SemaphoreFound, State, Users};
use super::words::{age, count, ownership, who};
use crate::kernel::{IpcId, IpcKey, Process};
use crate::named::Inside;

/// What to call an object: `segment 0x5100c064 (shmid 0)`, `segment /dev/shm/Logic`.
fn name_of(
    what: &str,
    id_name: &str,
    numbers: (Option<IpcKey>, Option<IpcId>),
    file: Option<&std::path::Path>,
) -> String {
    match (numbers, file) {
        ((Some(key), Some(id)), _) => format!("{what} {key:#010x} ({id_name} {id})"),
        (_, Some(file)) => format!("{what} {}", file.display()),
        _ => what.to_owned(),
    }
}

impl SegmentFound {
    /// What to call it.
    pub fn name(&self) -> String {
        let numbers = (self.key, self.id);
        name_of("segment", "shmid", numbers, self.file.as_deref())
    }
}

impl SemaphoreFound {
    /// What to call it.
    pub fn name(&self) -> String {
        let numbers = (self.key, self.id);
        name_of("semaphore", "semid", numbers, self.file.as_deref())
    }
}

/// `, made 3 days ago by Qt 6.6 or later`, as far as it is known.
pub(super) fn made(changed: Option<i64>, now: i64, qt: Option<&str>) -> String {
    let since = changed.map(|changed| format!(" {} ago", age(now.saturating_sub(changed))));
    let qt = qt.map(|qt| format!(" by Qt {qt}"));
    if since.is_none() && qt.is_none() {
        return String::new();
    }
    format!(
        ", made{}{}",
        since.unwrap_or_default(),
        qt.unwrap_or_default()
    )
}

/// Who uses it, of those that are used.
pub(super) fn users(users: &Users) -> String {
    let hidden = match (users.hidden, users.seen.is_empty()) {
        (0, _) => String::new(),
        (number, true) => {
            let processes = count(number, "process", "processes");
            format!("{processes} that can't be seen from here")
        }
        (number, false) => format!(" and {number} more that can't be seen from here"),
    };
    format!("in use by {}{hidden}", who(&users.seen))
}

/// Who stopped in the middle of create, attach or detach, with the lifecycle lock.
pub(super) fn keeps_out(stopped: &Process, file: &std::path::Path) -> String {
    format!(
        "{} holds the lock of {} and is stopped, not dead: create(), attach() and detach() of \
         other programs with qshm fail as busy until it goes on",
        who(std::slice::from_ref(stopped)),
        file.display()
    )
}

/// A segment and who has it, as a sentence that begins small and has no end. `qt`: the versions
/// of Qt that make such, where that matters.
pub(super) fn segment(
    segment: &SegmentFound,
    by: &Users,
    state: State,
    now: i64,
    qt: Option<&str>,
) -> String {
    let mut text = segment.name();
    if let Some(size) = segment.size {
        text += &format!(", {}", count(size, "byte", "bytes"));
    }
    text += &format!(", {}", ownership(segment.perm));
    text += &made(segment.changed, now, qt);
    text += ": ";
    match state {
        State::Live => text + &users(by),
        State::Unclear => text + "no process that can be seen from here has it",
        _ => {
            text += "no process is attached, left behind by a crash";
            match segment.last_pid {
                Some(pid) if pid != 0 => text + &format!("; pid {pid} used it last"),
                // Qt never removes a POSIX segment.
                _ if segment.file.is_some() => {
                    text + ", or by Qt, which never removes a POSIX segment"
                }
                _ => text,
            }
        }
    }
}

/// A semaphore and who is inside, the same way.
pub(super) fn semaphore(
    semaphore: &SemaphoreFound,
    by: &Users,
    state: State,
    with_segment: bool,
    now: i64,
) -> String {
    let mut text = format!("{}, {}", semaphore.name(), ownership(semaphore.perm));
    if with_segment {
        if let Some(inside) = inside(semaphore, state) {
            text += &format!(", {inside}");
        }
        return text;
    }
    text += &made(semaphore.changed, now, None);
    if let Some(value) = semaphore.value {
        text += &format!(", value {value}");
    }
    if let Some(pid) = semaphore.last_pid {
        text += &format!(", last used by pid {pid}");
    }
    match state {
        State::Live => format!("{text}: {}", users(by)),
        _ => text,
    }
}

/// Who is inside a segment's lock; `None`: nobody.
pub(super) fn inside(semaphore: &SemaphoreFound, state: State) -> Option<String> {
    if let Some(holder) = &semaphore.holder {
        let name = who(std::slice::from_ref(holder));
        return Some(match (holder.stopped, semaphore.inside) {
            (false, _) => format!("held by {name}"),
            (true, Inside::Unnamed) if semaphore.file.is_some() => {
                format!("taken, perhaps by {name}, which is stopped, not dead")
            }
            (true, _) => format!("held by {name}, which is stopped, not dead"),
        });
    }
    if semaphore.value != Some(0) {
        return None;
    }
    let words = match (semaphore.file.is_some(), semaphore.inside, state) {
        (false, _, _) => {
            return Some(match semaphore.last_pid {
                Some(pid) => format!(
                    "its value is 0, brought there by pid {pid}, which is not to be seen any more"
                ),
                None => "its value is 0, and nobody is to be seen inside".to_owned(),
            });
        }
        (true, Inside::Dead, _) => {
            "taken by a process that died inside: a program with qshm gets it all the same, with \
             Qt alone attach() and lock() wait for ever"
        }
        (true, Inside::Alive, _) => "held by a process that can't be seen from here",
        (true, Inside::Unnamed, State::Live) => {
            "taken by one of these, or by a process that died inside: Qt leaves no word of which, \
             and after a death attach() and lock() wait for ever"
        }
        (true, Inside::Unnamed, State::Unclear) => {
            "taken; whether who took it still lives can't be seen from here"
        }
        (true, Inside::Unnamed, _) => {
            "taken by a process that died inside: with Qt alone attach() and lock() wait for ever"
        }
    };
    Some(words.to_owned())
}
