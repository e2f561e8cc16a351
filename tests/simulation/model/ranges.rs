//! The calls that instances make beside the others, and what is written into files.

use std::path::Path;

use qshm::kernel::{Errno, Fd, FileKind, OpenDirect};

use super::call::{Cred, DONE, Reply, Value, fail, number};
use super::files::{READ, WRITE};
use super::mappings::Mapping;
use super::range_call::RangeCall;
use super::{Pid, World};

impl World {
    pub(super) fn range_call(&mut self, who: Pid, cred: Cred, call: &RangeCall) -> Reply {
        match call {
            RangeCall::Open(path, how) => self.open_direct(who, cred, path, *how),
            RangeCall::Held(range) => self.held_ranges(*range),
            RangeCall::Mapped(files, by) => self.mapped(who, cred, files, by.uid),
            RangeCall::Version(path) => self.version(who, cred, path),
            RangeCall::Keep(fd) => self.map(who, *fd, Mapping::Kept, None),
            RangeCall::LetGo(address) => {
                self.unmap(who, *address);
                DONE
            }
            RangeCall::ReadAt(fd, offset, length) => self.read_at(who, *fd, *offset, *length),
            RangeCall::WriteAt(fd, offset, bytes) => self.write_at(who, *fd, *offset, bytes),
        }
    }

    fn open_direct(&mut self, who: Pid, cred: Cred, path: &Path, how: OpenDirect) -> Reply {
        if let Err(errno) = self.parent(who, cred, path) {
            return fail(errno);
        }
        let Some(ino) = self.names.get(path).copied() else {
            return fail(Errno::ENOENT);
        };
        let wanted = match how {
            OpenDirect::Read => READ,
            OpenDirect::Write => READ | WRITE,
        };
        match self.inode(ino).kind {
            FileKind::Link => return fail(Errno::ELOOP),
            FileKind::Directory if how == OpenDirect::Write => return fail(Errno::EISDIR),
            _ => {}
        }
        if !self.file_may(who, cred, ino, wanted) {
            return fail(Errno::EACCES);
        }
        number(self.new_fd(who, ino, how == OpenDirect::Write))
    }

    fn version(&self, who: Pid, cred: Cred, path: &Path) -> Reply {
        if let Err(errno) = self.parent(who, cred, path) {
            return fail(errno);
        }
        match self.names.get(path) {
            Some(ino) => number((*ino as i64) << 32 | i64::from(self.inode(*ino).changes)),
            None => fail(Errno::ENOENT),
        }
    }

    fn read_at(&self, who: Pid, fd: Fd, offset: u64, length: usize) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        let inode = self.inode(handle.ino);
        match inode.kind {
            FileKind::Directory => return fail(Errno::EISDIR),
            FileKind::Other => return fail(Errno::ESPIPE),
            _ => {}
        }
        let bytes = inode.memory.read(offset as usize, length);
        Ok(Value::Bytes(bytes.into()))
    }

    fn write_at(&mut self, who: Pid, fd: Fd, offset: u64, bytes: &[u8]) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        let (ino, offset) = (handle.ino, offset as usize);
        if self.inode(ino).kind == FileKind::Other {
            return fail(Errno::ESPIPE);
        }
        if !handle.writable {
            return fail(Errno::EBADF);
        }
        self.inode_mut(ino).memory.write(offset, bytes);
        DONE
    }
}
