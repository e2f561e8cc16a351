//! Every interleaving, by a search over states instead of schedules.
//!
//! What a program does next depends only on the answers that it has got: its history. So a state
//! is the machine plus a history for each process, and two schedules that lead to the same state
//! have the same future, which is looked at once. Programs are run again from their start with a
//! recorded history only to learn their next call after an answer that is new at that place; a
//! step that was seen in another state already costs a look into a table. Without either, the
//! number of schedules of two processes of 40 calls each has 23 digits.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use crate::model::call::{Call, Cred, Line, Reply};
use crate::model::{Life, Pid, Step, World};
use crate::scenario::{Rest, Scenario, Time};
use crate::sim_process::{Answers, End, SimProcess, Status, run};
use crate::{Dice, seed};

/// What a program does after a history.
#[derive(Clone, Debug)]
enum Next {
    Call(Rc<(Cred, Call)>),
    Finished,
    Wrong(String),
}

/// A history: the one before it and one more answer.
struct History {
    before: usize,
    reply: Option<Reply>,
    next: Next,
    status: Status,
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
struct Automaton {
    pid: Pid,
    histories: Vec<History>,
}

impl Automaton {
    fn new(scenario: &Scenario, pid: Pid) -> Self {
        let mut automaton = Self {
            pid,
            histories: Vec::new(),
        };
        automaton.add(scenario, 0, None);
        automaton
    }

    /// The history that an answer leads to.
    fn after(&mut self, scenario: &Scenario, history: usize, reply: Reply) -> usize {
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

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    world: World,
    /// Each process's history; of the dead only how they ended.
    at: Vec<usize>,
    kills: usize,
}

/// Ends, in place of a history.
const KILLED: usize = usize::MAX;
const FINISHED: usize = usize::MAX - 1;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The process makes its next call.
    Call(Pid),
    /// The call that it waits in goes on.
    Resume(Pid),
    /// The call that it waits in gives up.
    TimeOut(Pid),
    /// It is killed.
    Kill(Pid),
    /// One more step of its death.
    Die(Pid),
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    pub states: usize,
    pub steps: usize,
    pub histories: usize,
    /// How many different machines were left when everybody was gone.
    pub ends: usize,
    /// The first thing that was wrong, and how it came to it.
    pub wrong: Option<String>,
    /// There was more than was looked at.
    pub cut: bool,
}

struct Search<'a> {
    scenario: &'a Scenario,
    automata: Vec<Automaton>,
    /// From a state's hash to its place in `trail`.
    seen: HashMap<u128, usize>,
    /// How each state was first come to.
    trail: Vec<(usize, Option<Choice>)>,
    steps: usize,
    ends: HashSet<u128>,
}

/// In which order states are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The latest first: needs the least memory.
    Deep,
    /// The earliest first: finds the shortest way to what is wrong.
    Broad,
    /// The latest first, but now and then any: what is seen is spread over all there is, if not
    /// everything is.
    Spread,
}

/// Looks at every state that the scenario can come to.
pub fn explore(scenario: &Scenario) -> Found {
    shortest(scenario, usize::MAX, Order::Deep)
}

/// Looks at so many states, spread at random, or at all if there are not more.
pub fn explore_some(scenario: &Scenario, limit: usize) -> Found {
    shortest(scenario, limit, Order::Spread)
}

fn shortest(scenario: &Scenario, limit: usize, order: Order) -> Found {
    let found = Search::new(scenario).run(limit, order);
    if found.wrong.is_none() {
        return found;
    }
    // The shortest way to it is the easiest to read.
    let shortest = Search::new(scenario).run(limit.min(5_000_000), Order::Broad);
    if shortest.wrong.is_some() {
        shortest
    } else {
        found
    }
}

