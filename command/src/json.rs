//! What `--json` prints. The form is documented in docs/command.md: fields are added, and never
//! renamed or removed.

use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::Serialize;

use qshm::diagnosis::machine::KeyGuess;
use qshm::diagnosis::machine::{
    Backend, Doubt, Entry, Machine, QtVersions, Remedy, SegmentFound, SemaphoreFound,
};
use qshm::diagnosis::{Explanation, NativeKeys};
use qshm::instance::{Peer, Registry};

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
    uid: u32,
    gid: u32,
    mode: String,
    size: u64,
    attached: u64,
    last_pid: Option<i32>,
    removed: bool,
}

#[derive(Serialize)]
struct Semaphore {
    key: Option<String>,
    id: Option<i32>,
    file: Option<String>,
    uid: u32,
    gid: u32,
    mode: String,
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

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
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
        uid: segment.perm.uid,
        gid: segment.perm.gid,
        mode: mode(segment.perm.mode),
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
        uid: semaphore.perm.uid,
        gid: semaphore.perm.gid,
        mode: mode(semaphore.perm.mode),
        value: semaphore.value,
        waiting: semaphore.waiting,
        last_pid: semaphore.last_pid,
        holder: semaphore
            .holder
            .as_ref()
            .map(|holder| process(&holder.process, holder.stopped)),
    }
}

fn process(process: &qshm::diagnosis::Process, stopped: bool) -> Process {
    Process {
        pid: process.pid,
        uid: process.uid,
        program: process.program.clone(),
        stopped,
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
        processes: entry
            .users
            .seen
            .iter()
            .map(|(one, stopped)| process(one, *stopped))
            .collect(),
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
#[allow(clippy::struct_field_names)]
struct Instances {
    name: String,
    uid: Option<u32>,
    scope: String,
    place: String,
    instances: Vec<Instance>,
    claims: Vec<Claim>,
}

#[derive(Serialize)]
struct Instance {
    number: u32,
    pid: Option<i32>,
    uid: Option<u32>,
    program: String,
    since: Option<u64>,
}

#[derive(Serialize)]
struct Claim {
    resource: String,
    holder: Instance,
}

fn instance(peer: &Peer) -> Instance {
    let since = peer
        .since
        .and_then(|since| since.duration_since(UNIX_EPOCH).ok());
    Instance {
        number: peer.number,
        pid: peer.pid,
        uid: peer.uid,
        program: peer.program.clone(),
        since: since.map(|since| since.as_secs()),
    }
}

fn registry(registry: &Registry) -> Instances {
    let claims = registry.claims.iter().map(|claim| Claim {
        resource: claim.resource.clone(),
        holder: instance(&claim.holder),
    });
    Instances {
        name: registry.name.clone(),
        uid: registry.uid,
        scope: registry.scope.clone(),
        place: registry.place.to_string_lossy().into_owned(),
        instances: registry.instances.iter().map(instance).collect(),
        claims: claims.collect(),
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

#[derive(Serialize)]
#[allow(clippy::struct_field_names)]
struct Key<'a> {
    key: &'a str,
    qt: &'a str,
    system_v: SystemV,
    posix: Option<Posix<'a>>,
}

#[derive(Serialize)]
struct SystemV {
    native_key: String,
    shm_file: String,
    shm_proj_id: String,
    sem_file: String,
    sem_proj_id: String,
    shm_key: Option<String>,
    sem_key: Option<String>,
}

#[derive(Serialize)]
struct Posix<'a> {
    shm_name: &'a str,
    sem_name: &'a str,
}

/// `qshm key --json`.
pub fn key(key: &str, qt: &str, keys: &NativeKeys) -> String {
    // Where Qt says KeyError there is no file.
    let usable = !keys.too_long;
    let name = |file: &Path| {
        let name = file.file_name().filter(|_| usable);
        name.unwrap_or_default().to_string_lossy().into_owned()
    };
    let project = |id: u8| format!("{:02x}", if usable { id } else { 0 });
    text(&Key {
        key,
        qt,
        system_v: SystemV {
            native_key: keys.segment_file.to_string_lossy().into_owned(),
            shm_file: name(&keys.segment_file),
            shm_proj_id: project(keys.segment_project),
            sem_file: name(&keys.semaphore_file),
            sem_proj_id: project(keys.semaphore_project),
            shm_key: hex(keys.segment_key),
            sem_key: hex(keys.semaphore_key),
        },
        posix: keys.posix.as_ref().map(|posix| Posix {
            shm_name: &posix.segment,
            sem_name: &posix.semaphore,
        }),
    })
}
