//! From a key to the files that stand for it, as Qt names them.
//!
//! Qt turns the key that an application chose into the path of a *key file* in the temp
//! directory, and the file's identity into the `key_t` of a System V object (see
//! [`generation`]). A real Qt program and one with qshm only meet if every byte of the path is
//! the same.

pub mod generation;
mod native;
mod temp;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

pub use generation::{Generation, all_project_ids, ftok, ipc_key};
pub use native::{KeyType, NameFault, NativeKey, SHM_DIRECTORY};
pub use temp::{temp_dir, temp_dir_of};

/// How the names of segments' key files begin.
pub const SEGMENT_PREFIX: &str = "qipc_sharedmemory_";

/// How the names of semaphores' key files begin.
pub const SEMAPHORE_PREFIX: &str = "qipc_systemsem_";

/// The longest file name that Linux file systems take, in bytes: `NAME_MAX`.
const LONGEST_NAME: usize = 255;

/// What `setKey` was given.
///
/// Qt tells a null key from an empty one, though neither leads anywhere.
///
/// ```
/// # use std::path::Path;
/// # use qshm::key::Key;
/// let key = Key::new(b"Logic", Path::new("/tmp"));
/// assert_eq!(
///     key.segment_file(),
///     Path::new("/tmp/qipc_sharedmemory_Logic3d52a6d8fedcc48a65297c07bf5f7e3e41aab5aa"),
/// );
/// assert!(Key::new(b"", Path::new("/tmp")).is_empty());
/// assert!(Key::null().is_null());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    utf8: Option<Box<[u8]>>,
    // Made once: hashing at every create and attach would show in their time.
    segment_file: PathBuf,
    semaphore_file: PathBuf,
}

impl Key {
    /// No key: a null `QString`.
    pub fn null() -> Self {
        Self {
            utf8: None,
            segment_file: PathBuf::new(),
            semaphore_file: PathBuf::new(),
        }
    }

    /// A key as UTF-8, and the temp directory as the loaded Qt has it (or [`temp_dir`]).
    ///
    /// Qt's own conversion should make the UTF-8: versions differ on lone surrogates.
    pub fn new(utf8: &[u8], temp: &Path) -> Self {
        if utf8.is_empty() {
            return Self {
                utf8: Some(Box::default()),
                ..Self::null()
            };
        }
        let name = safe_name(utf8);
        Self {
            utf8: Some(utf8.into()),
            segment_file: in_directory(temp, SEGMENT_PREFIX, &name),
            semaphore_file: in_directory(temp, SEMAPHORE_PREFIX, &name),
        }
    }

    /// Whether no key was set.
    pub fn is_null(&self) -> bool {
        self.utf8.is_none()
    }

    /// Whether the key leads nowhere: null or `""`.
    pub fn is_empty(&self) -> bool {
        self.utf8().is_empty()
    }

    /// The key itself; empty if null.
    pub fn utf8(&self) -> &[u8] {
        self.utf8.as_deref().unwrap_or_default()
    }

    /// The segment's key file, which is also what `QSharedMemory::nativeKey()` answers; the
    /// empty path for an empty key.
    pub fn segment_file(&self) -> PathBuf {
        self.segment_file.clone()
    }

    /// The key file of the semaphore, either a segment's lock or a `QSystemSemaphore`; the empty
    /// path for an empty key.
    pub fn semaphore_file(&self) -> PathBuf {
        self.semaphore_file.clone()
    }
}

/// Whether no file system would take the key file's name. Qt says `KeyError` then.
pub fn name_too_long(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| name.len() > LONGEST_NAME)
}

/// The part of a key file's name that the key gives: its ASCII letters, for people who look
/// into the temp directory, and a hash that tells keys apart.
fn safe_name(utf8: &[u8]) -> String {
    let letters = utf8.iter().filter(|byte| byte.is_ascii_alphabetic());
    let mut name = String::with_capacity(utf8.len() + 2 * Sha1::output_size());
    name.extend(letters.map(|byte| char::from(*byte)));
    let digit = |number: u8| char::from_digit(number.into(), 16).unwrap_or_default();
    for byte in Sha1::digest(utf8) {
        name.extend([digit(byte >> 4), digit(byte & 0xf)]);
    }
    name
}

/// `temp/prefixname`, text by text as Qt does: `Path::join` would drop a slash where `temp` is
/// `/`, or leave it out where `temp` is empty, and the project id of Qt 5.0 to 5.8 is a hash of
/// the path's text.
fn in_directory(temp: &Path, prefix: &str, name: &str) -> PathBuf {
    let temp = temp.as_os_str().as_bytes();
    let path = [temp, b"/", prefix.as_bytes(), name.as_bytes()].concat();
    OsString::from_vec(path).into()
}
