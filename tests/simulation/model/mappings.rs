//! Files that are mapped: mmap(2), munmap(2), and what `/proc` shows of it.
//!
//! A mapping keeps its open file, and so the locks of that, without a descriptor.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{Errno, Fd, FileKind};

use super::call::{Cred, Reply, fail, list, number};
use super::process::Handle;
use super::{Pid, World};

/// Addresses of mappings: far from those of System V segments.
const FIRST_ADDRESS: usize = 0x4000_0000_0000;

const PAGE: usize = 0x1000;

/// Whether this is the address of a mapping, and not of a System V segment.
pub(super) fn is_mapping(address: usize) -> bool {
    address >= FIRST_ADDRESS
}

/// How a file is mapped: its first page alone, whatever is mapped of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// Without access, only to keep the open file.
    Kept,
    ReadOnly,
    Writable,
    /// Writable, and not in forked children: a semaphore.
    Own,
}

impl World {
    /// All open files, and whose they are.
    pub(super) fn open_files(&self) -> impl Iterator<Item = (Pid, &Handle)> {
        self.processes.iter().flat_map(|process| {
            let all = process.fds.values().chain(process.mapped.values());
            all.map(|handle| (process.pid, handle))
        })
    }

    pub(super) fn map(&mut self, who: Pid, fd: Fd, how: Mapping, at: Option<usize>) -> Reply {
        let Some(handle) = self.processes[who].fds.get(&fd) else {
            return fail(Errno::EBADF);
        };
        if matches!(how, Mapping::Writable | Mapping::Own) && !handle.writable {
            return fail(Errno::EACCES);
        }
        if self.inode(handle.ino).kind != FileKind::Regular {
            return fail(Errno::ENODEV);
        }
        let address = at.unwrap_or_else(|| self.free_address(who));
        // What is there goes.
        self.unmap(who, address);
        let process = &mut self.processes[who];
        process.retired.remove(&address);
        let handle = process.fds.get_mut(&fd).unwrap();
        handle.mapped.insert(address, how);
        number(i64::try_from(address).unwrap())
    }

    fn free_address(&self, who: Pid) -> usize {
        let process = &self.processes[who];
        let taken = |address: &usize| {
            process.retired.contains(address) || self.mapping(who, *address).is_some()
        };
        let mut all = (0..).map(|index| FIRST_ADDRESS + index * PAGE);
        all.find(|address| !taken(address)).unwrap()
    }

    /// The open file that is mapped at an address, and how.
    fn mapping(&self, who: Pid, address: usize) -> Option<(&Handle, Mapping)> {
        let process = &self.processes[who];
        let mut all = process.fds.values().chain(process.mapped.values());
        all.find_map(|handle| Some((handle, *handle.mapped.get(&address)?)))
    }

    pub(super) fn unmap(&mut self, who: Pid, address: usize) {
        let process = &mut self.processes[who];
        process.retired.remove(&address);
        for handle in process.fds.values_mut() {
            handle.mapped.remove(&address);
        }
        let has_it = |handle: &Handle| handle.mapped.contains_key(&address);
        let Some(key) = first_key(&process.mapped, has_it) else {
            return;
        };
        let mut handle = process.mapped.remove(&key).unwrap();
        handle.mapped.remove(&address);
        self.keep_mapped(who, handle);
    }

    /// Leaves memory of the process's own in the place of a mapping.
    pub(super) fn retire(&mut self, who: Pid, address: usize) {
        self.unmap(who, address);
        self.processes[who].retired.insert(address);
    }

    /// An open file that has no descriptor any more lives on for as long as it is mapped.
    pub(super) fn keep_mapped(&mut self, who: Pid, handle: Handle) {
        let ino = handle.ino;
        if let Some((address, _)) = handle.mapped.first_key_value() {
            self.processes[who].mapped.insert(*address, handle);
        }
        self.forget_inode(ino);
    }

    /// Part of a death: nothing is mapped any more, but the open files are still there.
    pub(super) fn lose_mappings(&mut self, who: Pid) {
        let process = &mut self.processes[who];
        process.retired.clear();
        for handle in process.fds.values_mut().chain(process.mapped.values_mut()) {
            handle.mapped.clear();
        }
    }

