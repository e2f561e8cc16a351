//! A [`Diagnosis`] as C++ has it: an option is a vector of at most one.

use std::path::{Path, PathBuf};

use super::ffi;
use crate::diagnosis::{
    Diagnosis, FileFound, Inside, PlaceReport, Process, SegmentFound, SemaphoreFound, State,
    Verdict,
};
use crate::kernel::{IpcId, IpcKey, IpcPerm};

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn object_of(
    (key, id): (Option<IpcKey>, Option<IpcId>),
    file: Option<&PathBuf>,
    permissions: Option<IpcPerm>,
    since: Option<i64>,
) -> ffi::IpcObjectReport {
    let permissions = permissions.map(|perm| ffi::PermissionsReport {
        uid: perm.uid,
        gid: perm.gid,
        creator_uid: perm.cuid,
        creator_gid: perm.cgid,
        mode: perm.mode,
    });
    ffi::IpcObjectReport {
        key: key.into_iter().collect(),
        id: id.into_iter().collect(),
        file: file.map_or_else(String::new, |file| text_of(file)),
        permissions: permissions.into_iter().collect(),
        since: since.into_iter().collect(),
    }
}

fn segment_of(found: &SegmentFound) -> ffi::SegmentReport {
    let numbers = (found.key, found.id);
    ffi::SegmentReport {
        object: object_of(numbers, found.file.as_ref(), found.perm, found.changed),
        size: found.size.into_iter().collect(),
        attached: found.attached.into_iter().collect(),
        creator_pid: found.creator_pid.into_iter().collect(),
        last_pid: found.last_pid.into_iter().collect(),
        removed: found.removed,
    }
}

fn semaphore_of(found: &SemaphoreFound) -> ffi::SemaphoreReport {
    let numbers = (found.key, found.id);
    ffi::SemaphoreReport {
        object: object_of(numbers, found.file.as_ref(), found.perm, found.changed),
        value: found.value.into_iter().collect(),
        last_pid: found.last_pid.into_iter().collect(),
        waiting: found.waiting.into_iter().collect(),
        holder: found.holder.iter().map(process_of).collect(),
        holder_died: found.inside == Inside::Dead,
    }
}

fn process_of(process: &Process) -> ffi::ProcessReport {
    ffi::ProcessReport {
        pid: process.pid,
        uid: process.uid,
        program: process.program.clone(),
        stopped: process.stopped,
    }
}

fn file_of(file: &FileFound) -> ffi::KeyFileReport {
    let trouble = file.fault.map(|fault| fault.to_string());
    ffi::KeyFileReport {
        path: text_of(&file.path),
        uid: file.uid,
        gid: file.gid,
        mode: file.mode,
        trouble: trouble.unwrap_or_default(),
    }
}

fn place_of(place: &PlaceReport) -> ffi::PlaceReport {
    ffi::PlaceReport {
        state: match place.state {
            None => ffi::ObjectState::Nothing,
            Some(State::Live) => ffi::ObjectState::Live,
            Some(State::Leftover) => ffi::ObjectState::Leftover,
            Some(State::SemaphoreAlone) => ffi::ObjectState::SemaphoreAlone,
            Some(State::FileAlone) => ffi::ObjectState::FileAlone,
            Some(State::Unclear) => ffi::ObjectState::Unclear,
        },
        segment: place.segment.iter().map(segment_of).collect(),
        semaphore: place.semaphore.iter().map(semaphore_of).collect(),
        files: place.files.iter().map(file_of).collect(),
        processes: place.users.seen.iter().map(process_of).collect(),
        hidden_processes: place.users.hidden,
        entering: place.entering.iter().map(process_of).collect(),
    }
}

pub(super) fn diagnosis_of(diagnosis: &Diagnosis) -> ffi::DiagnosisReport {
    ffi::DiagnosisReport {
        machine_wide: place_of(&diagnosis.machine_wide),
        aside: place_of(&diagnosis.aside),
        verdict: match diagnosis.verdict {
            Verdict::Free => ffi::Verdict::Free,
            Verdict::Live => ffi::Verdict::Live,
            Verdict::Leftover => ffi::Verdict::Leftover,
            Verdict::InTheWay => ffi::Verdict::InTheWay,
            Verdict::Aside => ffi::Verdict::Aside,
        },
        command: diagnosis.command.clone(),
        text: diagnosis.to_string(),
        time: diagnosis.time,
    }
}
