//! System V semaphores, one to a set, every operation with SEM_UNDO: semget(2), semctl(2),
//! semop(2).

use qshm::kernel::{Errno, IpcId, IpcKey, IpcPerm, SemStat, Wait};

use super::call::{Cred, DONE, Reply, Value, fail, number};
use super::process::Waiting;
use super::{For, Pid, Step, World, ipc_owns, new_perm, spread};

const READ: u32 = 4;
const WRITE: u32 = 2;

/// SEMVMX and SEMAEM: the highest value, and the highest undo.
const HIGHEST: i32 = 32_767;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Set {
    pub key: IpcKey,
    pub perm: IpcPerm,
    pub value: i32,
    pub last_pid: i32,
    /// By semop(2) or an undo: `sem_otime` is set.
    pub used: bool,
    /// Made in an earlier second.
    pub old: bool,
    /// Who waits, the first to be served first.
    pub queue: Vec<Pid>,
}

impl World {
    fn set_of_key(&self, key: IpcKey) -> Option<IpcId> {
        let mut all = self.sets.iter();
        all.find(|(_, set)| set.key == key).map(|(id, _)| *id)
    }

    /// A semaphore that was there before the first process.
    pub fn plant_semaphore(&mut self, key: IpcKey, cred: Cred, value: i32) {
        let planter = self.start(cred, &[]);
        let Ok(Value::Number(id)) = self.sem_create(cred, key, 0o600) else {
            panic!("the key is taken already");
        };
        let id = IpcId::try_from(id).unwrap();
        let _ = self.sem_set_value(planter, cred, id, value);
        self.processes.truncate(planter);
    }

    pub(super) fn sem_find(&self, key: IpcKey) -> Reply {
        match self.set_of_key(key) {
            Some(id) => number(id),
            None => fail(Errno::ENOENT),
        }
    }

    pub(super) fn sem_create(&mut self, cred: Cred, key: IpcKey, mode: u32) -> Reply {
        if self.set_of_key(key).is_some() {
            return fail(Errno::EEXIST);
        }
        let generation = self.next_number(For::Set, key.into());
        let id = (spread(key.to_le_bytes()) & 0x7f_ffff) << 8 | generation;
        let id = IpcId::try_from(id).unwrap();
        let set = Set {
            key,
            perm: new_perm(cred, mode),
            value: 0,
            last_pid: 0,
            used: false,
            old: self.long_ago,
            queue: Vec::new(),
        };
        assert!(
            self.sets.insert(id, set).is_none(),
            "two semaphores with one id"
        );
        number(id)
    }

    pub(super) fn sem_set(
        &mut self,
        cred: Cred,
        id: IpcId,
        uid: u32,
        gid: u32,
        mode: u32,
    ) -> Reply {
        let Some(set) = self.sets.get_mut(&id) else {
            return fail(Errno::EINVAL);
        };
        if !ipc_owns(cred, &set.perm) {
            return fail(Errno::EPERM);
        }
        set.perm = IpcPerm {
            uid,
            gid,
            mode: mode & 0o777,
            ..set.perm
        };
        DONE
    }

    pub(super) fn sem_remove(&mut self, cred: Cred, id: IpcId) -> Reply {
        let Some(set) = self.sets.get(&id) else {
            return fail(Errno::EINVAL);
        };
        if !ipc_owns(cred, &set.perm) {
            return fail(Errno::EPERM);
        }
        let set = self.sets.remove(&id).unwrap();
        for waiter in set.queue {
            self.processes[waiter].waiting = Some(Waiting::Answered(fail(Errno::EIDRM)));
        }
        for process in &mut self.processes {
            process.undo.remove(&id);
        }
        DONE
    }

    fn readable(&self, who: Pid, cred: Cred, id: IpcId, wanted: u32) -> Result<&Set, Errno> {
        let set = self.sets.get(&id).ok_or(Errno::EINVAL)?;
        if self.ipc_may(who, cred, &set.perm, wanted) {
            Ok(set)
        } else {
            Err(Errno::EACCES)
        }
    }

    fn read<T>(&self, who: Pid, cred: Cred, id: IpcId, what: impl Fn(&Set) -> T) -> Result<T, i32> {
        let set = self.readable(who, cred, id, READ);
        set.map(what).map_err(|errno| errno as i32)
    }

    pub(super) fn sem_stat(&self, who: Pid, cred: Cred, id: IpcId) -> Reply {
        self.read(who, cred, id, |set| {
            Value::Sem(SemStat {
                perm: set.perm,
                count: 1,
            })
        })
    }

