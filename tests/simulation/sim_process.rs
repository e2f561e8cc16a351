//! A process of the simulated machine, as the code under test sees it: an implementation of
//! `Kernel` that turns every call into data and asks somebody else for the answer.
//!
//! Who answers differs: a recorded history (`explore`), a world shared with other processes
//! under shuttle (`schedules`), or a world of its own (`alone`).

mod alone;
mod kernel;
mod ranges;

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Mutex;

use qshm::kernel::{Errno, OwnSlot};

pub use alone::run_alone;

use crate::model::Pid;
use crate::model::call::{Call, Cred, Reply, Value};

/// Who started the process, and as whom it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    pub cred: Cred,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// For whom it acts: itself, or who called root.
    pub identity: Cred,
    /// The pid that it has for itself, in a PID namespace of its own.
    pub pid: Option<i32>,
}

impl User {
    /// A user of a group of the same number.
    pub fn plain(uid: u32) -> Self {
        let cred = Cred { uid, gid: uid };
        Self {
            cred,
            groups: Vec::new(),
            identity: cred,
            pid: None,
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
    slots: Mutex<Vec<OwnSlot>>,
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
            slots: Mutex::default(),
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
