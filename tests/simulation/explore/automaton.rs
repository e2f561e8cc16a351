//! A program as a table: from what it has been answered so far to what it calls next.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::model::Pid;
use crate::model::call::{Call, Cred, Reply};
use crate::scenario::Scenario;
use crate::sim_process::{Answers, End, SimProcess, Status, run};

/// What a program does after a history.
#[derive(Clone, Debug)]
pub enum Next {
    Call(Rc<(Cred, Call)>),
    Finished,
    Wrong(String),
}

/// A history: the one before it and one more answer.
pub struct History {
    before: usize,
    reply: Option<Reply>,
    pub next: Next,
    pub status: Status,
    after: HashMap<Reply, usize>,
}

/// Plays recorded answers, then stops the program and remembers the call.
struct Tape {
    recorded: Vec<(Rc<(Cred, Call)>, Reply)>,
    position: Cell<usize>,
    next: Rc<RefCell<Option<(Cred, Call)>>>,
}

impl Answers for Tape {
    fn answer(&self, cred: Cred, call: &Call, _: &Status) -> Option<Reply> {
        let position = self.position.replace(self.position.get() + 1);
        let Some((recorded, reply)) = self.recorded.get(position) else {
            *self.next.borrow_mut() = Some((cred, call.clone()));
            return None;
        };
        assert!(
            (&recorded.0, &recorded.1) == (&cred, call),
            "the program depends on something else than the kernel's answers: it called {recorded:?}, and now {call:?}"
        );
        Some(reply.clone())
    }
}

/// All histories of one process that were met so far.
pub struct Automaton {
    pid: Pid,
    pub histories: Vec<History>,
}

impl Automaton {
    pub fn new(scenario: &Scenario, pid: Pid) -> Self {
        let mut automaton = Self {
            pid,
            histories: Vec::new(),
        };
        automaton.add(scenario, 0, None);
        automaton
    }

    /// The history that an answer leads to.
    pub fn after(&mut self, scenario: &Scenario, history: usize, reply: Reply) -> usize {
        if let Some(after) = self.histories[history].after.get(&reply) {
            return *after;
        }
        let after = self.add(scenario, history, Some(reply.clone()));
        self.histories[history].after.insert(reply, after);
        after
    }

    fn add(&mut self, scenario: &Scenario, before: usize, reply: Option<Reply>) -> usize {
        let mut recorded = Vec::new();
        let (mut at, mut answer) = (before, reply.clone());
        while let Some(reply) = answer.take() {
            let Next::Call(call) = self.histories[at].next.clone() else {
                panic!("an answer without a call");
            };
            recorded.push((call, reply));
            answer.clone_from(&self.histories[at].reply);
            at = self.histories[at].before;
        }
        recorded.reverse();
        let next = Rc::new(RefCell::new(None));
        let tape = Tape {
            recorded,
            position: Cell::new(0),
            next: next.clone(),
        };
        let member = &scenario.members[self.pid];
        let process = SimProcess::new(self.pid, &member.user, tape);
        let next = match run(&process, &member.program) {
            End::Finished => Next::Finished,
            End::Stopped => {
                let call = next.take().unwrap();
                Next::Call(Rc::new(call))
            }
            End::Wrong(what) => Next::Wrong(what),
        };
        let status = process.status();
        self.histories.push(History {
            before,
            reply,
            next,
            status,
            after: HashMap::new(),
        });
        self.histories.len() - 1
    }
}
