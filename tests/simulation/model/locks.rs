//! flock(2).

use qshm::kernel::{Errno, Fd, FileLock, Wait};

use super::call::{DONE, fail};
use super::process::Waiting;
use super::{Pid, Step, World};

impl World {
    pub(super) fn flock(&mut self, who: Pid, fd: Fd, lock: FileLock, wait: Wait) -> Step {
        let Some(handle) = self.processes[who].fds.get_mut(&fd) else {
            return Step::Answer(fail(Errno::EBADF));
        };
        if lock == FileLock::Unlock {
            handle.lock = None;
            return Step::Answer(DONE);
        }
        if handle.lock == Some(lock) {
            return Step::Answer(DONE);
        }
        // A conversion gives the old lock up first, also if the new one is not to be had.
        handle.lock = None;
        if self.can_lock(who, fd, lock) {
            self.take_lock(who, fd, lock);
            return Step::Answer(DONE);
        }
        if wait == Wait::No {
            return Step::Answer(fail(Errno::EAGAIN));
        }
        self.processes[who].waiting = Some(Waiting::Lock { fd, lock, wait });
        Step::Waits
    }

    pub(super) fn can_lock(&self, who: Pid, fd: Fd, lock: FileLock) -> bool {
        let own = &self.processes[who].fds[&fd];
        let others = self.open_files().map(|(_, handle)| handle);
        others
            .filter(|handle| handle.ino == own.ino && !std::ptr::eq(*handle, own))
            .all(|handle| match handle.lock {
                None => true,
                Some(FileLock::Shared) => lock == FileLock::Shared,
                Some(_) => false,
            })
    }

    pub(super) fn take_lock(&mut self, who: Pid, fd: Fd, lock: FileLock) {
        self.processes[who].fds.get_mut(&fd).unwrap().lock = Some(lock);
    }
}
