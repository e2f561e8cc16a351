//! What a key file's name tells of the key.

use std::fmt;
use std::path::Path;

use crate::key::{Key, SEGMENT_PREFIX, SEMAPHORE_PREFIX};

/// Hexadecimal digits of the hash at the end of a key file's name.
const HASH: usize = 40;

/// A key, as far as it can be known: its file name has its letters and a hash of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyGuess {
    /// The key itself.
    Known(String),
    /// Its ASCII letters; the key has more.
    Letters(String),
    /// Only the native key is known: a path, or a name of POSIX.
    Native(String),
    /// Only that it is one of Qt's: the key file is gone.
    Unknown,
}

impl fmt::Display for KeyGuess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyGuess::Known(key) | KeyGuess::Native(key) => f.write_str(key),
            KeyGuess::Letters(letters) => write!(f, "{letters}…"),
            KeyGuess::Unknown => f.write_str("?"),
        }
    }
}

/// Which of a pair a key file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Segment,
    Semaphore,
}

/// Takes the name of a key file apart: which part it is for, and what comes after the prefix.
pub(super) fn parts(name: &str) -> Option<(Part, &str)> {
    let (part, rest) = if let Some(rest) = name.strip_prefix(SEGMENT_PREFIX) {
        (Part::Segment, rest)
    } else {
        (Part::Semaphore, name.strip_prefix(SEMAPHORE_PREFIX)?)
    };
    let (letters, hash) = split(rest)?;
    let is_letters = letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_hash = hash
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (is_letters && is_hash).then_some((part, rest))
}

/// Whether a file of this name is one of Qt's key files.
pub(super) fn is_key_file(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|name| parts(name).is_some())
}

fn split(rest: &str) -> Option<(&str, &str)> {
    let at = rest.len().checked_sub(HASH)?;
    Some((rest.get(..at)?, rest.get(at..)?))
}

/// The key of a name without its prefix. Many keys are letters only, and then that is all.
pub(super) fn guess(rest: &str) -> KeyGuess {
    let Some((letters, _)) = split(rest) else {
        return KeyGuess::Unknown;
    };
    if !letters.is_empty() && rest_of_key(letters).as_deref() == Some(rest) {
        KeyGuess::Known(letters.to_owned())
    } else {
        KeyGuess::Letters(letters.to_owned())
    }
}

/// What comes after the prefix in the file names of a key.
pub(super) fn rest_of_key(key: &str) -> Option<String> {
    let file = Key::new(key.as_bytes(), Path::new("")).segment_file();
    let name = file.file_name()?.to_str()?;
    name.strip_prefix(SEGMENT_PREFIX).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_letters_is_known() {
        for key in ["Logic", "a"] {
            let rest = rest_of_key(key).unwrap_or_default();
            assert_eq!(guess(&rest), KeyGuess::Known(key.to_owned()));
        }
        for (key, letters) in [
            ("Logic 2", "Logic"),
            ("com.x", "comx"),
            ("1", ""),
            ("é", ""),
        ] {
            let rest = rest_of_key(key).unwrap_or_default();
            assert_eq!(guess(&rest), KeyGuess::Letters(letters.to_owned()));
        }
    }

    #[test]
    fn only_what_qt_names_is_a_key_file() {
        let rest = rest_of_key("Logic").unwrap_or_default();
        for (name, part) in [
            (format!("qipc_sharedmemory_{rest}"), Some(Part::Segment)),
            (format!("qipc_systemsem_{rest}"), Some(Part::Semaphore)),
            (format!("qipc_systemsem_{rest}.bak"), None),
            (format!("qipc_sharedmemory_1{rest}"), None),
            ("qipc_sharedmemory_Logic".to_owned(), None),
            ("qipc_sharedmemory_".to_owned(), None),
            (format!("qipc_sharedmemory_é{rest}"), None),
            (rest.to_uppercase(), None),
        ] {
            assert_eq!(parts(&name).map(|(part, _)| part), part, "{name}");
        }
    }
}
