//! What `--json` prints. The form is documented in docs/command.md: fields are added, and never
//! renamed or removed.

mod instances;
mod key;

use serde::Serialize;

use qshm::diagnosis::Explanation;
use qshm::diagnosis::machine::KeyGuess;
use qshm::diagnosis::machine::{
    Backend, Doubt, Entry, Machine, QtVersions, Remedy, SegmentFound, SemaphoreFound,
};
use qshm::instance::Registry;

use crate::output::is_harmful;
use instances::{Instances, registry};
pub use key::key;

/// Goes up where a program that reads the old form would misunderstand the new one.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Status {
    version: u32,
    time: i64,
    user: u32,
    sees_everything: bool,
    objects: Vec<Object>,
    registries: Vec<Instances>,
}

#[derive(Serialize)]
struct Object {
    backend: &'static str,
    key: Option<String>,
    key_letters: Option<String>,
    native_key: Option<String>,
    state: &'static str,
    in_the_way: bool,
    remedy: &'static str,
    doubt: Option<&'static str>,
    qt: Option<String>,
    project_id: Option<String>,
    since: Option<i64>,
    segment: Option<Segment>,
    semaphore: Option<Semaphore>,
    key_files: Vec<KeyFile>,
    processes: Vec<Process>,
    hidden_processes: u64,
}

#[derive(Serialize)]
struct Segment {
    key: Option<String>,
    id: Option<i32>,
    file: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<String>,
    size: Option<u64>,
    attached: Option<u64>,
    last_pid: Option<i32>,
    removed: bool,
}

#[derive(Serialize)]
struct Semaphore {
    key: Option<String>,
    id: Option<i32>,
    file: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<String>,
    value: Option<i32>,
    waiting: Option<i32>,
    last_pid: Option<i32>,
    holder: Option<Process>,
}

#[derive(Serialize)]
struct KeyFile {
    path: String,
    uid: u32,
    gid: u32,
    mode: String,
    deleted: bool,
}

#[derive(Serialize)]
struct Process {
    pid: i32,
    uid: u32,
    program: String,
    stopped: bool,
}

