//! What is in directories, and what was: unlink(2), mkdir(2), rmdir(2), readdir(3), `/proc`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{Errno, FileKind};

use super::call::{Cred, DONE, Reply, fail, list, number};
use super::files::{EXECUTE, READ, UMASK, WRITE, name_hash};
use super::{Pid, World};

impl World {
    pub(super) fn inodes_of(&self, who: Pid, cred: Cred, directory: &Path, prefix: &str) -> Reply {
        let readable = |ino: &u64| {
            self.parent(who, cred, directory).is_ok() && self.file_may(who, cred, *ino, READ)
        };
        // The root directory has no other one above it.
        let open = directory.parent().is_none() || self.names.get(directory).is_some_and(readable);
        if !open {
            return list([]);
        }
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
            let was_here = !handle.nameless && inode.named == named;
            inode.links == 0 && was_here && self.file_may(who, cred, handle.ino, READ)
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

    pub(super) fn unlink(&mut self, who: Pid, cred: Cred, path: &Path) -> Reply {
        let ino = match self.removable(who, cred, path) {
            Ok(ino) => ino,
            Err(errno) => return fail(errno),
        };
        if self.inode(ino).kind == FileKind::Directory {
            return fail(Errno::EISDIR);
        }
        self.names.remove(path);
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
        self.names.insert(path.clone(), ino);
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
        self.names.remove(path);
        self.drop_link(ino);
        DONE
    }
}
