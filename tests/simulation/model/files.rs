//! Files and their permissions: open(2), stat(2), chmod(2), chown(2).

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{Errno, Fd, FileKind, FileStat, Open};

use super::call::{Cred, DONE, Reply, Value, fail, number};
use super::memory::Memory;
use super::process::Handle;
use super::{For, LATELY, LONG_AGO, Pid, World, spread};

pub(super) const READ: u32 = 4;
pub(super) const WRITE: u32 = 2;
pub(super) const EXECUTE: u32 = 1;

/// The umask of every process.
pub const UMASK: u32 = 0o022;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inode {
    pub kind: FileKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u64,
    /// A hash of the name that it was made with, which `/proc` goes on showing.
    pub named: u32,
    /// Made in an earlier second.
    pub old: bool,
    /// How often a directory was changed, where anybody asks for that: in `/run`.
    pub changes: u32,
    pub memory: Memory,
}

impl World {
    pub fn plant_directory(&mut self, path: &str, uid: u32, gid: u32, mode: u32) {
        self.plant(path, FileKind::Directory, uid, gid, mode);
    }

    /// A file that was there before the first process.
    pub fn plant(&mut self, path: &str, kind: FileKind, uid: u32, gid: u32, mode: u32) -> u64 {
        let ino = self.new_inode(Path::new(path), kind, Cred { uid, gid }, mode);
        self.names.insert(Path::new(path).into(), ino);
        ino
    }

    pub(super) fn inode(&self, ino: u64) -> &Inode {
        &self.inodes[&ino]
    }

    pub(super) fn inode_mut(&mut self, ino: u64) -> &mut Inode {
        self.inodes.get_mut(&ino).unwrap()
    }

    pub(super) fn new_inode(&mut self, path: &Path, kind: FileKind, cred: Cred, mode: u32) -> u64 {
        // The low 16 bits count for a key_t, so they have to differ.
        let named = name_hash(path);
        let base = u64::from(named & 0xfff) << 4;
        let ino = loop {
            let free = |ino: &u64| !self.inodes.contains_key(ino);
            if self.reuse_inodes {
                break (base..=u64::MAX).find(free).unwrap();
            }
            let next = base + u64::from(self.next_number(For::Inode, base as i64));
            if !self.inodes.contains_key(&next) {
                break next;
            }
        };
        let links = if kind == FileKind::Directory { 2 } else { 1 };
        let inode = Inode {
            kind,
            mode,
            uid: cred.uid,
            gid: cred.gid,
            links,
            named,
            old: self.long_ago,
            changes: 0,
            memory: Memory::default(),
        };
        self.inodes.insert(ino, inode);
        ino
    }

    pub(super) fn file_may(&self, who: Pid, cred: Cred, ino: u64, wanted: u32) -> bool {
        let inode = self.inode(ino);
        let granted = if cred.uid == inode.uid {
            inode.mode >> 6
        } else if self.in_group(who, cred, inode.gid) {
            inode.mode >> 3
        } else {
            inode.mode
        };
        cred.uid == 0 || granted & wanted == wanted
    }

    /// The directory that a path ends in, which every directory on the way lets us look into.
    pub(super) fn parent(&self, who: Pid, cred: Cred, path: &Path) -> Result<u64, Errno> {
        let parents: Vec<&Path> = path.ancestors().skip(1).collect();
        let mut last = None;
        for directory in parents.into_iter().rev() {
            let ino = *self.names.get(directory).ok_or(Errno::ENOENT)?;
            if self.inode(ino).kind != FileKind::Directory {
                return Err(Errno::ENOTDIR);
            }
            if !self.file_may(who, cred, ino, EXECUTE) {
                return Err(Errno::EACCES);
            }
            last = Some(ino);
        }
        last.ok_or(Errno::ENOENT)
    }

    pub(super) fn open(&mut self, who: Pid, cred: Cred, path: &Arc<Path>, how: Open) -> Reply {
        let directory = match self.parent(who, cred, path) {
            Ok(ino) => ino,
            Err(errno) => return fail(errno),
        };
        let found = self.names.get(path).copied();
        let ino = match (how, found) {
            (Open::New(_), Some(_)) => return fail(Errno::EEXIST),
            (Open::New(mode), None) => {
                if !self.file_may(who, cred, directory, WRITE | EXECUTE) {
                    return fail(Errno::EACCES);
                }
                let ino = self.new_inode(path, FileKind::Regular, cred, mode & 0o7777 & !UMASK);
                self.enter(path, ino);
                ino
            }
            (Open::Existing, None) => return fail(Errno::ENOENT),
            (Open::Existing, Some(ino)) => {
                if self.inode(ino).kind == FileKind::Link {
                    return fail(Errno::ELOOP);
                }
                if !self.file_may(who, cred, ino, READ) {
                    return fail(Errno::EACCES);
                }
                ino
            }
        };
        number(self.new_fd(who, ino, false))
    }

