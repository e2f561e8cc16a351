//! The files of POSIX objects: how they are opened, made and asked for other users.

use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{Errno, Fd, FileKind, FileLock, Wait};

use super::call::{Cred, DONE, Named, Reply, Value, fail, number};
use super::files::{EXECUTE, READ, WRITE};
use super::memory::Memory;
use super::process::{Handle, Waiting};
use super::{Life, Pid, Step, World};

impl World {
    pub(super) fn named_open(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        write: bool,
    ) -> Reply {
        if let Err(errno) = self.parent(who, cred, path) {
            return fail(errno);
        }
        let Some(ino) = self.names.get(path).copied() else {
            return fail(Errno::ENOENT);
        };
        let wanted = if write { READ | WRITE } else { READ };
        match self.inode(ino).kind {
            FileKind::Link => fail(Errno::ELOOP),
            FileKind::Directory if write => fail(Errno::EISDIR),
            _ if !self.file_may(who, cred, ino, wanted) => fail(Errno::EACCES),
            _ if self.is_leased(ino) => fail(Errno::EAGAIN),
            _ => number(self.new_fd(who, ino, write)),
        }
    }

    /// Opens the directory of a file and announces there that the process looks at the file.
    pub(super) fn announce(&mut self, who: Pid, cred: Cred, path: &Arc<Path>) -> Reply {
        let directory = path.parent().unwrap();
        if let Err(errno) = self.parent(who, cred, directory) {
            return fail(errno);
        }
        let Some(directory) = self.names.get(directory).copied() else {
            return fail(Errno::ENOENT);
        };
        match self.inode(directory).kind {
            FileKind::Directory => {}
            _ => return fail(Errno::ENOTDIR),
        }
        if !self.file_may(who, cred, directory, READ) {
            return fail(Errno::EACCES);
        }
        let fd = self.new_fd(who, directory, false);
        let handle = self.processes[who].fds.get_mut(&fd).unwrap();
        handle.announces = Some(path.clone());
        number(fd)
    }

    pub(super) fn named_look(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        write: bool,
    ) -> Reply {
        let opened = self.named_open(who, cred, path, write);
        if let Ok(Value::Number(fd)) = opened {
            let fd = Fd::try_from(fd).unwrap();
            let handle = self.processes[who].fds.get_mut(&fd).unwrap();
            handle.announces = Some(path.clone());
        }
        opened
    }

    pub(super) fn named_locks(&mut self, who: Pid, fd: Fd) -> Reply {
        if self.can_lock(who, fd, FileLock::Exclusive) {
            self.take_lock(who, fd, FileLock::Exclusive);
            self.processes[who].fds.get_mut(&fd).unwrap().announces = None;
            return DONE;
        }
        self.close(who, fd);
        fail(Errno::EAGAIN)
    }

    /// All of an attempt at once, as the conformance test can only make it.
    pub(super) fn named_open_locked(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        write: bool,
        wait: Wait,
    ) -> Step {
        let opened = self.named_look(who, cred, path, write);
        let Ok(Value::Number(fd)) = opened else {
            return Step::Answer(opened);
        };
        let locked = self.named_locks(who, Fd::try_from(fd).unwrap());
        if locked.is_err() && wait != Wait::No {
            return self.named_unlocked(who, path, wait);
        }
        Step::Answer(locked.and(opened))
    }

    pub(super) fn named_unlocked(&mut self, who: Pid, path: &Arc<Path>, wait: Wait) -> Step {
        if self.is_unlocked(path) {
            return Step::Answer(DONE);
        }
        let path = path.clone();
        self.processes[who].waiting = Some(Waiting::Unlocked { path, wait });
        Step::Waits
    }

    pub(super) fn is_unlocked(&self, path: &Path) -> bool {
        let ino = self.names.get(path);
        ino.is_none_or(|ino| {
            let mut users = self.open_files().filter(|(_, handle)| handle.ino == *ino);
            users.all(|(_, handle)| handle.lock.is_none())
        })
    }

