//! Where the objects of a key are: the machine-wide place that Qt uses, and one aside for each
//! identity, for when what stands at the first belongs to somebody who does not let us use it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::kernel::{Errno, FileKind, Kernel};
use crate::key::{self, Key, KeyType, NativeKey};

use crate::actor::Actor;
use crate::trouble::{FileFault, Obstacle, Step, Trouble};

/// The key files of one key in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The private directory that holds them, if this is the place aside.
    pub directory: Option<Arc<Path>>,
    /// The segment's key file, whose lock is the lifecycle lock.
    pub segment: Arc<Path>,
    /// The semaphore's key file; a native key has none.
    pub semaphore: Option<Arc<Path>>,
}

/// Both places of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub machine: Place,
    pub aside: Place,
    /// Whether the files are those of POSIX objects, and not key files.
    pub posix: bool,
}

impl Places {
    /// The places of a key as `setKey()` takes it.
    pub fn of_key(key: &Key, uid: u32) -> Self {
        Self::of_files(&key.segment_file(), Some(&key.semaphore_file()), uid)
    }

    /// The places of a native key: of the same segment as a key with that key file.
    pub fn of_native_key(path: &Path, uid: u32) -> Self {
        Self::of_files(path, None, uid)
    }

    /// The places of a `QNativeIpcKey`. Of a POSIX name that is none: those of no key.
    pub fn of_native_ipc_key(key: &NativeKey, uid: u32) -> Self {
        if key.kind() == KeyType::Posix {
            let (segment, semaphore) = key.objects().unwrap_or_default();
            let places = Self::of_files(&segment, Some(&semaphore), uid);
            return Places {
                posix: true,
                ..places
            };
        }
        Self::of_files(&key.segment(), Some(&key.semaphore()), uid)
    }

    /// The places of a `QNativeIpcKey` of a `QSystemSemaphore`.
    pub fn of_native_ipc_semaphore(key: &NativeKey, uid: u32) -> Self {
        Self::of_native_ipc_key(&key.of_semaphore(), uid)
    }

    fn of_files(segment: &Path, semaphore: Option<&Path>, uid: u32) -> Self {
        let path = |parts: &[&[u8]]| Arc::from(Path::new(OsStr::from_bytes(&parts.concat())));
        let directory = format!("qshm-{uid}");
        let (parent, _) = split(segment);
        let beside = |file: &Path| path(&[parent, directory.as_bytes(), b"/", split(file).1]);
        Places {
            aside: Place {
                segment: beside(segment),
                semaphore: semaphore.map(beside),
                directory: Some(path(&[parent, directory.as_bytes()])),
            },
            posix: false,
            machine: Place {
                directory: None,
                segment: segment.into(),
                semaphore: semaphore.map(Arc::from),
            },
        }
    }
}

/// The directory, with the slash behind it, and the name. As text: to take paths apart by
/// components would show in the time of a start.
fn split(file: &Path) -> (&[u8], &[u8]) {
    let file = file.as_os_str().as_bytes();
    let slash = file.iter().rposition(|byte| *byte == b'/');
    file.split_at(slash.map_or(0, |slash| slash + 1))
}

impl Place {
    /// The semaphore's key file also where the key is native but named as Qt names it: for
    /// clearing up, not for locking.
    pub fn semaphore_to_clear(&self) -> Option<Arc<Path>> {
        self.semaphore.clone().or_else(|| {
            let name = self.segment.file_name()?.to_str()?;
            let rest = name.strip_prefix(key::SEGMENT_PREFIX)?;
            let name = format!("{}{rest}", key::SEMAPHORE_PREFIX);
            Some(self.segment.with_file_name(name).into())
        })
    }

    /// Whether the place can hold anything of ours: always, but for a place aside whose
    /// directory is missing.
    ///
    /// # Errors
    /// The directory is in the way: not one, or not ours alone.
    pub fn is_there<K: Kernel>(&self, actor: &Actor<K>) -> Result<bool, Trouble> {
        let Some(directory) = &self.directory else {
            return Ok(true);
        };
        let stat = match actor.kernel.lstat(directory) {
            Ok(stat) => stat,
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => return Ok(false),
            Err(errno) => return Err(Trouble::system(Step::KeyFile, errno, directory)),
        };
        let fault = if stat.kind != FileKind::Directory {
            FileFault::NotPlain
        } else if stat.uid != actor.identity.uid && stat.uid != 0 || stat.mode & 0o022 != 0 {
            FileFault::Foreign
        } else {
            return Ok(true);
        };
        Err(Trouble::InTheWay(Obstacle::file(
            directory,
            fault,
            Some(stat),
        )))
    }

    /// Makes the directory of a place aside if it is missing.
    pub fn make_directory<K: Kernel>(&self, actor: &Actor<K>) -> Result<(), Trouble> {
        if let Some(directory) = &self.directory {
            if !self.is_there(actor)? {
                match actor.make_directory(directory) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(Trouble::system(Step::KeyFile, errno, directory)),
                }
                self.is_there(actor)?;
            }
        }
        Ok(())
    }

    /// Removes the directory of a place aside if nothing is in it.
    pub fn remove_directory<K: Kernel>(&self, actor: &Actor<K>) {
        if let Some(directory) = &self.directory {
            let _ = actor.kernel.rmdir(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_aside_has_the_same_names() {
        let places = Places::of_key(&Key::new(b"ab1", Path::new("/tmp")), 1000);
        assert_eq!(places.machine.directory, None);
        assert_eq!(
            places.aside.directory.as_deref(),
            Some(Path::new("/tmp/qshm-1000"))
        );
        assert_eq!(
            places.aside.segment.file_name(),
            places.machine.segment.file_name()
        );
        let semaphore = places.machine.semaphore.as_deref();
        assert_eq!(
            places.aside.semaphore.as_deref().and_then(Path::file_name),
            semaphore.and_then(Path::file_name)
        );
        assert_eq!(places.machine.semaphore_to_clear().as_deref(), semaphore);
    }

    #[test]
    fn a_native_key_shares_the_segment_and_knows_what_to_clear() {
        let key = Places::of_key(&Key::new(b"ab1", Path::new("/tmp")), 0);
        let native = Places::of_native_key(&key.machine.segment, 0);
        assert_eq!(native.machine.segment, key.machine.segment);
        assert_eq!(native.aside.segment, key.aside.segment);
        assert_eq!(native.machine.semaphore, None);
        assert_eq!(native.machine.semaphore_to_clear(), key.machine.semaphore);
        let other = Places::of_native_key(Path::new("/run/x/file"), 0);
        assert_eq!(other.machine.semaphore_to_clear(), None);
        assert_eq!(&*other.aside.segment, Path::new("/run/x/qshm-0/file"));
    }
}
