//! `Kernel` of a simulated process: every call as data.

use std::cell::Cell;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use qshm::kernel::{
    Errno, Evidence, Fd, FileLock, FileStat, IpcId, IpcKey, Kernel, NewObject, Open, OwnSlot,
    Range, SemStat, ShmStat, Wait,
};

use super::SimProcess;
use crate::model::call::{Call, Cred, Named, Value};
use crate::model::process::number_of;
use crate::model::{Mapping, words};

impl Evidence for SimProcess {}

impl Kernel for SimProcess {
    fn getpid(&self) -> i32 {
        number_of(self.0.pid)
    }

    fn geteuid(&self) -> u32 {
        self.0.cred.get().uid
    }

    fn getegid(&self) -> u32 {
        self.0.cred.get().gid
    }

    fn is_alive(&self, pid: i32) -> bool {
        self.yes(&Call::IsAlive(pid))
    }

    fn as_user<T>(&self, uid: u32, gid: u32, act: impl FnOnce() -> T) -> Result<T, Errno> {
        struct Back<'a>(&'a Cell<Cred>, Cred);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let now = self.0.cred.get();
        if now.uid != 0 && (Cred { uid, gid }) != now {
            return Err(Errno::EPERM);
        }
        let _back = Back(&self.0.cred, now);
        self.0.cred.set(Cred { uid, gid });
        Ok(act())
    }

    fn open(&self, path: &Path, how: Open) -> Result<Fd, Errno> {
        self.number(&Call::Open(path.into(), how))
    }

    fn reopen(&self, fd: Fd) -> Result<Fd, Errno> {
        self.number(&Call::Reopen(fd))
    }

    fn close(&self, fd: Fd) {
        let _ = self.ask(&Call::Close(fd));
    }

    fn fstat(&self, fd: Fd) -> Result<FileStat, Errno> {
        file(self.ask(&Call::Fstat(fd))?)
    }

    fn lstat(&self, path: &Path) -> Result<FileStat, Errno> {
        file(self.ask(&Call::Lstat(path.into()))?)
    }

    fn fchmod(&self, fd: Fd, mode: u32) -> Result<(), Errno> {
        self.unit(&Call::Fchmod(fd, mode))
    }

    fn fchgrp(&self, fd: Fd, gid: u32) -> Result<(), Errno> {
        self.unit(&Call::Fchgrp(fd, gid))
    }

    fn flock(&self, fd: Fd, lock: FileLock, wait: Wait) -> Result<(), Errno> {
        self.unit(&Call::Flock(fd, lock, wait))
    }

    fn unlink(&self, path: &Path) -> Result<(), Errno> {
        self.unit(&Call::Unlink(path.into()))
    }

    fn mkdir(&self, path: &Path, mode: u32) -> Result<(), Errno> {
        self.unit(&Call::Mkdir(path.into(), mode))
    }

    fn rmdir(&self, path: &Path) -> Result<(), Errno> {
        self.unit(&Call::Rmdir(path.into()))
    }

    fn shm_find(&self, key: IpcKey) -> Result<IpcId, Errno> {
        self.number(&Call::ShmFind(key))
    }

    fn shm_create(&self, key: IpcKey, size: usize, mode: u32) -> Result<IpcId, Errno> {
        self.number(&Call::ShmCreate(key, size, mode))
    }

    fn shm_stat(&self, id: IpcId) -> Result<ShmStat, Errno> {
        match self.ask(&Call::ShmStat(id))? {
            Value::Shm(stat) => Ok(stat),
            other => panic!("shm_stat answered {other:?}"),
        }
    }

    fn shm_set(&self, id: IpcId, uid: u32, gid: u32, mode: u32) -> Result<(), Errno> {
        self.unit(&Call::ShmSet(id, uid, gid, mode))
    }

    fn shm_remove(&self, id: IpcId) -> Result<(), Errno> {
        self.unit(&Call::ShmRemove(id))
    }

    fn shm_attach(&self, id: IpcId, read_only: bool) -> Result<usize, Errno> {
        self.number(&Call::ShmAttach(id, read_only))
    }

    fn shm_detach(&self, address: usize) -> Result<(), Errno> {
        self.unit(&Call::ShmDetach(address))
    }

    fn shm_clear(&self, address: usize, size: usize) {
        let _ = self.ask(&Call::ShmClear(address, size));
    }

    fn shm_load(&self, address: usize) -> u64 {
        self.number::<i64>(&Call::ShmLoad(address)).unwrap_or(0) as u64
    }

    fn shm_store(&self, address: usize, value: u64) {
        let _ = self.ask(&Call::ShmStore(address, value));
    }

    fn sem_find(&self, key: IpcKey) -> Result<IpcId, Errno> {
        self.number(&Call::SemFind(key))
    }

    fn sem_create(&self, key: IpcKey, mode: u32) -> Result<IpcId, Errno> {
        self.number(&Call::SemCreate(key, mode))
    }

    fn sem_stat(&self, id: IpcId) -> Result<SemStat, Errno> {
        match self.ask(&Call::SemStat(id))? {
            Value::Sem(stat) => Ok(stat),
            other => panic!("sem_stat answered {other:?}"),
        }
    }

    fn sem_set(&self, id: IpcId, uid: u32, gid: u32, mode: u32) -> Result<(), Errno> {
        self.unit(&Call::SemSet(id, uid, gid, mode))
    }

    fn sem_remove(&self, id: IpcId) -> Result<(), Errno> {
        self.unit(&Call::SemRemove(id))
    }

    fn sem_value(&self, id: IpcId) -> Result<i32, Errno> {
        self.number(&Call::SemValue(id))
    }

    fn sem_waiting(&self, id: IpcId) -> Result<i32, Errno> {
        self.number(&Call::SemWaiting(id))
    }

    fn sem_last_pid(&self, id: IpcId) -> Result<i32, Errno> {
        self.number(&Call::SemLastPid(id))
    }

    fn sem_set_value(&self, id: IpcId, value: i32) -> Result<(), Errno> {
        self.unit(&Call::SemSetValue(id, value))
    }

    fn sem_op(&self, id: IpcId, delta: i16, wait: Wait) -> Result<(), Errno> {
        self.unit(&Call::SemOp(id, delta, wait))
    }

    fn open_new_shared(&self, path: &Path, mode: u32, group: Option<u32>) -> Result<Fd, Errno> {
        self.number(&Call::OpenShared(path.into(), mode, group))
    }

    fn may_write(&self, directory: &Path) -> bool {
        self.yes(&Call::MayWrite(directory.into()))
    }

    fn shm_keys(&self) -> Vec<IpcKey> {
        self.numbers(&Call::ShmKeys)
    }

    fn sem_keys(&self) -> Vec<IpcKey> {
        self.numbers(&Call::SemKeys)
    }

    fn inodes(&self, directory: &Path, prefix: &str) -> Vec<u64> {
        self.numbers(&Call::Inodes(directory.into(), prefix.into()))
    }

    fn sem_was_used(&self, id: IpcId) -> Result<bool, Errno> {
        self.number::<i64>(&Call::SemWasUsed(id))
            .map(|used| used != 0)
    }

    fn open_deleted(&self, path: &Path, uid: u32) -> Option<Fd> {
        self.number(&Call::OpenDeleted(path.into(), uid)).ok()
    }

    fn range_lock(&self, fd: Fd, range: Range, lock: FileLock, wait: Wait) -> Result<(), Errno> {
        self.unit(&Call::RangeLock(fd, range, lock, wait))
    }

    fn range_holder(&self, fd: Fd, range: Range) -> Result<Option<Range>, Errno> {
        match self.ask(&Call::RangeHolder(fd, range))? {
            Value::Range(holder) => Ok(holder),
            other => panic!("range_holder answered {other:?}"),
        }
    }

    fn named_open(&self, path: &Path, write: bool) -> Result<Fd, Errno> {
        self.number(&Call::NamedOpen(path.into(), write))
    }

    fn announce(&self, path: &Path) -> Result<Fd, Errno> {
        self.number(&Call::Announce(path.into()))
    }

    fn named_open_locked(
        &self,
        path: &Path,
        write: bool,
        known: bool,
        wait: Wait,
    ) -> Result<Fd, Errno> {
        let opens = if known {
            Call::NamedOpen(path.into(), write)
        } else {
            Call::NamedLook(path.into(), write)
        };
        loop {
            let looked = self.number(&opens);
            let locked = looked.and_then(|fd| self.unit(&Call::NamedLocks(fd)).map(|()| fd));
            match locked {
                Err(Errno::EAGAIN) if wait != Wait::No => {}
                answer => return answer,
            }
            self.unit(&Call::NamedUnlocked(path.into(), wait))?;
        }
    }

    fn named_make(&self, path: &Path, new: &NewObject<'_>) -> Result<Fd, Errno> {
        let named = Named {
            mode: new.mode,
            group: new.group,
            size: new.size,
            words: words(new.content),
        };
        self.number(&Call::NamedMake(path.into(), named))
    }

    fn named_reserve(&self, fd: Fd, size: u64) -> Result<(), Errno> {
        self.unit(&Call::NamedReserve(fd, size))
    }

    fn named_alone(&self, fd: Fd, path: &Path, wait: Wait) -> Result<bool, Errno> {
        let alone = self.number::<i64>(&Call::Lease(fd, path.into(), wait))? != 0;
        if alone {
            self.unit(&Call::LeaseBack(fd))?;
        }
        Ok(alone)
    }

    fn named_unlink(&self, fd: Fd, path: &Path) -> Result<(), Errno> {
        if self.number::<i64>(&Call::Lease(fd, path.into(), Wait::No))? == 0 {
            return Err(Errno::EAGAIN);
        }
        let done = self.unlink(path);
        self.unit(&Call::LeaseBack(fd))?;
        done
    }

    fn is_mapped(&self, file: &FileStat) -> bool {
        self.yes(&Call::IsMapped((file.dev, file.ino)))
    }

    fn map(&self, fd: Fd, _size: usize, read_only: bool) -> Result<usize, Errno> {
        let how = if read_only {
            Mapping::ReadOnly
        } else {
            Mapping::Writable
        };
        self.number(&Call::Map(fd, how, None))
    }

    fn map_own(&self, fd: Fd, _size: usize, at: Option<usize>) -> Result<usize, Errno> {
        self.number(&Call::Map(fd, Mapping::Own, at))
    }

    fn unmap(&self, address: usize, _size: usize) {
        let _ = self.ask(&Call::Unmap(address));
    }

    fn retire(&self, address: usize, _size: usize) {
        let _ = self.ask(&Call::Retire(address));
    }

    fn own_slots(&self) -> &Mutex<Vec<OwnSlot>> {
        &self.0.slots
    }

    fn word(&self, address: usize) -> u64 {
        self.number::<i64>(&Call::Word(address)).unwrap_or(0) as u64
    }

    fn words(&self, address: usize, count: usize) -> Vec<u64> {
        match self.ask(&Call::Words(address, count)) {
            Ok(Value::List(words)) => words.iter().map(|word| *word as u64).collect(),
            _ => Vec::new(),
        }
    }

    fn word_swap(&self, address: usize, old: u64, new: u64) -> Result<(), u64> {
        match self.ask(&Call::WordSwap(address, old, new)) {
            Ok(Value::Number(now)) => Err(now as u64),
            // A program that unwinds must not try again and again.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn word_set(&self, address: usize, value: u64) {
        let _ = self.ask(&Call::WordSet(address, value));
    }

    fn word_wait(&self, address: usize, low: u32, time: Duration) {
        let _ = self.ask(&Call::WordWait(address, low, time));
    }

    fn word_wake(&self, address: usize, count: i32) {
        let _ = self.ask(&Call::WordWake(address, count));
    }

    fn pause(&self, time: Duration) {
        let _ = self.ask(&Call::Pause(time));
    }
}

fn file(value: Value) -> Result<FileStat, Errno> {
    match value {
        Value::File(stat) => Ok(stat),
        other => panic!("stat answered {other:?}"),
    }
}