    pub(super) fn named_make(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        new: &Named,
    ) -> Reply {
        let directory = match self.parent(who, cred, path) {
            Ok(ino) => ino,
            Err(errno) => return fail(errno),
        };
        if !self.file_may(who, cred, directory, WRITE | EXECUTE) {
            return fail(Errno::EACCES);
        }
        if self.names.contains_key(path) {
            return fail(Errno::EEXIST);
        }
        let ino = self.new_shared(who, cred, path, new.mode, new.group);
        let inode = self.inode_mut(ino);
        inode.memory = Memory::new(new.size, &new.words);
        let fd = self.new_fd(who, ino, true);
        let handle = self.processes[who].fds.get_mut(&fd).unwrap();
        handle.lock = Some(FileLock::Exclusive);
        number(fd)
    }

    pub(super) fn named_reserve(&mut self, who: Pid, fd: Fd, size: u64) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        if size == 0 {
            return fail(Errno::EINVAL);
        }
        if !handle.writable {
            return fail(Errno::EBADF);
        }
        let ino = handle.ino;
        if self.inode(ino).kind != FileKind::Regular {
            return fail(Errno::ESPIPE);
        }
        let memory = &mut self.inode_mut(ino).memory;
        memory.resize(memory.size.max(size));
        DONE
    }

    pub(super) fn named_alone(
        &mut self,
        who: Pid,
        cred: Cred,
        fd: Fd,
        path: &Arc<Path>,
        wait: Wait,
        lease: bool,
    ) -> Step {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return Step::Answer(fail(Errno::EBADF));
        };
        if cred.uid != 0 && cred.uid != self.inode(handle.ino).uid {
            return Step::Answer(fail(Errno::EACCES));
        }
        if self.inode(handle.ino).kind != FileKind::Regular {
            return Step::Answer(fail(Errno::EINVAL));
        }
        if self.knows_who_has_it(who, fd, path) || wait == Wait::No {
            return Step::Answer(self.alone(who, fd, lease));
        }
        let path = path.clone();
        self.processes[who].waiting = Some(Waiting::Alone {
            fd,
            path,
            wait,
            lease,
        });
        Step::Waits
    }

    pub(super) fn alone(&mut self, who: Pid, fd: Fd, lease: bool) -> Reply {
        let alone = self.is_alone(who, fd);
        let handle = self.processes[who].fds.get_mut(&fd).unwrap();
        handle.leased = lease && alone;
        number(alone)
    }

    pub(super) fn lease_back(&mut self, who: Pid, fd: Fd) -> Reply {
        self.processes[who].fds.get_mut(&fd).unwrap().leased = false;
        DONE
    }

    /// Whether a lease keeps the file from being opened, for a moment.
    pub(super) fn is_leased(&self, ino: u64) -> bool {
        let mut all = self.open_files();
        all.any(|(_, handle)| handle.ino == ino && handle.leased)
    }

    pub(super) fn is_alone(&self, who: Pid, fd: Fd) -> bool {
        self.who_else_has(who, fd).next().is_none()
    }

    fn who_else_has(&self, who: Pid, fd: Fd) -> impl Iterator<Item = Pid> {
        let own = &self.processes[who].fds[&fd];
        let users = self
            .open_files()
            .filter(move |(_, handle)| handle.ino == own.ino && !std::ptr::eq(*handle, own));
        users.map(|(pid, _)| pid)
    }

    /// Whether nobody else has the file, or somebody who neither is about to end nor can be one who
    /// only looks, since nobody is announced.
    pub(super) fn knows_who_has_it(&self, who: Pid, fd: Fd, path: &Path) -> bool {
        let looks = |(_, handle): (Pid, &Handle)| handle.announces.as_deref() == Some(path);
        let lives = |pid: Pid| self.processes[pid].life == Life::Alive;
        self.is_alone(who, fd)
            || self.who_else_has(who, fd).any(lives) && !self.open_files().any(looks)
    }
}
