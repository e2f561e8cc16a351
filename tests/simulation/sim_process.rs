//! A process of the simulated machine, as the code under test sees it: an implementation of
//! `Kernel` that turns every call into data and asks somebody else for the answer.
//!
//! Who answers differs: a recorded history (`explore`), a world shared with other processes
//! under shuttle (`schedules`), or a world of its own (`alone`).

mod alone;
mod ranges;

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use qshm::kernel::{
    Errno, Fd, FileLock, FileStat, IpcId, IpcKey, Kernel, NewObject, Open, Range, SemStat, ShmStat,
    Wait,
};

pub use alone::run_alone;

use crate::model::call::{Call, Cred, Named, Reply, Value};
use crate::model::process::number_of;
use crate::model::{Mapping, Pid, words};

/// Who started the process, and as whom it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    pub cred: Cred,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// For whom it acts: itself, or who called root.
    pub identity: Cred,
}

impl User {
    /// A user of a group of the same number.
    pub fn plain(uid: u32) -> Self {
        let cred = Cred { uid, gid: uid };
        Self {
            cred,
            groups: Vec::new(),
            identity: cred,
        }
    }

    /// Root, called by this user.
    pub fn root_for(uid: u32) -> Self {
        Self {
            identity: Cred { uid, gid: uid },
            ..Self::plain(0)
        }
    }
}

/// What a program says of itself, for the invariants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// Between a successful create() or attach() and the call of detach().
    pub attached: bool,
    /// Between the return of a successful lock() and the call of unlock(), by key.
    pub locked: Option<u32>,
    /// It has come to an end that it reports itself: what it did in a word or two.
    pub outcome: Option<&'static str>,
    /// Between the return of join() and the call that ends it.
    pub number: Option<u32>,
    /// Between the return of a successful claim() and the call that ends it.
    pub claims: bool,
}

/// Answers calls; `None` stops the program at this call for good.
pub trait Answers {
    fn answer(&self, cred: Cred, call: &Call, status: &Status) -> Option<Reply>;
}

/// The payload that unwinds a program which was killed or is not followed further.
pub struct Stopped;

/// The payload that unwinds a program which found something wrong.
pub struct Wrong(pub String);

/// A simulated process; clones are the same process.
#[derive(Clone)]
pub struct SimProcess(Rc<Shared>);

struct Shared {
    pid: Pid,
    user: User,
    cred: Cell<Cred>,
    stopped: Cell<bool>,
    status: RefCell<Status>,
    answers: Box<dyn Answers>,
}

// The programs run on one thread at a time (shuttle's tasks share one), but types over a kernel
// may ask for these.
#[allow(unsafe_code)]
// SAFETY: every process is made, run and dropped on the one OS thread of its test.
unsafe impl Send for SimProcess {}
#[allow(unsafe_code)]
// SAFETY: as above.
unsafe impl Sync for SimProcess {}

impl SimProcess {
    pub fn new(pid: Pid, user: &User, answers: impl Answers + 'static) -> Self {
        Self(Rc::new(Shared {
            pid,
            user: user.clone(),
            cred: Cell::new(user.cred),
            stopped: Cell::new(false),
            status: RefCell::default(),
            answers: Box::new(answers),
        }))
    }

    pub fn identity(&self) -> Cred {
        self.0.user.identity
    }

    pub fn runs_as_root(&self) -> bool {
        self.0.user.cred.uid == 0
    }

    /// Changes what the program says of itself.
    pub fn note(&self, change: impl FnOnce(&mut Status)) {
        if !self.0.stopped.get() {
            change(&mut self.0.status.borrow_mut());
        }
    }

    pub fn status(&self) -> Status {
        self.0.status.borrow().clone()
    }

    /// Ends the program, and the test, with a reason.
    pub fn wrong(&self, what: impl Into<String>) -> ! {
        if self.0.stopped.get() {
            self.stop();
        }
        self.0.stopped.set(true);
        resume_unwind(Box::new(Wrong(what.into())))
    }

    fn stop(&self) -> ! {
        self.0.stopped.set(true);
        resume_unwind(Box::new(Stopped))
    }

    /// Reads the first four bytes at an address.
    pub fn peek(&self, address: usize) -> u32 {
        self.number(&Call::Peek(address)).unwrap_or_default()
    }

    /// Writes the first four bytes at an address.
    pub fn poke(&self, address: usize, value: u32) {
        let _ = self.ask(&Call::Poke(address, value));
    }

    fn ask(&self, call: &Call) -> Result<Value, Errno> {
        // Destructors that run while the program unwinds: the process is dead already.
        if self.0.stopped.get() {
            return Err(Errno::EIO);
        }
        let status = self.status();
        match self.0.answers.answer(self.0.cred.get(), call, &status) {
            Some(Err(errno)) if errno == Errno::EFAULT as i32 => {
                self.wrong(format!("a signal, SIGSEGV or SIGBUS, in {call:?}"))
            }
            Some(reply) => reply.map_err(Errno::from_raw),
            None => self.stop(),
        }
    }

    fn unit(&self, call: &Call) -> Result<(), Errno> {
        self.ask(call).map(drop)
    }

    fn yes(&self, call: &Call) -> bool {
        self.number::<i64>(call).is_ok_and(|answer| answer != 0)
    }

    fn numbers<T: TryFrom<i64, Error: std::fmt::Debug>>(&self, call: &Call) -> Vec<T> {
        match self.ask(call) {
            Ok(Value::List(numbers)) => numbers
                .iter()
                .map(|number| (*number).try_into().unwrap())
                .collect(),
            Ok(other) => panic!("{call:?} answered {other:?}"),
            Err(_) => Vec::new(),
        }
    }

    fn number<T: TryFrom<i64, Error: std::fmt::Debug>>(&self, call: &Call) -> Result<T, Errno> {
        match self.ask(call)? {
            Value::Number(number) => Ok(number.try_into().unwrap()),
            other => panic!("{call:?} answered {other:?}"),
        }
    }
}

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

    fn named_open_locked(&self, path: &Path, write: bool, wait: Wait) -> Result<Fd, Errno> {
        loop {
            let looked = self.number(&Call::NamedLook(path.into(), write));
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

/// A program: what a process does from start to end.
pub type Program = std::sync::Arc<dyn Fn(&SimProcess) + Send + Sync>;

/// How a program came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It ran through.
    Finished,
    /// It was stopped at a call.
    Stopped,
    /// It found something wrong, or panicked.
    Wrong(String),
}

/// Runs a program and says how it ended.
pub fn run(process: &SimProcess, program: &Program) -> End {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program(process)));
    match result {
        Ok(()) => End::Finished,
        Err(payload) if payload.is::<Stopped>() => End::Stopped,
        Err(payload) => {
            let text = payload
                .downcast_ref::<Wrong>()
                .map(|wrong| wrong.0.clone())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .or_else(|| {
                    payload
                        .downcast_ref::<&str>()
                        .map(|text| (*text).to_owned())
                });
            End::Wrong(text.unwrap_or_else(|| "a panic".to_owned()))
        }
    }
}
