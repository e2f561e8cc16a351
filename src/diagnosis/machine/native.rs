//! Native keys as people write them, and whether an entry is of a key.

use std::path::PathBuf;

use super::entry::{Backend, Entry};
use super::guess::{self, KeyGuess};
use crate::key::SEGMENT_PREFIX;

/// The type of a native key, as `QNativeIpcKey::toString()` writes it before the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    /// `systemv`, or `systemv-33` with the project id in decimal.
    SystemV(u8),
    /// `posix`.
    Posix,
}

/// What a text is as a native key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typed<'a> {
    Yes(Type, &'a str),
    /// It has no type.
    No,
    /// Its project id is none.
    Wrong,
}

/// A native key taken apart: its type, and the rest without what `toString()` puts behind a `?`.
fn typed(key: &str) -> Typed<'_> {
    let Some((head, rest)) = key.split_once(':') else {
        return Typed::No;
    };
    let rest = rest.split('?').next().unwrap_or(rest);
    match (head, head.strip_prefix("systemv-").map(str::parse)) {
        ("systemv", _) => Typed::Yes(Type::SystemV(b'Q'), rest),
        ("posix", _) => Typed::Yes(Type::Posix, rest),
        (_, None) => Typed::No,
        (_, Some(Ok(0) | Err(_))) => Typed::Wrong,
        (_, Some(Ok(project))) => Typed::Yes(Type::SystemV(project), rest),
    }
}

/// Whether a text has the type of a native key and yet is none, of any Qt.
pub fn is_malformed(key: &str) -> bool {
    match typed(key) {
        Typed::No => false,
        Typed::Wrong => true,
        Typed::Yes(Type::SystemV(_), path) => !path.starts_with('/'),
        Typed::Yes(Type::Posix, name) => name.trim_start_matches('/').is_empty(),
    }
}

/// Whether it is of type `posix`.
pub(super) fn is_posix(key: &str) -> bool {
    matches!(typed(key), Typed::Yes(Type::Posix, _))
}

/// Whether an entry's project id is one that the native key means; one without a type means all.
pub(super) fn has_project(entry: &Entry, key: &str) -> bool {
    let Typed::Yes(Type::SystemV(project), _) = typed(key) else {
        return true;
    };
    let segment = entry.segment.as_ref().and_then(|segment| segment.key);
    let semaphore = || entry.semaphore.as_ref().and_then(|semaphore| semaphore.key);
    let number = segment.or_else(semaphore);
    entry.backend == Backend::SystemV
        && number.is_none_or(|number| (number as u32 >> 24) as u8 == project)
}

/// The path that a native key of System V names.
pub(super) fn path(key: &str) -> Option<PathBuf> {
    let path = match typed(key) {
        Typed::Yes(Type::SystemV(_), path) => path,
        Typed::Yes(Type::Posix, _) | Typed::Wrong => return None,
        Typed::No => key,
    };
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// The names, without their slash, that a key can have as POSIX objects: of the segment.
pub(super) fn posix_names(key: &str) -> Vec<String> {
    let name = match typed(key) {
        Typed::Yes(Type::Posix, name) => name,
        _ => key,
    };
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
            let is_file = |path: PathBuf| {
                // Either of the two key files.
                let given = path.file_name().and_then(|name| name.to_str());
                let given = given
                    .and_then(guess::parts)
                    .map(|(_, rest)| rest.to_owned());
                path == file || given.is_some() && given == rest && path.parent() == file.parent()
            };
            path(key).is_some_and(is_file)
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
            ("systemv-999:/tmp/x", None),
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
        for key in [
            "systemv:",
            "systemv:x",
            "systemv-0:/x",
            "systemv-999:/x",
            "systemv-ff:/x",
            "posix:",
            "posix:/",
        ] {
            assert!(is_malformed(key), "{key}");
        }
        for key in ["Logic", "", "a:b", "/tmp/x", "systemv-255:/x", "posix:x"] {
            assert!(!is_malformed(key), "{key}");
        }
    }
}