    pub(super) fn sem_value(&self, who: Pid, cred: Cred, id: IpcId) -> Reply {
        self.read(who, cred, id, |set| Value::Number(set.value.into()))
    }

    pub(super) fn sem_waiting(&self, who: Pid, cred: Cred, id: IpcId) -> Reply {
        self.read(who, cred, id, |set| {
            Value::Number(set.queue.len().try_into().unwrap())
        })
    }

    pub(super) fn sem_last_pid(&self, who: Pid, cred: Cred, id: IpcId) -> Reply {
        self.read(who, cred, id, |set| Value::Number(set.last_pid.into()))
    }

    pub(super) fn sem_was_used(&self, who: Pid, cred: Cred, id: IpcId) -> Reply {
        self.read(who, cred, id, |set| Value::Number(set.used.into()))
    }

    pub(super) fn sem_set_value(&mut self, who: Pid, cred: Cred, id: IpcId, value: i32) -> Reply {
        if !(0..=HIGHEST).contains(&value) {
            return fail(Errno::ERANGE);
        }
        if let Err(errno) = self.readable(who, cred, id, WRITE) {
            return fail(errno);
        }
        for process in &mut self.processes {
            process.undo.entry(id).and_modify(|undo| *undo = 0);
        }
        let set = self.sets.get_mut(&id).unwrap();
        set.value = value;
        set.last_pid = self.processes[who].number();
        self.serve(id);
        DONE
    }

    pub(super) fn sem_op(
        &mut self,
        who: Pid,
        cred: Cred,
        id: IpcId,
        delta: i16,
        wait: Wait,
    ) -> Step {
        // The record of what to undo is made before anything is checked, and has its effect at exit.
        if self.sets.contains_key(&id) {
            self.processes[who].undo.entry(id).or_insert(0);
        }
        if let Err(errno) = self.readable(who, cred, id, WRITE) {
            return Step::Answer(fail(errno));
        }
        match self.operate(who, id, delta) {
            Some(reply) => {
                self.serve(id);
                Step::Answer(reply)
            }
            None if wait == Wait::No => Step::Answer(fail(Errno::EAGAIN)),
            None => {
                self.sets.get_mut(&id).unwrap().queue.push(who);
                self.processes[who].waiting = Some(Waiting::Semaphore { id, delta, wait });
                Step::Waits
            }
        }
    }

    /// perform_atomic_semop(); `None`: it would have to wait.
    fn operate(&mut self, who: Pid, id: IpcId, delta: i16) -> Option<Reply> {
        let set = self.sets.get_mut(&id).unwrap();
        let value = set.value + i32::from(delta);
        if value < 0 {
            return None;
        }
        let process = &mut self.processes[who];
        let undo = process.undo.get(&id).copied().unwrap_or(0) - i32::from(delta);
        if value > HIGHEST || !(-HIGHEST - 1..=HIGHEST).contains(&undo) {
            return Some(fail(Errno::ERANGE));
        }
        set.value = value;
        set.last_pid = process.number();
        set.used = true;
        process.undo.insert(id, undo);
        Some(DONE)
    }

    /// Whoever changes a value performs the operations that it lets go on, in the name of those
    /// who wait, before anybody else has a chance.
    fn serve(&mut self, id: IpcId) {
        let mut position = 0;
        while self.sets[&id].value > 0 && position < self.sets[&id].queue.len() {
            let waiter = self.sets[&id].queue[position];
            let Some(Waiting::Semaphore { delta, .. }) = self.processes[waiter].waiting else {
                panic!("process {waiter} is in a queue but does not wait");
            };
            match self.operate(waiter, id, delta) {
                None => position += 1,
                Some(reply) => {
                    self.sets.get_mut(&id).unwrap().queue.remove(position);
                    self.processes[waiter].waiting = Some(Waiting::Answered(reply));
                }
            }
        }
    }

    /// Takes a process that does not wait any more out of the queue.
    pub(super) fn stop_waiting(&mut self, who: Pid) {
        if let Some(Waiting::Semaphore { id, .. }) = self.processes[who].waiting {
            self.sets
                .get_mut(&id)
                .unwrap()
                .queue
                .retain(|waiter| *waiter != who);
        }
    }

    /// exit_sem(): what the process did is undone, within the bounds of the value.
    pub(super) fn undo(&mut self, who: Pid) {
        for (id, undo) in std::mem::take(&mut self.processes[who].undo) {
            let number = self.processes[who].number();
            let set = self.sets.get_mut(&id).unwrap();
            set.used = true;
            if undo != 0 {
                set.value = (set.value + undo).clamp(0, HIGHEST);
                set.last_pid = number;
            }
            self.serve(id);
        }
    }
}
