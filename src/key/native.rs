//! Keys as Qt 6.6 and later have them: `QNativeIpcKey`, a type and a name.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::{SEGMENT_PREFIX, SEMAPHORE_PREFIX};

/// Where shm_open(3) and sem_open(3) of glibc have their objects.
pub const SHM_DIRECTORY: &str = "/dev/shm";

/// What sem_open(3) puts before a name.
const SEM_PREFIX: &[u8] = b"sem.";

/// The longest name that sem_open(3) takes, in bytes: `NAME_MAX` less its prefix. Since Qt opens
/// the semaphore first, a segment's name can't be longer either.
const LONGEST_NAME: usize = 251;

/// `QNativeIpcKey::Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// System V, by a key file and this project id of ftok(3). Qt's own is `'Q'`.
    SystemV(u8),
    /// POSIX realtime: shm_open(3) and sem_open(3).
    Posix,
}

impl KeyType {
    /// The type of this number in Qt; `None` for that of Windows. As in Qt on Linux, a number that
    /// is none counts as System V.
    ///
    /// ```
    /// # use qshm::key::KeyType;
    /// assert_eq!(KeyType::from_number(0x51), Some(KeyType::SystemV(b'Q')));
    /// assert_eq!(KeyType::from_number(0x100), Some(KeyType::Posix));
    /// assert_eq!(KeyType::from_number(0x101), None);
    /// ```
    pub fn from_number(number: u16) -> Option<Self> {
        match number {
            0x100 => Some(Self::Posix),
            0x101 => None,
            number => Some(Self::SystemV((number & 0xff) as u8)),
        }
    }
}

/// Why a name is none for a POSIX object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// Nothing but slashes or dots, or a slash inside.
    Invalid,
    /// Longer than a file name can be.
    TooLong,
}

/// A `QNativeIpcKey`.
///
/// ```
/// # use qshm::key::{KeyType, NativeKey};
/// # use std::path::Path;
/// let key = NativeKey::new(KeyType::Posix, "/counter".into(), false);
/// let (segment, semaphore) = key.objects().unwrap();
/// assert_eq!(segment, Path::new("/dev/shm/counter"));
/// assert_eq!(semaphore, Path::new("/dev/shm/sem.counter"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeKey {
    kind: KeyType,
    name: PathBuf,
    legacy: bool,
    /// The name of the semaphore, where that does not follow from the segment's.
    semaphore: Option<PathBuf>,
}

impl NativeKey {
    /// A key of this type and name. `legacy`: the name is what Qt makes of a `setKey()`, as
    /// `legacyNativeKey()` gives it, so that segment and semaphore have names of their own.
    pub fn new(kind: KeyType, name: PathBuf, legacy: bool) -> Self {
        Self {
            kind,
            name: as_c_string(name),
            legacy,
            semaphore: None,
        }
    }

    /// The same key, with a lock of this name: in Qt it follows from the key that was given to
    /// `setKey()`, if the `QNativeIpcKey` remembers one, whatever the segment's name is.
    pub fn with_semaphore(mut self, name: PathBuf) -> Self {
        self.semaphore = Some(as_c_string(name));
        self
    }

    /// Its type.
    pub fn kind(&self) -> KeyType {
        self.kind
    }

    /// The name: the path of a key file, or that of a POSIX object.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Whether the key leads nowhere.
    pub fn is_empty(&self) -> bool {
        self.name.as_os_str().is_empty()
    }

    /// The name of the segment or, of a System V key that is no legacy key, of both.
    pub fn segment(&self) -> PathBuf {
        self.name.clone()
    }

    /// The name of the semaphore that is the segment's lock: of a legacy key it is another.
    pub fn semaphore(&self) -> PathBuf {
        if let Some(name) = &self.semaphore {
            return name.clone();
        }
        let name = self.name.as_os_str().as_bytes();
        let start = name.len()
            - self
                .name
                .file_name()
                .map_or(0, |file| file.as_bytes().len());
        let (directory, file) = name.split_at_checked(start).unwrap_or((name, b""));
        match file.strip_prefix(SEGMENT_PREFIX.as_bytes()) {
            Some(rest) if self.legacy => {
                let path = [directory, SEMAPHORE_PREFIX.as_bytes(), rest].concat();
                OsString::from_vec(path).into()
            }
            _ => self.name.clone(),
        }
    }

