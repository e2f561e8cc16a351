//! The table of `qshm status`, for people.

mod grid;
mod instances;

use std::path::Path;

use comfy_table::Color;

use nix::unistd::{Uid, User};
use qshm::diagnosis::machine::{DirectoryKind, Entry, Machine, Remedy, State};

use crate::output::{harmless, wrap};
use grid::render;
pub use instances::instances;

/// Below this many columns each object is a paragraph of its own.
const NARROW: usize = 76;

/// The table, and below it what there is to do.
pub fn status(machine: &Machine, entries: &[Entry], width: usize, coloured: bool) -> String {
    if entries.is_empty() {
        return "No Qt IPC objects on this machine.\n".to_owned();
    }
    let rows: Vec<Row> = entries
        .iter()
        .map(|entry| Row::new(machine, entry))
        .collect();
    let mut text = if width < NARROW {
        paragraphs(&rows, coloured)
    } else {
        let cells: Vec<_> = rows.iter().map(Row::cells).collect();
        render(HEADINGS, &cells, 2..8, width, coloured)
    };
    for line in footer(machine, entries).lines() {
        text += &wrap(line, width, 0);
        text += "\n";
    }
    text
}

/// An object in words.
struct Row {
    key: String,
    state: String,
    owner: String,
    mode: String,
    size: String,
    qt: String,
    age: String,
    objects: String,
    users: String,
    colour: Option<Color>,
}

const HEADINGS: [&str; 9] = [
    "KEY", "STATE", "OWNER", "MODE", "SIZE", "QT", "AGE", "SHM/SEM", "USED BY",
];

impl Row {
    fn new(machine: &Machine, entry: &Entry) -> Self {
        let owner = entry.owner();
        let size = entry
            .segment
            .as_ref()
            .and_then(|segment| segment.size)
            .map(bytes);
        Row {
            key: shortened(&harmless(&entry.key.to_string())),
            state: state(entry),
            owner: owner.map(|(uid, _)| user(uid)).unwrap_or_default(),
            mode: owner
                .map(|(_, mode)| format!("{mode:03o}"))
                .unwrap_or_default(),
            size: size.unwrap_or_default(),
            qt: harmless(&entry.qt_words()),
            age: entry
                .since()
                .map(|since| age(machine.now - since))
                .unwrap_or_default(),
            objects: objects(entry),
            users: harmless(&users(entry)),
            colour: match (entry.in_the_way, entry.state) {
                (true, _) => Some(Color::Red),
                (false, State::Live) => Some(Color::Green),
                (false, State::Leftover) => Some(Color::Yellow),
                _ => None,
            },
        }
    }

    fn fields(&self) -> [&String; 9] {
        let Row {
            key,
            state,
            owner,
            mode,
            size,
            qt,
            age,
            objects,
            users,
            ..
        } = self;
        [key, state, owner, mode, size, qt, age, objects, users]
    }

    fn cells(&self) -> ([String; 9], Option<Color>) {
        (self.fields().map(String::clone), self.colour)
    }
}

fn paragraphs(rows: &[Row], coloured: bool) -> String {
    let mut text = String::new();
    for row in rows {
        let (before, after) = match (coloured, row.colour) {
            (true, Some(Color::Red)) => ("\u{1b}[31m", "\u{1b}[0m"),
            (true, Some(Color::Green)) => ("\u{1b}[32m", "\u{1b}[0m"),
            (true, Some(_)) => ("\u{1b}[33m", "\u{1b}[0m"),
            _ => ("", ""),
        };
        let fields = row.fields();
        let mut lines = HEADINGS.iter().zip(fields);
        if let Some((_, key)) = lines.next() {
            text += &format!("{before}{key}{after}\n");
        }
        for (heading, value) in lines.filter(|(_, value)| !value.is_empty()) {
            text += &format!("  {:8} {value}\n", heading.to_lowercase());
        }
    }
    text
}

