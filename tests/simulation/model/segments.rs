//! System V segments: shmget(2), shmctl(2), shmop(2).

use qshm::kernel::{Errno, IpcId, IpcKey, IpcPerm, ShmStat};

use super::call::{Cred, DONE, Reply, Value, fail, list, number};
use super::mappings::is_mapping;
use super::process::Attachment;
use super::{For, LATELY, LONG_AGO, Pid, World, ipc_owns, new_perm, spread};

const READ: u32 = 4;
const WRITE: u32 = 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// `None` once removed.
    pub key: Option<IpcKey>,
    pub perm: IpcPerm,
    pub size: usize,
    pub creator_pid: i32,
    pub last_pid: i32,
    /// The first eight bytes.
    pub content: u64,
    /// Made in an earlier second.
    pub old: bool,
    /// Attachments of processes that only sit there.
    pub elsewhere: u64,
}

impl World {
    fn segment_of_key(&self, key: IpcKey) -> Option<IpcId> {
        let mut all = self.segments.iter();
        all.find(|(_, s)| s.key == Some(key)).map(|(id, _)| *id)
    }

    /// A segment that was there before the first process, with so many attachments of processes
    /// that only sit there.
    pub fn plant_segment(&mut self, key: IpcKey, cred: Cred, elsewhere: u64) {
        let planter = self.start(cred, &[]);
        let Ok(Value::Number(id)) = self.shm_create(planter, cred, key, 4, 0o600) else {
            panic!("the key is taken already");
        };
        let id = IpcId::try_from(id).unwrap();
        self.segments.get_mut(&id).unwrap().elsewhere = elsewhere;
        self.processes.truncate(planter);
    }

    pub fn attached(&self, id: IpcId) -> u64 {
        let attached = self.processes.iter().flat_map(|p| p.attached.values());
        let elsewhere = self.segments[&id].elsewhere;
        attached.filter(|attachment| attachment.id == id).count() as u64 + elsewhere
    }

    pub(super) fn shm_find(&self, key: IpcKey) -> Reply {
        match self.segment_of_key(key) {
            Some(id) => number(id),
            None => fail(Errno::ENOENT),
        }
    }

    pub(super) fn shm_create(
        &mut self,
        who: Pid,
        cred: Cred,
        key: IpcKey,
        size: usize,
        mode: u32,
    ) -> Reply {
        if self.segment_of_key(key).is_some() {
            return fail(Errno::EEXIST);
        }
        if size == 0 {
            return fail(Errno::EINVAL);
        }
        let generation = self.next_number(For::Segment, key.into());
        let id = (spread(key.to_le_bytes()) & 0x7f_ffff) << 8 | generation;
        let id = IpcId::try_from(id).unwrap();
        let segment = Segment {
            key: Some(key),
            perm: new_perm(cred, mode),
            size,
            creator_pid: self.processes[who].number(),
            last_pid: 0,
            content: 0,
            old: self.long_ago,
            elsewhere: 0,
        };
        assert!(
            self.segments.insert(id, segment).is_none(),
            "two segments with one id"
        );
        number(id)
    }

    pub(super) fn shm_stat(&self, who: Pid, cred: Cred, id: IpcId) -> Reply {
        let Some(segment) = self.segments.get(&id) else {
            return fail(Errno::EINVAL);
        };
        if !self.ipc_may(who, cred, &segment.perm, READ) {
            return fail(Errno::EACCES);
        }
        Ok(Value::Shm(ShmStat {
            perm: segment.perm,
            size: segment.size,
            attached: self.attached(id),
            creator_pid: segment.creator_pid,
            last_pid: segment.last_pid,
            removed: segment.key.is_none(),
            changed: if segment.old { LONG_AGO } else { LATELY },
        }))
    }

    /// The keys of those that somebody has attached; a removed one has the key 0.
    pub(super) fn shm_keys(&self) -> Reply {
        let used = self
            .segments
            .iter()
            .filter(|(id, _)| self.attached(**id) > 0);
        list(used.map(|(_, segment)| segment.key.unwrap_or(0).into()))
    }

