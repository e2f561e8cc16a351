//! What is in directories, and what was: unlink(2), mkdir(2), rmdir(2), readdir(3), `/proc`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{Errno, FileKind};

use super::call::{Cred, DONE, Reply, fail, list, number};
use super::files::{EXECUTE, READ, UMASK, WRITE, name_hash};
use super::{Pid, World};

impl World {
    pub(super) fn inodes_of(&self, directory: &Path, prefix: &str) -> Reply {
        let wanted = |name: &Path| {
            let file = name.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
            name.parent() == Some(directory) && file.starts_with(prefix.as_bytes())
        };
        let found = self.names.iter().filter(|(name, _)| wanted(name));
        list(found.map(|(_, ino)| *ino as i64))
    }

    /// What `/proc/PID/fd` of the user's processes and of root's shows to this one.
    pub(super) fn open_deleted(&mut self, who: Pid, cred: Cred, path: &Path, uid: u32) -> Reply {
        let named = name_hash(path);
        let shown = self.processes.iter().filter(|process| {
            let owner = process.cred.uid;
            let visible = cred.uid == 0 || owner == cred.uid || process.pid == who;
            [uid, 0].contains(&owner) && visible
        });
        let mut files = shown.flat_map(|process| process.fds.values());
        let found = files.find(|handle| {
            let inode = self.inode(handle.ino);
            inode.links == 0 && inode.named == named && self.file_may(who, cred, handle.ino, READ)
        });
        match found.map(|handle| handle.ino) {
            Some(ino) => number(self.new_fd(who, ino, false)),
            None => fail(Errno::ENOENT),
        }
    }

    /// What unlink(2) and rmdir(2) check alike.
    fn removable(&self, who: Pid, cred: Cred, path: &Path) -> Result<u64, Errno> {
        let directory = self.parent(who, cred, path)?;
        let ino = *self.names.get(path).ok_or(Errno::ENOENT)?;
        if !self.file_may(who, cred, directory, WRITE | EXECUTE) {
            return Err(Errno::EACCES);
        }
        let sticky = self.inode(directory).mode & 0o1000 != 0;
        let owners = [0, self.inode(ino).uid, self.inode(directory).uid];
        if sticky && !owners.contains(&cred.uid) {
            return Err(Errno::EPERM);
        }
        Ok(ino)
    }

    /// A new name.
    pub(super) fn enter(&mut self, path: &Arc<Path>, ino: u64) {
        self.names.insert(path.clone(), ino);
        self.changed(path.parent());
    }

    fn leave(&mut self, path: &Path) {
        self.names.remove(path);
        self.changed(path.parent());
    }

    /// Counts changes of the directories that somebody asks for them: those on the way to runtime
    /// directories. Of registries in them, changes of the mode alone.
    fn changed(&mut self, directory: Option<&Path>) {
        let counts = |path: &&Path| path.starts_with("/run") && !path.ends_with("qshm");
        let ino = directory
            .filter(counts)
            .and_then(|path| self.names.get(path));
        if let Some(ino) = ino.copied() {
            self.inode_mut(ino).changes += 1;
        }
    }

    /// A directory is gone with all that is in it, in one step: a file system that is unmounted
    /// while it is in use.
    pub(super) fn vanish(&mut self, path: &Path) -> Reply {
        let names = self.names.keys().filter(|name| name.starts_with(path));
        let names: Vec<_> = names.cloned().collect();
        for name in names.iter().rev() {
            let ino = self.names[name];
            self.leave(name);
            self.drop_link(ino);
        }
        DONE
    }

    /// chmod(2) by root.
    pub(super) fn chmod(&mut self, path: &Path, mode: u32) -> Reply {
        let Some(ino) = self.names.get(path).copied() else {
            return fail(Errno::ENOENT);
        };
        let inode = self.inode_mut(ino);
        inode.mode = mode & 0o7777;
        inode.changes += u32::from(path.starts_with("/run"));
        DONE
    }

    pub(super) fn unlink(&mut self, who: Pid, cred: Cred, path: &Path) -> Reply {
        let ino = match self.removable(who, cred, path) {
            Ok(ino) => ino,
            Err(errno) => return fail(errno),
        };
        if self.inode(ino).kind == FileKind::Directory {
            return fail(Errno::EISDIR);
        }
        self.leave(path);
        self.drop_link(ino);
        DONE
    }

    pub(super) fn mkdir(&mut self, who: Pid, cred: Cred, path: &Arc<Path>, mode: u32) -> Reply {
        let directory = match self.parent(who, cred, path) {
            Ok(ino) => ino,
            Err(errno) => return fail(errno),
        };
        if self.names.contains_key(path) {
            return fail(Errno::EEXIST);
        }
        if !self.file_may(who, cred, directory, WRITE | EXECUTE) {
            return fail(Errno::EACCES);
        }
        let ino = self.new_inode(path, FileKind::Directory, cred, mode & 0o1777 & !UMASK);
        self.enter(path, ino);
        DONE
    }

    pub(super) fn rmdir(&mut self, who: Pid, cred: Cred, path: &Path) -> Reply {
        let ino = match self.removable(who, cred, path) {
            Ok(ino) => ino,
            Err(errno) => return fail(errno),
        };
        if self.inode(ino).kind != FileKind::Directory {
            return fail(Errno::ENOTDIR);
        }
        if self.names.keys().any(|name| name.parent() == Some(path)) {
            return fail(Errno::ENOTEMPTY);
        }
        self.leave(path);
        self.drop_link(ino);
        DONE
    }
}
