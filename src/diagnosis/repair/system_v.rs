//! System V objects and their key files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Left, Repair, file_name};
use crate::access::Access;
use crate::actor::Actor;
use crate::diagnosis::machine::{DirectoryKind, Doubt, Entry, Machine, State};
use crate::diagnosis::objects::{SegmentFound, SemaphoreFound};
use crate::kernel::linux::survey;
use crate::kernel::{Errno, IpcId, IpcKey, Kernel, Linux, Wait};
use crate::key::{SEMAPHORE_PREFIX, ftok};
use crate::key_file::{KeyFile, Make};
use crate::options::Options;
use crate::semaphore::{courtesy_of, end_courtesy, is_held};
use crate::trouble::{Step, Trouble};

/// How long another process's create, attach or detach is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Clears an entry.
pub(super) fn clear(machine: &Machine, entry: &Entry) -> Repair {
    let mut work = Work {
        // Whose the files are does not matter here: nothing is made, and what they lead to is
        // judged by itself.
        actor: Actor::with_options(
            Linux,
            machine.viewer.identity,
            Options {
                access: Access::World,
                lock_wait: LOCK_WAIT,
                ..Options::default()
            },
        ),
        machine,
        entry,
        removed: Vec::new(),
        courtesy: None,
    };
    let left = work.clear().err();
    end_courtesy(&work.actor, work.courtesy);
    if let Some((directory, DirectoryKind::Aside(_))) = &entry.directory {
        // If it was the last.
        let _ = Linux.rmdir(directory);
    }
    Repair {
        removed: work.removed,
        left,
    }
}

struct Work<'a> {
    machine: &'a Machine,
    actor: Actor<Linux>,
    entry: &'a Entry,
    removed: Vec<String>,
    /// Qt's own lock, while we have it.
    courtesy: Option<IpcId>,
}