    pub(super) fn shm_set(
        &mut self,
        cred: Cred,
        id: IpcId,
        uid: u32,
        gid: u32,
        mode: u32,
    ) -> Reply {
        let Some(segment) = self.segments.get_mut(&id) else {
            return fail(Errno::EINVAL);
        };
        if !ipc_owns(cred, &segment.perm) {
            return fail(Errno::EPERM);
        }
        segment.perm = IpcPerm {
            uid,
            gid,
            mode: mode & 0o777,
            ..segment.perm
        };
        DONE
    }

    pub(super) fn shm_remove(&mut self, cred: Cred, id: IpcId) -> Reply {
        let Some(segment) = self.segments.get_mut(&id) else {
            return fail(Errno::EINVAL);
        };
        if !ipc_owns(cred, &segment.perm) {
            return fail(Errno::EPERM);
        }
        segment.key = None;
        self.forget_segment(id);
        DONE
    }

    /// Removed and not attached any more, a segment is gone.
    fn forget_segment(&mut self, id: IpcId) {
        if self.segments[&id].key.is_none() && self.attached(id) == 0 {
            self.segments.remove(&id);
        }
    }

    pub(super) fn shm_attach(&mut self, who: Pid, cred: Cred, id: IpcId, read_only: bool) -> Reply {
        let Some(segment) = self.segments.get(&id) else {
            return fail(Errno::EINVAL);
        };
        let wanted = if read_only { READ } else { READ | WRITE };
        if !self.ipc_may(who, cred, &segment.perm, wanted) {
            return fail(Errno::EACCES);
        }
        let process = &mut self.processes[who];
        let address = 0x1000_0000 * (process.attachments_made + 1);
        process.attachments_made += 1;
        process
            .attached
            .insert(address, Attachment { id, read_only });
        self.segments.get_mut(&id).unwrap().last_pid = self.processes[who].number();
        number(i64::try_from(address).unwrap())
    }

    pub(super) fn shm_detach(&mut self, who: Pid, address: usize) -> Reply {
        let Some(attachment) = self.processes[who].attached.remove(&address) else {
            return fail(Errno::EINVAL);
        };
        self.segments.get_mut(&attachment.id).unwrap().last_pid = self.processes[who].number();
        self.forget_segment(attachment.id);
        DONE
    }

    fn content(&mut self, who: Pid, address: usize, write: bool) -> &mut u64 {
        let Some(attachment) = self.processes[who].attached.get(&address) else {
            panic!("process {who} touches memory that it has not attached");
        };
        assert!(
            !(write && attachment.read_only),
            "process {who} writes to read-only memory"
        );
        &mut self.segments.get_mut(&attachment.id).unwrap().content
    }

    pub(super) fn shm_clear(&mut self, who: Pid, address: usize, size: usize) -> Reply {
        if is_mapping(address) {
            return self.clear(who, address, size);
        }
        let content = self.content(who, address, true);
        *content = if size < 8 { *content >> 32 << 32 } else { 0 };
        let id = self.processes[who].attached[&address].id;
        assert!(
            size <= self.segments[&id].size,
            "process {who} clears beyond the segment"
        );
        DONE
    }

    pub(super) fn peek(&mut self, who: Pid, address: usize) -> Reply {
        if is_mapping(address) {
            return match self.word_at(who, address) {
                Ok(word) => number(word as u32),
                Err(errno) => fail(errno),
            };
        }
        number(*self.content(who, address, false) as u32)
    }

    pub(super) fn shm_load(&mut self, who: Pid, address: usize) -> Reply {
        number(*self.content(who, address, false) as i64)
    }

    pub(super) fn shm_store(&mut self, who: Pid, address: usize, value: u64) -> Reply {
        *self.content(who, address, true) = value;
        DONE
    }

    pub(super) fn poke(&mut self, who: Pid, address: usize, value: u32) -> Reply {
        if is_mapping(address) {
            return match self.word_at(who, address) {
                Ok(word) => self.word_set(who, address, word >> 32 << 32 | u64::from(value)),
                Err(errno) => fail(errno),
            };
        }
        let content = self.content(who, address, true);
        *content = *content >> 32 << 32 | u64::from(value);
        DONE
    }
}
