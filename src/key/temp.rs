//! The temp directory as `QDir::tempPath()` makes it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What `QDir::tempPath()` answers: `$TMPDIR`, or `/tmp` where that is unset or empty, cleaned
/// and made canonical. The empty path if it does not exist, and the path as cleaned if that can't
/// be told (a directory that may not be searched, a loop of links).
pub fn temp_dir() -> PathBuf {
    temp_path(env::var_os("TMPDIR").as_deref(), Path::new(""))
}

/// What `QDir::tempPath()` answers in a process with this `TMPDIR`, where the directory exists;
/// else the path as cleaned.
pub fn temp_dir_of(tmpdir: &Path) -> PathBuf {
    let found = temp_path(Some(tmpdir.as_os_str()), Path::new(""));
    if found.as_os_str().is_empty() {
        clean(tmpdir)
    } else {
        found
    }
}

/// [`temp_dir`] for this value of `TMPDIR` and this working directory (empty: the process's).
fn temp_path(tmpdir: Option<&OsStr>, working_dir: &Path) -> PathBuf {
    let value = tmpdir
        .filter(|value| !value.is_empty())
        .unwrap_or(OsStr::new("/tmp"));
    // Qt has paths as text: bytes that are none lead nowhere.
    let cleaned = clean(Path::new(value.to_string_lossy().as_ref()));
    match fs::canonicalize(working_dir.join(&cleaned)) {
        Ok(canonical) => canonical,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            PathBuf::new()
        }
        Err(_) => cleaned,
    }
}

/// `QDir::cleanPath()`: `.`, `..` and repeated slashes taken out of the text.
///
/// That this comes before symbolic links are followed matters: `/link/..` is `/`, wherever the
/// link leads.
fn clean(path: &Path) -> PathBuf {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    /// A directory that goes away with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let name = format!("qshm-temp-test-{}", std::process::id());
            let path = fs::canonicalize(env::temp_dir()).unwrap().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The answers are those of `QDir::tempPath()` in Qt 5.15.8 and 6.4.2; `D` is a directory
    /// with `real/sub`, `other`, `with space`, `file`, `link` to `real/sub` and `loop` to itself,
    /// and the working directory.
    #[test]
    fn tmpdir_is_made_canonical_as_qt_does() {
        let scratch = Scratch::new();
        let directory = &scratch.0;
        for name in ["real/sub", "other", "with space"] {
            fs::create_dir_all(directory.join(name)).unwrap();
        }
        fs::write(directory.join("file"), "").unwrap();
        symlink(directory.join("real/sub"), directory.join("link")).unwrap();
        symlink("loop", directory.join("loop")).unwrap();

        let d = directory.to_str().unwrap();
        for (value, expected) in [
            ("D/real", "D/real"),
            ("D/real/", "D/real"),
            ("D/real///", "D/real"),
            ("//D//real", "D/real"),
            ("D/real/../other", "D/other"),
            ("D/real/./sub", "D/real/sub"),
            ("D/link", "D/real/sub"),
            ("D/link/", "D/real/sub"),
            ("D/link/..", "D"),
            ("D/missing", ""),
            ("D/missing/..", "D"),
            ("D/missing/../real", "D/real"),
            ("D/loop", "D/loop"),
            ("D/file", "D/file"),
            ("D/file/", "D/file"),
            ("D/file/..", "D"),
            ("D/file/x", ""),
            ("D/with space", "D/with space"),
            ("D/real ", ""),
            ("D/...", ""),
            ("real", "D/real"),
            ("./real", "D/real"),
            ("real/..", "D"),
            (".", "D"),
            ("./", "D"),
            ("link/..", "D"),
            ("real/../link", "D/real/sub"),
            ("missing", ""),
            ("~", ""),
            ("loop", "loop"),
            ("./loop", "loop"),
            ("loop/x", "loop/x"),
            ("/", "/"),
            ("//", "/"),
            ("/..", "/"),
            ("/./", "/"),
        ] {
            let [value, expected] = [value, expected].map(|text| text.replace('D', d));
            let answer = temp_path(Some(OsStr::new(&value)), directory);
            assert_eq!(answer.to_str(), Some(expected.as_str()), "{value:?}");
        }
        let not_text = OsStr::from_bytes(b"real\xff");
        fs::create_dir(directory.join(not_text)).unwrap();
        assert_eq!(temp_path(Some(not_text), directory), Path::new(""));
    }

    #[test]
    fn unset_and_empty_mean_tmp() {
        let tmp = fs::canonicalize("/tmp").unwrap();
        assert_eq!(temp_path(None, Path::new("")), tmp);
        assert_eq!(temp_path(Some(OsStr::new("")), Path::new("")), tmp);
    }

    #[test]
    fn the_process_has_a_temp_directory() {
        let tmpdir = env::var_os("TMPDIR");
        assert_eq!(temp_dir(), temp_path(tmpdir.as_deref(), Path::new("")));
    }

    proptest! {
        #[test]
        fn cleaning_leaves_nothing_to_clean(path in "[./ab]{0,12}") {
            let cleaned = clean(Path::new(&path));
            let text = cleaned.to_str().unwrap();
            prop_assert_eq!(path.starts_with('/'), text.starts_with('/'));
            prop_assert!(!text.contains("//") && !text.contains("/./") && !text.is_empty());
            prop_assert!(text == "/" || !text.ends_with('/'));
            let again = clean(&cleaned);
            prop_assert_eq!(again.to_str(), Some(text));
        }
    }
}