impl Work<'_> {
    fn clear(&mut self) -> Result<(), Left> {
        let segment_file = self.lock_segment_file()?;
        if let (Some(file), Some(segment)) = (&segment_file, &self.entry.segment) {
            self.clear_segment(file, segment.key.unwrap_or(0))?;
        }
        let cleared = self.clear_semaphore(segment_file.as_ref());
        if let Some(file) = &segment_file {
            self.unlink(file, self.path_of(false).as_deref());
        }
        cleared
    }

    /// The path of one of the key files; of a native key both are the same.
    fn path_of(&self, semaphore: bool) -> Option<PathBuf> {
        let is_semaphore = |path: &Path| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            name.starts_with(SEMAPHORE_PREFIX.as_bytes())
        };
        let mut paths = self.entry.files.iter().map(|file| &file.path);
        paths.find(|path| is_semaphore(path) == semaphore).cloned()
    }

    /// The lifecycle lock, and that the key file still is the one that was seen.
    fn lock_segment_file(&self) -> Result<Option<KeyFile<Linux>>, Left> {
        let Some(path) = self.path_of(false) else {
            return Ok(None);
        };
        let file = KeyFile::lock(&self.actor, &path, Make::No).map_err(why)?;
        let file = file.ok_or(Left::Changed)?;
        let key = self.entry.segment.as_ref().and_then(|segment| segment.key);
        if key.is_some_and(|key| !leads_to(&file, key)) {
            return Err(Left::Changed);
        }
        Ok(Some(file))
    }

    fn clear_segment(&mut self, file: &KeyFile<Linux>, key: IpcKey) -> Result<(), Left> {
        let kernel = self.actor.kernel;
        let id = match kernel.shm_find(key) {
            Ok(id) => id,
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(Left::Failed(errno as i32)),
        };
        // A process of real Qt keeps Qt's lock from before it makes a segment until it is
        // attached.
        let semaphore = self
            .entry
            .semaphore
            .as_ref()
            .and_then(|semaphore| semaphore.key);
        if let Some(id) = semaphore.and_then(|key| kernel.sem_find(key).ok()) {
            self.courtesy = courtesy_of(&self.actor, id);
            if self.courtesy.is_none() && is_held(&kernel, id) {
                return Err(Left::InDoubt(Doubt::Held));
            }
        }
        match kernel.shm_stat(id) {
            Ok(stat) if stat.attached > 0 => return Err(Left::InUse),
            Ok(stat) if file.is_younger_than(stat.changed) => return Err(Left::Changed),
            Ok(_) => {}
            Err(errno) => return gone(errno),
        }
        match kernel.shm_remove(id) {
            Ok(()) => {
                self.removed
                    .push(SegmentFound::system_v(key, id, None).name());
                Ok(())
            }
            Err(errno) => gone(errno),
        }
    }

    /// Removes the semaphore if no process of ours has it open, nobody is inside and nobody
    /// waits; and its key file.
    fn clear_semaphore(&mut self, segment_file: Option<&KeyFile<Linux>>) -> Result<(), Left> {
        let own_file = self.path_of(true);
        let opened = match &own_file {
            Some(path) => {
                let opened = KeyFile::open(&self.actor, path, Make::No, Step::SemaphoreFile);
                let Some(file) = opened.map_err(why)? else {
                    return Ok(());
                };
                if !file.try_exclusive_as_last(&self.actor) {
                    return Err(Left::InUse);
                }
                if !file.is_in_place() {
                    return Err(Left::Changed);
                }
                Some(file)
            }
            None => None,
        };
        // Of a native key, the lifecycle lock is on the very same file.
        let Some(file) = opened.as_ref().or(segment_file) else {
            return Ok(());
        };
        if let Some(key) = self
            .entry
            .semaphore
            .as_ref()
            .and_then(|semaphore| semaphore.key)
        {
            if !leads_to(file, key) {
                return Err(Left::Changed);
            }
            self.remove_semaphore(key)?;
        }
        if own_file.is_some() {
            self.unlink(file, own_file.as_deref());
        }
        Ok(())
    }

    fn remove_semaphore(&mut self, key: IpcKey) -> Result<(), Left> {
        let kernel = self.actor.kernel;
        let id = match kernel.sem_find(key) {
            Ok(id) => id,
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(Left::Failed(errno as i32)),
        };
        if kernel.sem_waiting(id).is_ok_and(|count| count > 0) {
            return Err(Left::InUse);
        }
        if self.courtesy != Some(id) {
            // Of one that stands alone, the value is somebody's unless it is that of a free lock.
            let alone = self.entry.state == State::SemaphoreAlone;
            if !alone && is_held(&kernel, id) {
                return Err(Left::InDoubt(Doubt::Held));
            }
            if alone && kernel.sem_op(id, -1, Wait::No).is_ok() {
                self.courtesy = Some(id);
            } else if alone {
                return Err(Left::InDoubt(Doubt::MayBeOpen));
            }
        }
        match kernel.sem_remove(id) {
            Ok(()) => {
                self.courtesy = None;
                self.removed.push(SemaphoreFound::unseen(key, id).name());
                Ok(())
            }
            Err(errno) => gone(errno),
        }
    }

    /// Removes a key file that leads to nothing any more, in no version of Qt.
    fn unlink(&mut self, file: &KeyFile<Linux>, path: Option<&Path>) {
        let low = ftok(0, file.stat.dev, file.stat.ino);
        let leads = |key: IpcKey| key != 0 && key & 0xff_ffff == low;
        let used = survey::segments().iter().any(|row| leads(row.key))
            || survey::semaphores().iter().any(|row| leads(row.key));
        let Some(path) = path else { return };
        // Or by a program in another IPC namespace, whose objects can't be seen from here.
        let elsewhere = self.machine.is_key_file_used(&file.stat)
            || self.machine.may_be_shared_elsewhere(path, &file.stat);
        if !used && !elsewhere && file.is_in_place() {
            // Under the lock, and never one that holds something: a native key may be any file.
            if file.stat.size == 0 && survey::unlink_same(path, &file.stat).is_ok() {
                self.removed.push(file_name(path));
            }
        }
    }
}

fn leads_to(file: &KeyFile<Linux>, key: IpcKey) -> bool {
    key & 0xff_ffff == ftok(0, file.stat.dev, file.stat.ino)
}

/// Removed by somebody else is as good.
fn gone(errno: Errno) -> Result<(), Left> {
    match errno {
        Errno::EIDRM | Errno::EINVAL => Ok(()),
        Errno::EPERM | Errno::EACCES => Err(Left::NeedsRoot),
        errno => Err(Left::Failed(errno as i32)),
    }
}

#[allow(clippy::needless_pass_by_value)] // For map_err.
fn why(trouble: Trouble) -> Left {
    match trouble {
        Trouble::InTheWay(_) => Left::NeedsRoot,
        Trouble::Busy(_) => Left::InUse,
        Trouble::Changed => Left::Changed,
        Trouble::System { errno, .. } => Left::Failed(errno as i32),
    }
}
