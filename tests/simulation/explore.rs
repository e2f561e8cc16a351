//! Every interleaving, by a search over states instead of schedules.
//!
//! What a program does next depends only on the answers that it has got: its history. So a state
//! is the machine plus a history for each process, and two schedules that lead to the same state
//! have the same future, which is looked at once. Programs are run again from their start with a
//! recorded history only to learn their next call after an answer that is new at that place; a
//! step that was seen in another state already costs a look into a table. Without either, the
//! number of schedules of two processes of 40 calls each has 23 digits.

mod automaton;
mod fingerprint;
mod story;

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::call::Reply;
use crate::model::{Life, Pid, Step, World};
use crate::scenario::{Rest, Scenario, Time};
use crate::sim_process::Status;
use crate::{Dice, seed};
use automaton::{Automaton, Next};
use fingerprint::fingerprint;
pub use story::{readable, show_reply};

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
    /// One more step of its death, in the one way or the other.
    Die(Pid, bool),
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
                choices.push(Choice::Die(pid, false));
                if world.dies_in_two_ways(pid) {
                    choices.push(Choice::Die(pid, true));
                }
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
            Choice::Die(pid, lowest_first) => {
                state.world.die(pid, lowest_first);
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
}