impl<'a> Search<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            automata: (0..scenario.members.len())
                .map(|pid| Automaton::new(scenario, pid))
                .collect(),
            seen: HashMap::new(),
            trail: Vec::new(),
            steps: 0,
            ends: HashSet::new(),
        }
    }

    fn run(mut self, limit: usize, order: Order) -> Found {
        let mut dice = Dice(seed());
        let mut queue = VecDeque::new();
        let start = State {
            world: self.scenario.start(),
            at: vec![0; self.automata.len()],
            kills: self.scenario.kills,
        };
        self.seen.insert(fingerprint(&start), 0);
        self.trail.push((0, None));
        queue.push_back((start, 0));
        let mut wrong = None;
        while wrong.is_none() && self.trail.len() < limit {
            let next = match order {
                Order::Broad => queue.pop_front(),
                Order::Spread if dice.chance(2) && !queue.is_empty() => {
                    queue.swap_remove_back(dice.roll(queue.len()))
                }
                Order::Deep | Order::Spread => queue.pop_back(),
            };
            let Some((state, place)) = next else { break };
            if let Err(what) = self.expand(&state, place, &mut queue) {
                wrong = Some(what);
            }
        }
        Found {
            states: self.trail.len(),
            steps: self.steps,
            histories: self
                .automata
                .iter()
                .map(|automaton| automaton.histories.len())
                .sum(),
            ends: self.ends.len(),
            cut: wrong.is_none() && !queue.is_empty(),
            wrong,
        }
    }

    fn expand(
        &mut self,
        state: &State,
        place: usize,
        queue: &mut VecDeque<(State, usize)>,
    ) -> Result<(), String> {
        let choices = self.choices(state);
        if choices
            .iter()
            .all(|choice| matches!(choice, Choice::Kill(_)))
        {
            let story = |what: String, search: &mut Self| search.story(place, None, &what);
            if state
                .world
                .processes
                .iter()
                .any(|process| process.life != Life::Gone)
            {
                return Err(story("stuck: nobody can go on".to_owned(), self));
            }
            if let Err(what) = self.rest(state) {
                return Err(story(what, self));
            }
        }
        for choice in choices {
            self.steps += 1;
            let mut after = state.clone();
            if let Err(what) = self.take(&mut after, choice) {
                return Err(self.story(place, Some(choice), &what));
            }
            let print = fingerprint(&after);
            let new = self.trail.len();
            if *self.seen.entry(print).or_insert(new) == new {
                self.trail.push((place, Some(choice)));
                if let Err(what) = self.invariant(&after) {
                    return Err(self.story(new, None, &what));
                }
                queue.push_back((after, new));
            }
        }
        Ok(())
    }

    fn choices(&self, state: &State) -> Vec<Choice> {
        let world = &state.world;
        // A call that nobody else can notice, and that notices nobody else, may as well come
        // first: every order leads to the same.
        for pid in 0..self.automata.len() {
            if let Some(history) = self.automata[pid].histories.get(state.at[pid]) {
                if let Next::Call(call) = &history.next {
                    if world.is_private(pid, &call.1) {
                        return vec![Choice::Call(pid)];
                    }
                }
            }
        }
        let mut choices = Vec::new();
        let alive = |pid: &Pid| world.processes[*pid].life == Life::Alive;
        for pid in 0..self.automata.len() {
            if world.dying(pid) {
                choices.push(Choice::Die(pid));
            } else if alive(&pid) {
                if world.processes[pid].waiting.is_none() {
                    choices.push(Choice::Call(pid));
                } else if world.ready(pid) {
                    choices.push(Choice::Resume(pid));
                }
            }
        }
        let waits = (0..self.automata.len())
            .filter(alive)
            .filter_map(|pid| Some((world.patience(pid)?, pid)));
        match self.scenario.time {
            Time::Hasty => choices.extend(waits.map(|(_, pid)| Choice::TimeOut(pid))),
            Time::Patient if choices.is_empty() => {
                let waits: Vec<_> = waits.collect();
                let shortest = waits.iter().map(|(time, _)| *time).min();
                let first = waits.iter().filter(|(time, _)| Some(*time) == shortest);
                choices.extend(first.map(|(_, pid)| Choice::TimeOut(*pid)));
            }
            Time::Patient => {}
        }
        if state.kills > 0 {
            choices.extend((0..self.automata.len()).filter(alive).map(Choice::Kill));
        }
        choices
    }

    /// Changes the state; an error if the program says that something is wrong.
    fn take(&mut self, state: &mut State, choice: Choice) -> Result<Option<Reply>, String> {
        let (pid, reply) = match choice {
            Choice::Call(pid) => {
                let Next::Call(call) = &self.automata[pid].histories[state.at[pid]].next else {
                    // It had nothing to do from the start.
                    state.world.kill(pid);
                    state.at[pid] = FINISHED;
                    return Ok(None);
                };
                match state.world.call(pid, call.0, &call.1) {
                    Step::Answer(reply) => (pid, reply),
                    Step::Waits => return Ok(None),
                }
            }
            Choice::Resume(pid) => (pid, state.world.resume(pid)),
            Choice::TimeOut(pid) => (pid, state.world.time_out(pid)),
            Choice::Kill(pid) => {
                state.kills -= 1;
                state.world.kill(pid);
                state.at[pid] = KILLED;
                return Ok(None);
            }
            Choice::Die(pid) => {
                state.world.die(pid);
                return Ok(None);
            }
        };
        let after = self.automata[pid].after(self.scenario, state.at[pid], reply.clone());
        state.at[pid] = after;
        match &self.automata[pid].histories[after].next {
            Next::Call(..) => Ok(Some(reply)),
            Next::Finished => {
                state.world.kill(pid);
                state.at[pid] = FINISHED;
                Ok(Some(reply))
            }
            Next::Wrong(what) => Err(format!("process {pid}: {what} (after {reply:?})")),
        }
    }

    fn statuses(&self, state: &State) -> Vec<Status> {
        let of = |(automaton, at): (&Automaton, &usize)| {
            let history = automaton.histories.get(*at);
            history.map_or_else(Status::default, |history| history.status.clone())
        };
        self.automata.iter().zip(&state.at).map(of).collect()
    }

    fn invariant(&self, state: &State) -> Result<(), String> {
        (self.scenario.invariant)(&state.world, &self.scenario.members, &self.statuses(state))
    }

    fn rest(&mut self, state: &State) -> Result<(), String> {
        let killed: Vec<bool> = state.at.iter().map(|at| *at == KILLED).collect();
        if !self.ends.insert(fingerprint(&(&state.world, &killed))) {
            return Ok(());
        }
        (self.scenario.at_rest)(&Rest {
            world: &state.world,
            killed: &killed,
        })
    }

    /// What happened, call by call.
    fn story(&mut self, place: usize, last: Option<Choice>, what: &str) -> String {
        let mut choices: Vec<Choice> = last.into_iter().collect();
        let mut at = place;
        while let (before, Some(choice)) = self.trail[at] {
            choices.push(choice);
            at = before;
        }
        choices.reverse();
        let mut state = State {
            world: self.scenario.start(),
            at: vec![0; self.automata.len()],
            kills: self.scenario.kills,
        };
        let mut story = format!("{}: {what}\n", self.scenario.name);
        for choice in choices {
            let (Choice::Call(pid)
            | Choice::Resume(pid)
            | Choice::TimeOut(pid)
            | Choice::Kill(pid)
            | Choice::Die(pid)) = choice;
            let history = self.automata[pid].histories.get(state.at[pid]);
            let call = match history.map(|history| &history.next) {
                Some(Next::Call(call)) => format!("[{}] {}", call.0.uid, call.1.to_line()),
                _ => String::new(),
            };
            let reply = self.take(&mut state, choice);
            let line = match choice {
                Choice::Call(_) => format!("{call} -> {}", show(&reply)),
                Choice::Resume(_) => format!("  goes on: {call} -> {}", show(&reply)),
                Choice::TimeOut(_) => format!("  gives up: {call} -> {}", show(&reply)),
                Choice::Kill(_) => format!("is killed, before or in {call}"),
                Choice::Die(_) => format!("  dies on: {:?}", state.world.processes[pid].life),
            };
            let _ = writeln!(story, "  {pid}: {line}");
        }
        let _ = writeln!(story, "  => {what}");
        readable(&(story + &state.world.inventory()))
    }
}

