//! Native keys as people write them, and whether an entry is of a key.

use std::path::PathBuf;

use super::entry::{Backend, Entry};
use super::guess::{self, KeyGuess};
use crate::diagnosis::words;
use crate::key::SEGMENT_PREFIX;

/// A text without the type of its key: `systemv:`, `systemv-33:` and `posix:`, and without what
/// `QNativeIpcKey::toString()` puts behind a `?`.
fn without_type<'a>(key: &'a str, types: &[&str]) -> Option<&'a str> {
    let (head, rest) = key.split_once(':')?;
    let matches = types.iter().any(|name| {
        let number = head
            .strip_prefix(name)
            .map(|rest| rest.strip_prefix('-').unwrap_or(rest));
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    matches.then(|| rest.split('?').next().unwrap_or(rest))
}

/// The path that a native key of System V names.
pub(super) fn path(key: &str) -> Option<PathBuf> {
    let path = without_type(key, &["systemv"]).unwrap_or(key);
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// The names, without their slash, that a key can have as POSIX objects: of the segment.
pub(super) fn posix_names(key: &str) -> Vec<String> {
    let name = without_type(key, &["posix"]).unwrap_or(key);
    let name = name.strip_prefix('/').unwrap_or(name);
    let mut names = Vec::new();
    if !name.is_empty() && !name.contains('/') {
        names.push(name.to_owned());
    }
    names.extend(guess::rest_of_key(key).map(|rest| format!("{SEGMENT_PREFIX}{rest}")));
    names
}

/// Whether an entry is of a key, or of a native key.
pub(super) fn is_of_key(entry: &Entry, key: &str) -> bool {
    let Some(native) = &entry.native_key else {
        return false;
    };
    if native == key {
        return true;
    }
    match entry.backend {
        Backend::Posix => posix_names(key)
            .iter()
            .any(|name| Some(name.as_str()) == native.strip_prefix('/')),
        Backend::SystemV => {
            let file = path(native).unwrap_or_default();
            let name = file
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let rest = guess::parts(name).map(|(_, rest)| rest.to_owned());
            path(key).is_some_and(|path| path == file)
                || rest.is_some() && rest == guess::rest_of_key(key)
                // Of Qt 6.6 and later, in a runtime directory.
                || rest.is_none() && name == key
        }
    }
}

/// Puts the key that somebody asked for in the place of what could be guessed.
pub(super) fn name_it(entry: &mut Entry, key: &str) {
    let native = entry.native_key.as_deref() == Some(key) || key.contains(':');
    if !native && path(key).is_none() {
        entry.key = KeyGuess::Known(key.to_owned());
    }
}

/// What is wrong with a file that stands where a key file should be, in words; `None`: nothing.
pub(crate) fn in_the_way(file: &super::FileFound) -> Option<String> {
    let fault = file.fault?;
    Some(words::strange_file(&file.path, fault, file.uid, file.mode))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn native_keys_are_read_as_qt_writes_them() {
        for (key, file) in [
            ("/tmp/x", Some("/tmp/x")),
            ("systemv:/tmp/x", Some("/tmp/x")),
            ("systemv-33:/tmp/x", Some("/tmp/x")),
            ("systemv:/tmp/x?legacyKey=a", Some("/tmp/x")),
            ("posix:/x", None),
            ("Logic", None),
            ("a:/b", None),
        ] {
            assert_eq!(path(key).as_deref(), file.map(Path::new), "{key}");
        }
        assert_eq!(
            posix_names("posix:/Logic").first().map(String::as_str),
            Some("Logic")
        );
        assert_eq!(
            posix_names("Logic").first().map(String::as_str),
            Some("Logic")
        );
        assert_eq!(posix_names("a/b").len(), 1);
    }
}
