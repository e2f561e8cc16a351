//! What each version of Qt makes of a key.

use std::path::{Path, PathBuf};

use crate::kernel::{IpcKey, Kernel as _, Linux};
use crate::key::{Generation, Key, ftok, ipc_key, name_too_long};

/// The native keys and key files of a key in one temp directory, for one version of Qt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeKeys {
    /// The segment's key file, which is also the native key.
    pub segment_file: PathBuf,
    /// The project id of the segment's `key_t`.
    pub segment_project: u8,
    /// The semaphore's key file.
    pub semaphore_file: PathBuf,
    /// The project id of the semaphore's `key_t`.
    pub semaphore_project: u8,
    /// The segment's `key_t`, where the key file exists.
    pub segment_key: Option<IpcKey>,
    /// The semaphore's `key_t`, where the key file exists.
    pub semaphore_key: Option<IpcKey>,
    /// The names of POSIX objects, of Qt 6.6 and later: of a `QNativeIpcKey` that
    /// `platformSafeKey()` makes.
    pub posix: Option<PosixNames>,
    /// Whether a key file's name is longer than file systems take, so that Qt says `KeyError`.
    pub too_long: bool,
}

/// Names for shm_open(3) and sem_open(3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PosixNames {
    /// Of the segment.
    pub segment: String,
    /// Of the semaphore.
    pub semaphore: String,
}

/// The native keys of a key.
///
/// ```
/// use std::path::Path;
/// use qshm::diagnosis::native_keys;
/// use qshm::key::Generation;
///
/// let keys = native_keys("Logic", Path::new("/tmp"), Generation::Qt59);
/// assert!(keys.segment_file.starts_with("/tmp"));
/// assert_eq!(keys.segment_project, b'Q');
/// assert_eq!(keys.posix, None);
/// ```
pub fn native_keys(key: &str, temp: &Path, generation: Generation) -> NativeKeys {
    let key_of = |file: &Path| {
        let stat = Linux.lstat(file).ok()?;
        Some(ipc_key(generation, file, &stat)).filter(|key| *key != ftok(0, 0, 0))
    };
    let names = Key::new(key.as_bytes(), temp);
    let (segment_file, semaphore_file) = (names.segment_file(), names.semaphore_file());
    // A name with a slash inside is none that shm_open(3) takes.
    let usable = generation == Generation::Qt66 && !key.is_empty() && !key.contains('/');
    let posix = usable.then(|| PosixNames {
        segment: format!("/{key}"),
        semaphore: format!("/{key}"),
    });
    NativeKeys {
        segment_project: generation.project_id(&segment_file),
        semaphore_project: generation.project_id(&semaphore_file),
        segment_key: key_of(&segment_file),
        semaphore_key: key_of(&semaphore_file),
        too_long: name_too_long(&segment_file) || name_too_long(&semaphore_file),
        segment_file,
        semaphore_file,
        posix,
    }
}
