//! The files of POSIX objects: how they are opened, made and asked for other users.

use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{Errno, Fd, FileKind, FileLock, Wait};

use super::call::{Cred, DONE, Named, Reply, Value, fail, number};
use super::files::{EXECUTE, READ, WRITE};
use super::memory::Memory;
use super::process::Waiting;
use super::{Pid, Step, World};

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
            _ => number(self.new_fd(who, ino, write)),
        }
    }

    pub(super) fn named_open_locked(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        write: bool,
        wait: Wait,
    ) -> Step {
        if self.can_open_locked(path) {
            return Step::Answer(self.open_and_lock(who, cred, path, write));
        }
        // What may not be opened is not waited for.
        match self.named_open(who, cred, path, write) {
            Ok(Value::Number(fd)) => self.close(who, Fd::try_from(fd).unwrap()),
            other => return Step::Answer(other),
        }
        if wait == Wait::No {
            return Step::Answer(fail(Errno::EAGAIN));
        }
        self.processes[who].waiting = Some(Waiting::OpenLocked {
            cred,
            path: path.clone(),
            write,
            wait,
        });
        Step::Waits
    }

    pub(super) fn can_open_locked(&self, path: &Path) -> bool {
        let ino = self.names.get(path);
        ino.is_none_or(|ino| {
            let mut users = self.open_files().filter(|(_, handle)| handle.ino == *ino);
            users.all(|(_, handle)| handle.lock.is_none())
        })
    }

    pub(super) fn open_and_lock(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        write: bool,
    ) -> Reply {
        let opened = self.named_open(who, cred, path, write);
        if let Ok(Value::Number(fd)) = opened {
            self.take_lock(who, Fd::try_from(fd).unwrap(), FileLock::Exclusive);
        }
        opened
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
        let ino = self.new_inode(path, FileKind::Regular, cred, new.mode & 0o7777);
        self.names.insert(path.clone(), ino);
        let member = |gid: &u32| cred.uid == 0 || self.in_group(who, cred, *gid);
        let group = new.group.filter(member);
        let inode = self.inode_mut(ino);
        inode.gid = group.unwrap_or(inode.gid);
        inode.memory = Memory::new(new.size, &new.words);
        let fd = self.new_fd(who, ino, true);
        let handle = self.processes[who].fds.get_mut(&fd).unwrap();
        handle.lock = Some(FileLock::Exclusive);
        number(fd)
    }

    pub(super) fn named_resize(&mut self, who: Pid, fd: Fd, size: u64) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        if !handle.writable {
            return fail(Errno::EINVAL);
        }
        let ino = handle.ino;
        if self.inode(ino).kind != FileKind::Regular {
            return fail(Errno::EINVAL);
        }
        self.inode_mut(ino).memory.resize(size);
        DONE
    }

    pub(super) fn named_alone(&mut self, who: Pid, cred: Cred, fd: Fd, wait: Wait) -> Step {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return Step::Answer(fail(Errno::EBADF));
        };
        if cred.uid != 0 && cred.uid != self.inode(handle.ino).uid {
            return Step::Answer(fail(Errno::EACCES));
        }
        if self.inode(handle.ino).kind != FileKind::Regular {
            return Step::Answer(fail(Errno::EINVAL));
        }
        if self.is_alone(who, fd) {
            return Step::Answer(number(1));
        }
        if wait == Wait::No {
            return Step::Answer(number(0));
        }
        self.processes[who].waiting = Some(Waiting::Alone { fd, wait });
        Step::Waits
    }

    pub(super) fn is_alone(&self, who: Pid, fd: Fd) -> bool {
        let own = &self.processes[who].fds[&fd];
        let mut users = self
            .open_files()
            .filter(|(_, handle)| handle.ino == own.ino);
        users.all(|(_, handle)| std::ptr::eq(handle, own))
    }
}
