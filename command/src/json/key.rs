//! Native keys.

use std::path::Path;

use qshm::diagnosis::NativeKeys;
use serde::Serialize;

use super::{hex, text};

#[derive(Serialize)]
#[allow(clippy::struct_field_names)]
struct Key<'a> {
    key: &'a str,
    qt: &'a str,
    error: Option<&'static str>,
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
    // Where Qt says KeyError there is no file, but a native key all the same.
    let usable = !keys.too_long;
    let error = (!usable || key.is_empty()).then_some("KeyError");
    let name = |file: &Path| {
        let name = file.file_name().filter(|_| usable);
        name.unwrap_or_default().to_string_lossy().into_owned()
    };
    let project = |id: u8| format!("{:02x}", if usable { id } else { 0 });
    text(&Key {
        key,
        qt,
        error,
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