fn state(entry: &Entry) -> String {
    let word = match entry.state {
        State::Live
            if entry
                .segment
                .as_ref()
                .is_some_and(|segment| segment.removed) =>
        {
            "live, removed"
        }
        State::Live => "live",
        State::Leftover => "leftover",
        State::SemaphoreAlone => "semaphore without segment",
        State::FileAlone => "key file without object",
        State::Unclear => "unclear",
    };
    let stopped = entry
        .semaphore
        .as_ref()
        .and_then(|semaphore| semaphore.holder.as_ref());
    let stopped = if stopped.is_some_and(|holder| holder.stopped) {
        ", holder stopped"
    } else {
        ""
    };
    let way = if entry.in_the_way && entry.is_guess() {
        ", may be in your way"
    } else if entry.in_the_way {
        ", in your way"
    } else {
        ""
    };
    // Of a user who had to step aside: another one than the machine's of the same key.
    let aside = match entry.directory {
        Some((_, DirectoryKind::Aside(_))) => ", aside",
        _ => "",
    };
    format!("{word}{stopped}{aside}{way}")
}

/// The longest key that a table shows whole; `--json` has it all.
const LONGEST_KEY: usize = 40;

fn shortened(key: &str) -> String {
    if key.chars().count() <= LONGEST_KEY {
        return key.to_owned();
    }
    key.chars().take(LONGEST_KEY - 1).chain(['…']).collect()
}

/// The ids of segment and semaphore, as ipcs(1) has them.
fn objects(entry: &Entry) -> String {
    let id = |there: bool, id: Option<i32>| match id {
        Some(id) => id.to_string(),
        None if there => "posix".to_owned(),
        None => "-".to_owned(),
    };
    let (segment, semaphore) = (entry.segment.as_ref(), entry.semaphore.as_ref());
    let segment = id(segment.is_some(), segment.and_then(|segment| segment.id));
    let semaphore = id(
        semaphore.is_some(),
        semaphore.and_then(|semaphore| semaphore.id),
    );
    if segment == "posix" && semaphore == "posix" {
        return segment;
    }
    format!("{segment}/{semaphore}")
}

fn users(entry: &Entry) -> String {
    let mut names: Vec<String> = Vec::new();
    for process in entry.users.seen.iter().take(3) {
        let program = Path::new(&process.program)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        names.push(format!(
            "{program} ({}, {})",
            process.pid,
            user(process.uid)
        ));
    }
    let more = entry.users.seen.len().saturating_sub(3) as u64 + entry.users.hidden;
    match (names.is_empty(), more) {
        (true, 0) => {
            let last = entry.segment.as_ref().and_then(|segment| segment.last_pid);
            match last {
                Some(pid) if pid != 0 => format!("nobody, last {pid}"),
                _ if entry.state == State::Leftover => "nobody".to_owned(),
                _ => String::new(),
            }
        }
        (true, hidden) => format!("{hidden} hidden"),
        (false, 0) => names.join(", "),
        (false, more) => format!("{}, {more} more", names.join(", ")),
    }
}

fn footer(machine: &Machine, entries: &[Entry]) -> String {
    let mut text = String::new();
    let count = |wanted: &Remedy| {
        entries
            .iter()
            .filter(|entry| entry.remedy == *wanted)
            .count()
    };
    let things = |count: usize| {
        if count == 1 {
            "1 leftover".into()
        } else {
            format!("{count} leftovers")
        }
    };
    if count(&Remedy::Remove) > 0 {
        text += &format!("\n{}: qshm repair\n", things(count(&Remedy::Remove)));
    }
    if count(&Remedy::NeedsRoot) > 0 {
        let needs = count(&Remedy::NeedsRoot);
        text += &format!("\n{needs} that only root or the owner may clear: sudo qshm repair\n");
    }
    if !machine.sees_everything
        && entries
            .iter()
            .any(|entry| entry.users.hidden > 0 || entry.state == State::Unclear)
    {
        text += "\nProcesses of other users are hidden: sudo qshm status\n";
    }
    text
}

fn user(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => harmless(&user.name),
        _ => uid.to_string(),
    }
}

fn bytes(size: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if size >= 10 * unit {
            return format!("{} {name}", size / unit);
        }
        if size >= unit {
            let tenths = size * 10 / unit;
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{size} B")
}

fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_short() {
        for (size, text) in [
            (4, "4 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10 * 1024, "10 KiB"),
            (3 << 20, "3.0 MiB"),
            (64 << 30, "64 GiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (seconds, text) in [
            (-1, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_200, "2 h"),
            (200_000, "2 d"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }
}