    /// What is open in the processes whose `/proc/PID` a process may look into: those of its user,
    /// and itself.
    fn visible(&self, who: Pid, cred: Cred) -> impl Iterator<Item = (Pid, u32, &Handle)> {
        self.open_files().filter_map(move |(pid, handle)| {
            let uid = self.processes[pid].cred.uid;
            (cred.uid == 0 || uid == cred.uid || pid == who).then_some((pid, uid, handle))
        })
    }

    pub(super) fn is_mapped(&self, who: Pid, cred: Cred, ino: u64) -> bool {
        let is_it = |handle: &Handle| handle.ino == ino && !handle.mapped.is_empty();
        self.visible(who, cred)
            .any(|(pid, _, handle)| pid != who && is_it(handle))
    }

    /// Those of the files that processes of this user, or of root, have mapped.
    pub(super) fn mapped(
        &self,
        who: Pid,
        cred: Cred,
        files: &[(u64, u64)],
        uid: Option<u32>,
    ) -> Reply {
        let maps = self
            .visible(who, cred)
            .filter(|(_, owner, handle)| {
                uid.is_none_or(|uid| [uid, 0].contains(owner)) && handle.is_kept()
            })
            .map(|(_, _, handle)| handle.ino);
        let mut found: Vec<u64> = maps.filter(|ino| files.contains(&(1, *ino))).collect();
        found.sort_unstable();
        found.dedup();
        list(found.into_iter().map(|ino| ino as i64))
    }

    /// The file and the offset at an address that is mapped; none where something was retired.
    /// `EFAULT` stands for a signal: SIGSEGV, or SIGBUS behind the end of the file.
    pub(super) fn place(
        &self,
        who: Pid,
        address: usize,
        write: bool,
    ) -> Result<Option<(u64, usize)>, Errno> {
        let page = address & !(PAGE - 1);
        if self.processes[who].retired.contains(&page) {
            return Ok(None);
        }
        let (handle, how) = self.mapping(who, page).ok_or(Errno::EFAULT)?;
        let may = match how {
            Mapping::Kept => false,
            Mapping::ReadOnly => !write,
            Mapping::Writable | Mapping::Own => true,
        };
        let offset = address - page;
        let size = self.inode(handle.ino).memory.size as usize;
        if may && offset < size.next_multiple_of(PAGE) {
            Ok(Some((handle.ino, offset)))
        } else {
            Err(Errno::EFAULT)
        }
    }

    /// How something is mapped at an address.
    pub fn mapped_as(&self, who: Pid, address: usize) -> Option<Mapping> {
        self.mapping(who, address).map(|(_, how)| how)
    }

    /// The path of an open file, where it has one.
    pub fn name_of(&self, who: Pid, fd: Fd) -> Option<Arc<Path>> {
        let ino = self.processes[who].fds.get(&fd)?.ino;
        let mut names = self.names.iter();
        names
            .find(|(_, of)| **of == ino)
            .map(|(name, _)| name.clone())
    }

    /// The files that somebody has open or mapped.
    pub fn files_in_use(&self) -> Vec<u64> {
        let mut files: Vec<u64> = self.open_files().map(|(_, handle)| handle.ino).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// The word at an address that [`Self::may_touch`] allows.
    pub fn look_at(&self, who: Pid, address: usize) -> u64 {
        self.word_at(who, address).unwrap()
    }

    /// Whether a word at an address may be looked at, or changed, without a signal.
    pub fn may_touch(&self, who: Pid, address: usize, write: bool) -> bool {
        let Ok(Some((ino, offset))) = self.place(who, address, write) else {
            return false;
        };
        self.inode(ino).memory.size >= offset as u64 + 8
    }

    /// The file of the segment that a process has mapped, the latest if there are several.
    pub fn mapped_segment(&self, who: Pid) -> Option<u64> {
        let process = &self.processes[who];
        let all = process.fds.values().chain(process.mapped.values());
        let segments = all.flat_map(|handle| {
            let mapped = handle.mapped.iter();
            mapped
                .filter(|(_, how)| matches!(how, Mapping::ReadOnly | Mapping::Writable))
                .map(|(address, _)| (*address, handle.ino))
        });
        segments.max().map(|(_, ino)| ino)
    }
}

fn first_key(mapped: &BTreeMap<usize, Handle>, is_it: impl Fn(&Handle) -> bool) -> Option<usize> {
    let mut all = mapped.iter();
    all.find(|(_, handle)| is_it(handle)).map(|(key, _)| *key)
}