    pub(super) fn open_shared(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        mode: u32,
        group: Option<u32>,
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
        let ino = self.new_shared(who, cred, path, mode, group);
        number(self.new_fd(who, ino, true))
    }

    /// A new file of a mode and a group, as far as its maker may give it to that.
    pub(super) fn new_shared(
        &mut self,
        who: Pid,
        cred: Cred,
        path: &Arc<Path>,
        mode: u32,
        group: Option<u32>,
    ) -> u64 {
        let ino = self.new_inode(path, FileKind::Regular, cred, mode & 0o7777);
        self.enter(path, ino);
        if let Some(gid) = group {
            let member = cred.uid == 0 || self.in_group(who, cred, gid);
            let inode = self.inode_mut(ino);
            if member {
                inode.gid = gid;
            } else if inode.gid != gid {
                inode.mode &= !0o070;
            }
        }
        ino
    }

    pub(super) fn may_write(&self, who: Pid, cred: Cred, directory: &Path) -> bool {
        let Some(ino) = self.names.get(directory) else {
            return false;
        };
        let inode = self.inode(*ino);
        // Root passes anywhere, but executes only what somebody may execute.
        let for_root = inode.kind == FileKind::Directory || inode.mode & 0o111 != 0;
        self.parent(who, cred, directory).is_ok()
            && self.file_may(who, cred, *ino, WRITE | EXECUTE)
            && (cred.uid != 0 || for_root)
    }

    pub(super) fn new_fd(&mut self, who: Pid, ino: u64, writable: bool) -> Fd {
        let fds = &mut self.processes[who].fds;
        let fd = (3..=Fd::MAX).find(|fd| !fds.contains_key(fd)).unwrap();
        fds.insert(fd, Handle::new(ino, writable));
        fd
    }

    pub(super) fn reopen(&mut self, who: Pid, cred: Cred, fd: Fd) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            // The link in /proc is not there.
            return fail(Errno::ENOENT);
        };
        let ino = handle.ino;
        if !self.file_may(who, cred, ino, READ) {
            return fail(Errno::EACCES);
        }
        number(self.new_fd(who, ino, false))
    }

    pub(super) fn close(&mut self, who: Pid, fd: Fd) {
        if let Some(handle) = self.processes[who].fds.remove(&fd) {
            self.keep_mapped(who, handle);
        }
    }

    pub(super) fn drop_link(&mut self, ino: u64) {
        let inode = self.inode_mut(ino);
        inode.links = match inode.kind {
            FileKind::Directory => 0,
            _ => inode.links - 1,
        };
        self.forget_inode(ino);
    }

    /// Without a name and without a descriptor, a file is gone.
    pub(super) fn forget_inode(&mut self, ino: u64) {
        let used = self.open_files().any(|(_, handle)| handle.ino == ino);
        if self.inode(ino).links == 0 && !used {
            self.inodes.remove(&ino);
        }
    }

    fn stat(&self, ino: u64) -> Reply {
        Ok(Value::File(self.stat_of(ino)))
    }

    pub fn stat_of(&self, ino: u64) -> FileStat {
        let inode = self.inode(ino);
        FileStat {
            dev: 1,
            ino,
            kind: inode.kind,
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            links: inode.links,
            size: inode.memory.size,
            born: Some(if inode.old { LONG_AGO } else { LATELY }),
        }
    }

    pub(super) fn fstat(&self, who: Pid, fd: Fd) -> Reply {
        match self.processes[who].fds.get(&fd) {
            Some(handle) => self.stat(handle.ino),
            None => fail(Errno::EBADF),
        }
    }

    pub(super) fn lstat(&self, who: Pid, cred: Cred, path: &Path) -> Reply {
        match self.parent(who, cred, path) {
            Err(errno) => fail(errno),
            Ok(_) => match self.names.get(path) {
                Some(ino) => self.stat(*ino),
                None => fail(Errno::ENOENT),
            },
        }
    }

    pub(super) fn fchmod(&mut self, who: Pid, cred: Cred, fd: Fd, mode: u32) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        let inode = self.inodes.get_mut(&handle.ino).unwrap();
        if cred.uid != 0 && cred.uid != inode.uid {
            return fail(Errno::EPERM);
        }
        inode.mode = mode & 0o7777;
        DONE
    }

    pub(super) fn fchgrp(&mut self, who: Pid, cred: Cred, fd: Fd, gid: u32) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        let ino = handle.ino;
        let inode = self.inode(ino);
        let member = gid == inode.gid || self.in_group(who, cred, gid);
        if cred.uid != 0 && (cred.uid != inode.uid || !member) {
            return fail(Errno::EPERM);
        }
        self.inode_mut(ino).gid = gid;
        DONE
    }
}

pub(super) fn name_hash(path: &Path) -> u32 {
    spread(path.as_os_str().as_bytes().iter().copied())
}
