//! A [`Diagnosis`] as C++ has it: an option is a vector of at most one.

use std::path::Path;

use super::ffi;
use crate::diagnosis::{Diagnosis, Object, PlaceReport, SegmentReport, SemaphoreReport, Verdict};

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn object_of(object: &Object) -> ffi::IpcObjectReport {
    let permissions = object.perm.map(|perm| ffi::PermissionsReport {
        uid: perm.uid,
        gid: perm.gid,
        creator_uid: perm.cuid,
        creator_gid: perm.cgid,
        mode: perm.mode,
    });
    ffi::IpcObjectReport {
        key: object.key,
        id: object.id,
        key_file: text_of(&object.path),
        permissions: permissions.into_iter().collect(),
    }
}

fn segment_of(segment: &SegmentReport) -> ffi::SegmentReport {
    let state = segment.stat.map(|stat| ffi::SegmentStateReport {
        size: stat.size,
        attached: stat.attached,
        creator_pid: stat.creator_pid,
        last_pid: stat.last_pid,
    });
    let processes = segment.processes.iter().map(|process| ffi::ProcessReport {
        pid: process.pid,
        uid: process.uid,
        program: process.program.clone(),
    });
    ffi::SegmentReport {
        object: object_of(&segment.object),
        state: state.into_iter().collect(),
        processes: processes.collect(),
    }
}

fn semaphore_of(semaphore: &SemaphoreReport) -> ffi::SemaphoreReport {
    ffi::SemaphoreReport {
        object: object_of(&semaphore.object),
        value: semaphore.value.into_iter().collect(),
        last_pid: semaphore.last_pid.into_iter().collect(),
    }
}

fn place_of(place: &PlaceReport) -> ffi::PlaceReport {
    ffi::PlaceReport {
        segment: place.segment.iter().map(segment_of).collect(),
        semaphore: place.semaphore.iter().map(semaphore_of).collect(),
        files: place.files.iter().map(|path| text_of(path)).collect(),
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
    }
}