fn show(reply: &Result<Option<Reply>, String>) -> String {
    match reply {
        Ok(None) => "(waits, or has ended)".to_owned(),
        Ok(Some(reply)) => show_reply(reply),
        Err(what) => what.clone(),
    }
}

pub fn show_reply(reply: &Reply) -> String {
    match reply {
        Ok(_) => reply.to_line(),
        Err(errno) => format!("{:?}", qshm::kernel::Errno::from_raw(*errno)),
    }
}

/// Long file names by their first letters: M is the segment's key file, S the semaphore's.
pub fn readable(story: &str) -> String {
    let mut short = story
        .replace("qipc_sharedmemory_", "M-")
        .replace("qipc_systemsem_", "S-");
    for hash in [
        "3d52a6d8fedcc48a65297c07bf5f7e3e41aab5aa",
        "22e7bac1fc9f9d47f8af3c4b9a3a4a2ae60dfd42",
    ] {
        short = short.replace(hash, "");
    }
    short
}

/// Two states with the same 128 bits are taken for one.
fn fingerprint(value: &impl Hash) -> u128 {
    let mut hasher = Fold(0x9e37_79b9_7f4a_7c15, 0x2545_f491_4f6c_dd1d);
    value.hash(&mut hasher);
    u128::from(hasher.0) << 64 | u128::from(hasher.1)
}

/// A hasher of two halves that is faster than the standard one.
struct Fold(u64, u64);

impl Fold {
    fn fold(&mut self, word: u64) {
        let fold = |state: u64, by: u64| {
            let product = u128::from(state ^ word) * u128::from(by);
            (product as u64) ^ ((product >> 64) as u64)
        };
        (self.0, self.1) = (
            fold(self.0, 0xa076_1d64_78bd_642f).wrapping_add(0xe703_7ed1_a0b4_28db),
            fold(self.1.rotate_left(23), 0x8ebc_6af0_9c88_c6e3).wrapping_add(self.0),
        );
    }
}

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
        self.fold(bytes.len() as u64);
    }

    fn write_u8(&mut self, number: u8) {
        self.fold(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.fold(number as u64);
    }
}