    /// The same key, where its name is that of a semaphore. One of a legacy key has a name that
    /// says so.
    pub(crate) fn of_semaphore(&self) -> Self {
        let file = self.name.file_name().unwrap_or_default().as_bytes();
        match file.strip_prefix(SEMAPHORE_PREFIX.as_bytes()) {
            Some(rest) => {
                let name = [SEGMENT_PREFIX.as_bytes(), rest].concat();
                Self {
                    name: self.name.with_file_name(OsString::from_vec(name)),
                    legacy: true,
                    semaphore: None,
                    kind: self.kind,
                }
            }
            None => self.clone(),
        }
    }

    /// The files of the POSIX objects of this key: those of the segment and of the semaphore.
    pub fn objects(&self) -> Result<(PathBuf, PathBuf), NameFault> {
        let segment = object(b"", &self.name)?;
        let semaphore = object(SEM_PREFIX, &self.semaphore())?;
        Ok((segment, semaphore))
    }
}

/// What Qt calls ends where a C string does.
fn as_c_string(name: PathBuf) -> PathBuf {
    let end = name
        .as_os_str()
        .as_bytes()
        .iter()
        .position(|byte| *byte == 0);
    let Some(end) = end else { return name };
    let mut bytes = name.into_os_string().into_vec();
    bytes.truncate(end);
    OsString::from_vec(bytes).into()
}

/// The file of an object, as shm_open(3) and sem_open(3) find it.
fn object(prefix: &[u8], name: &Path) -> Result<PathBuf, NameFault> {
    let name = name.as_os_str().as_bytes();
    let start = name.iter().position(|byte| *byte != b'/');
    let name = start.and_then(|start| name.get(start..)).unwrap_or(b"");
    if name.is_empty() || name.contains(&b'/') || [&b"."[..], b".."].contains(&name) {
        Err(NameFault::Invalid)
    } else if name.len() > LONGEST_NAME {
        Err(NameFault::TooLong)
    } else {
        let path = [SHM_DIRECTORY.as_bytes(), b"/", prefix, name].concat();
        Ok(OsString::from_vec(path).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn posix(name: &str, legacy: bool) -> NativeKey {
        NativeKey::new(KeyType::Posix, name.into(), legacy)
    }

    #[test]
    fn names_are_those_of_glibc() {
        for (name, expected) in [
            ("/a", Ok("a")),
            ("a", Ok("a")),
            ("///a b", Ok("a b")),
            ("/a\0b", Ok("a")),
            ("", Err(NameFault::Invalid)),
            ("//", Err(NameFault::Invalid)),
            ("a/b", Err(NameFault::Invalid)),
            ("/a/", Err(NameFault::Invalid)),
            ("..", Err(NameFault::Invalid)),
        ] {
            let found = posix(name, false).objects();
            let expected = expected.map(|name| {
                let path = |prefix| PathBuf::from(format!("{SHM_DIRECTORY}/{prefix}{name}"));
                (path(""), path("sem."))
            });
            assert_eq!(found, expected, "{name:?}");
        }
        let long = format!("/{}", "x".repeat(LONGEST_NAME));
        assert!(posix(&long, false).objects().is_ok());
        assert_eq!(
            posix(&format!("{long}x"), false).objects(),
            Err(NameFault::TooLong)
        );
    }

    #[test]
    fn only_a_legacy_key_has_another_semaphore() {
        let name = "/tmp/qipc_sharedmemory_a1";
        let key = |legacy| NativeKey::new(KeyType::SystemV(b'Q'), name.into(), legacy);
        assert_eq!(key(true).semaphore(), Path::new("/tmp/qipc_systemsem_a1"));
        assert_eq!(key(false).semaphore(), Path::new(name));
        let (segment, semaphore) = posix("/qipc_sharedmemory_a1", true).objects().unwrap();
        let other = posix("/a", true).with_semaphore("/b\0c".into());
        assert_eq!(other.objects().unwrap().1, Path::new("/dev/shm/sem.b"));
        assert_eq!(segment, Path::new("/dev/shm/qipc_sharedmemory_a1"));
        assert_eq!(semaphore, Path::new("/dev/shm/sem.qipc_systemsem_a1"));
    }
}