/// As JSON. What could do something to a terminal is written as an escape there too.
fn text<T: Serialize>(value: &T) -> String {
    let plain = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut safe = String::with_capacity(plain.len());
    for c in plain.chars() {
        // Only inside of texts; the lines between are JSON's own.
        if c != '\n' && is_harmful(c) {
            safe += &format!("\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

fn hex(key: Option<i32>) -> Option<String> {
    key.map(|key| format!("{key:#010x}"))
}

fn mode(mode: u32) -> String {
    format!("{mode:03o}")
}

fn segment(segment: &SegmentFound) -> Segment {
    Segment {
        key: hex(segment.key),
        id: segment.id,
        file: segment
            .file
            .as_ref()
            .map(|file| file.to_string_lossy().into_owned()),
        uid: segment.perm.map(|perm| perm.uid),
        gid: segment.perm.map(|perm| perm.gid),
        mode: segment.perm.map(|perm| mode(perm.mode)),
        size: segment.size,
        attached: segment.attached,
        last_pid: segment.last_pid,
        removed: segment.removed,
    }
}

fn semaphore(semaphore: &SemaphoreFound) -> Semaphore {
    Semaphore {
        key: hex(semaphore.key),
        id: semaphore.id,
        file: semaphore
            .file
            .as_ref()
            .map(|file| file.to_string_lossy().into_owned()),
        uid: semaphore.perm.map(|perm| perm.uid),
        gid: semaphore.perm.map(|perm| perm.gid),
        mode: semaphore.perm.map(|perm| mode(perm.mode)),
        value: semaphore.value,
        waiting: semaphore.waiting,
        last_pid: semaphore.last_pid,
        holder: semaphore.holder.as_ref().map(process),
    }
}

fn process(process: &qshm::diagnosis::Process) -> Process {
    Process {
        pid: process.pid,
        uid: process.uid,
        program: process.program.clone(),
        stopped: process.stopped,
    }
}

fn object(entry: &Entry) -> Object {
    let (key, letters) = match &entry.key {
        KeyGuess::Known(key) => (Some(key.clone()), None),
        KeyGuess::Letters(letters) => (None, Some(letters.clone())),
        KeyGuess::Native(_) | KeyGuess::Unknown => (None, None),
    };
    let project = match entry.qt {
        Some(QtVersions::Native(project)) => Some(format!("{project:02x}")),
        _ => entry
            .segment
            .as_ref()
            .and_then(|segment| segment.key)
            .map(|key| format!("{:02x}", key as u32 >> 24)),
    };
    let files = entry.files.iter().map(|file| KeyFile {
        path: file.path.to_string_lossy().into_owned(),
        uid: file.uid,
        gid: file.gid,
        mode: mode(file.mode),
        deleted: file.deleted,
    });
    Object {
        backend: match entry.backend {
            Backend::SystemV => "system-v",
            Backend::Posix => "posix",
        },
        key,
        key_letters: letters,
        native_key: entry.native_key.clone(),
        state: entry.state.word(),
        in_the_way: entry.in_the_way,
        remedy: remedy(&entry.remedy),
        doubt: match &entry.remedy {
            Remedy::InDoubt(doubt) => Some(doubt_word(doubt)),
            _ => None,
        },
        qt: Some(entry.qt_words()).filter(|words| !words.is_empty()),
        project_id: project,
        since: entry.since(),
        segment: entry.segment.as_ref().map(segment),
        semaphore: entry.semaphore.as_ref().map(semaphore),
        key_files: files.collect(),
        processes: entry.users.seen.iter().map(process).collect(),
        hidden_processes: entry.users.hidden,
    }
}

fn remedy(remedy: &Remedy) -> &'static str {
    match remedy {
        Remedy::InUse => "in-use",
        Remedy::Remove => "remove",
        Remedy::NeedsRoot => "needs-root",
        Remedy::IfNamed => "if-named",
        Remedy::InDoubt(_) => "in-doubt",
    }
}

fn doubt_word(doubt: &Doubt) -> &'static str {
    match doubt {
        Doubt::Held => "held",
        Doubt::NoKeyFile => "no-key-file",
        Doubt::StrangeFile => "strange-file",
        Doubt::MayBeOpen => "may-be-open",
        Doubt::Hidden => "hidden-processes",
        Doubt::Young => "young",
        Doubt::Keep => "keep",
        Doubt::Elsewhere => "other-ipc-namespace",
    }
}

#[derive(Serialize)]
struct Known {
    version: u32,
    registries: Vec<Instances>,
}

/// `qshm who --json`.
pub fn who(registries: &[Registry]) -> String {
    text(&Known {
        version: VERSION,
        registries: registries.iter().map(registry).collect(),
    })
}

/// `qshm status --json`.
pub fn status(machine: &Machine, entries: &[Entry], registries: &[Registry]) -> String {
    text(&Status {
        version: VERSION,
        time: machine.now,
        user: machine.viewer.identity.uid,
        sees_everything: machine.sees_everything,
        objects: entries.iter().map(object).collect(),
        registries: registries.iter().map(registry).collect(),
    })
}

#[derive(Serialize)]
struct Told<'a> {
    version: u32,
    key: &'a str,
    usable: &'static str,
    sentences: &'a [String],
    advice: &'a [String],
    sees_everything: bool,
    objects: Vec<Object>,
}

/// `qshm explain --json`.
pub fn explanation(machine: &Machine, key: &str, told: &Explanation) -> String {
    text(&Told {
        version: VERSION,
        key,
        usable: told.answer.word(),
        sentences: &told.sentences,
        advice: &told.advice,
        sees_everything: machine.sees_everything,
        objects: told.entries.iter().map(object).collect(),
    })
}
