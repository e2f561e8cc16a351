//! The temp directory as `QDir::tempPath()` makes it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What `QDir::tempPath()` answers: `$TMPDIR`, or `/tmp` where that is unset or empty, cleaned
/// and made canonical. The empty path if it does not exist.
pub fn temp_dir() -> PathBuf {
    temp_path(env::var_os("TMPDIR").as_deref(), Path::new(""))
}

/// [`temp_dir`] for this value of `TMPDIR` and this working directory (empty: the process's).
pub(super) fn temp_path(tmpdir: Option<&OsStr>, working_dir: &Path) -> PathBuf {
    let value = tmpdir
        .filter(|value| !value.is_empty())
        .unwrap_or(OsStr::new("/tmp"));
    fs::canonicalize(working_dir.join(clean(Path::new(value)))).unwrap_or_default()
}

/// `QDir::cleanPath()`: `.`, `..` and repeated slashes taken out of the text.
///
/// That this comes before symbolic links are followed matters: `/link/..` is `/`, wherever the
/// link leads.
pub(super) fn clean(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let absolute = bytes.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in bytes.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if absolute => {}
            _ => parts.push(part),
        }
    }
    let text = parts.join(&b'/');
    let cleaned = match (absolute, text.is_empty()) {
        (true, _) => [b"/", text.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => text,
    };
    OsString::from_vec(cleaned).into()
}
