//! Random schedules and PCT schedules, for more processes than can be searched.
//!
//! Every process is a task of shuttle, every call a scheduling point. PCT gives tasks priorities
//! and changes them at few random points, which finds races of few steps with a known
//! probability; the plain random schedules find those of many.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::{Condvar, Mutex, MutexGuard};
use shuttle::{Config, Runner};

use crate::explore::{readable, show_reply};
use crate::model::call::{Call, Cred, Reply};
use crate::model::line::Line;
use crate::model::{Life, Pid, Step, Waiting, World};
use crate::scenario::{Rest, Scenario, Time};
use crate::sim_process::{Answers, End, SimProcess, Status, run};

/// What came of a number of schedules.
#[derive(Debug, Default)]
pub struct Ran {
    pub schedules: usize,
    pub calls: usize,
    pub kills: usize,
    /// The first thing that was wrong, and how it came to it.
    pub wrong: Option<String>,
}

/// The machine during one schedule.
struct Shared {
    scenario: Scenario,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    world: World,
    statuses: Vec<Status>,
    killed: Vec<bool>,
    /// Who is to be killed at which of its calls, and whether before it or while it waits.
    plan: Vec<Option<(usize, bool)>>,
    calls: Vec<usize>,
    log: Vec<Entry>,
    wrong: Option<String>,
}

/// A call, if it was one and not the process's end, and its answer, if it has one yet.
type Entry = (Pid, Option<(Cred, Call)>, Option<Reply>);

/// Answers one process's calls.
struct Task {
    shared: Arc<Shared>,
    pid: Pid,
}

/// Runs random schedules of a scenario.
pub fn random(scenario: &Scenario, schedules: usize, seed: u64) -> Ran {
    let runner = Runner::new(RandomScheduler::new_from_seed(seed, schedules), config());
    all(scenario, move |one| runner.run(one))
}

/// Runs schedules in which priorities change at `depth` points.
pub fn pct(scenario: &Scenario, depth: usize, schedules: usize, seed: u64) -> Ran {
    let runner = Runner::new(
        PctScheduler::new_from_seed(seed, depth, schedules),
        config(),
    );
    all(scenario, move |one| runner.run(one))
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 0x4_0000;
    config.failure_persistence = shuttle::FailurePersistence::None;
    config
}

fn all(scenario: &Scenario, run: impl FnOnce(Box<dyn Fn() + Send + Sync>) -> usize) -> Ran {
    let ran = Arc::new(std::sync::Mutex::new(Ran::default()));
    let (inside, scenario) = (ran.clone(), scenario.clone());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        run(Box::new(move || {
            if inside.lock().unwrap().wrong.is_none() {
                let one = one(&scenario);
                let mut ran = inside.lock().unwrap();
                ran.schedules += one.schedules;
                ran.calls += one.calls;
                ran.kills += one.kills;
                ran.wrong = one.wrong;
            }
        }))
    }));
    let mut ran = std::mem::take(&mut *ran.lock().unwrap());
    if outcome.is_err() {
        ran.wrong
            .get_or_insert("shuttle gave up, see above".to_owned());
    }
    ran
}

/// One schedule, inside shuttle.
fn one(scenario: &Scenario) -> Ran {
    let members = scenario.members.len();
    let mut plan = vec![None; members];
    for _ in 0..scenario.kills {
        if thread_rng().gen_bool(0.8) {
            let at = thread_rng().gen_range(0..60);
            plan[thread_rng().gen_range(0..members)] = Some((at, thread_rng().gen_bool(0.5)));
        }
    }
    let shared = Arc::new(Shared {
        scenario: scenario.clone(),
        state: Mutex::new(State {
            world: scenario.start(),
            statuses: vec![Status::default(); members],
            killed: vec![false; members],
            plan,
            calls: vec![0; members],
            log: Vec::new(),
            wrong: None,
        }),
        changed: Condvar::new(),
    });
    let tasks: Vec<_> = (0..members)
        .map(|pid| {
            let task = Task {
                shared: shared.clone(),
                pid,
            };
            shuttle::thread::spawn(move || task.live())
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    let mut state = shared.state.lock().unwrap();
    if state.wrong.is_none() {
        let rest = Rest {
            world: &state.world,
            killed: &state.killed,
        };
        if let Err(what) = (scenario.at_rest)(&rest) {
            state.fails(scenario, &what);
        }
    }
    Ran {
        schedules: 1,
        calls: state.calls.iter().sum(),
        kills: state.killed.iter().filter(|killed| **killed).count(),
        wrong: state.wrong.take(),
    }
}

impl Task {
    /// From the process's start to its end.
    fn live(self) {
        let (shared, pid) = (self.shared.clone(), self.pid);
        let member = shared.scenario.members[pid].clone();
        let process = SimProcess::new(pid, &member.user, self);
        let end = run(&process, &member.program);
        let status = process.status();
        drop(process);
        let mut state = shared.state.lock().unwrap();
        state.statuses[pid] = status;
        match end {
            End::Finished => {}
            End::Stopped => state.killed[pid] = true,
            End::Wrong(what) => state.fails(&shared.scenario, &format!("process {pid}: {what}")),
        }
        state.world.kill(pid);
        state.log.push((pid, None, None));
        shared.changed.notify_all();
        drop(state);
        loop {
            let mut state = shared.state.lock().unwrap();
            if !state.world.dying(pid) {
                // The last that could have gone on is gone: time may have to pass.
                state.let_time_pass(&shared.scenario);
                shared.changed.notify_all();
                return;
            }
            state.world.die(pid, false);
            state.check(&shared.scenario);
            shared.changed.notify_all();
        }
    }

    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Option<Reply> {
        let pid = self.pid;
        loop {
            if state.wrong.is_some() || state.is_planned(pid, true) {
                return None;
            }
            if state.world.ready(pid) {
                return Some(state.world.resume(pid));
            }
            let impatient = self.shared.scenario.time == Time::Hasty
                && state.world.patience(pid).is_some()
                && thread_rng().gen_bool(0.3);
            if impatient {
                return Some(state.world.time_out(pid));
            }
            if state.let_time_pass(&self.shared.scenario) {
                self.shared.changed.notify_all();
                continue;
            }
            state = self.shared.changed.wait(state).unwrap();
        }
    }
}

impl Answers for Task {
    fn answer(&self, cred: Cred, call: &Call, status: &Status) -> Option<Reply> {
        let pid = self.pid;
        let scenario = &self.shared.scenario;
        let mut state = self.shared.state.lock().unwrap();
        state.statuses[pid] = status.clone();
        state.check(scenario);
        if state.wrong.is_some() || state.is_planned(pid, false) {
            return None;
        }
        state.calls[pid] += 1;
        if state.calls[pid] > 5000 {
            state.fails(scenario, &format!("process {pid} does not come to an end"));
            return None;
        }
        let reply = match state.world.call(pid, cred, call) {
            Step::Answer(reply) => reply,
            Step::Waits => {
                state.log.push((pid, Some((cred, call.clone())), None));
                let reply = self.wait(state)?;
                state = self.shared.state.lock().unwrap();
                reply
            }
        };
        state
            .log
            .push((pid, Some((cred, call.clone())), Some(reply.clone())));
        state.check(scenario);
        self.shared.changed.notify_all();
        Some(reply)
    }
}

impl State {
    fn is_planned(&self, pid: Pid, waiting: bool) -> bool {
        let now = self.calls[pid] - usize::from(waiting);
        self.plan[pid].is_some_and(|(at, planned)| planned == waiting && now >= at)
    }

    fn check(&mut self, scenario: &Scenario) {
        if self.wrong.is_none() {
            if let Err(what) = (scenario.invariant)(&self.world, &scenario.members, &self.statuses)
            {
                self.fails(scenario, &what);
            }
        }
    }

    /// If nobody can go on, the wait that is the first to end ends. Says whether one did.
    fn let_time_pass(&mut self, scenario: &Scenario) -> bool {
        let world = &self.world;
        let all = 0..world.processes.len();
        let can_go_on = |pid: Pid| {
            let process = &world.processes[pid];
            world.dying(pid)
                || process.life == Life::Alive && (process.waiting.is_none() || world.ready(pid))
        };
        if all.clone().any(can_go_on) {
            return false;
        }
        let first = all
            .clone()
            .filter_map(|pid| Some((world.patience(pid)?, pid)))
            .min();
        if let Some((_, pid)) = first {
            let reply = self.world.time_out(pid);
            self.world.processes[pid].waiting = Some(Waiting::Answered(reply));
            return true;
        }
        let somebody_waits = all
            .into_iter()
            .any(|pid| world.processes[pid].life == Life::Alive);
        if somebody_waits && self.wrong.is_none() {
            self.fails(scenario, "stuck: nobody can go on");
            return true;
        }
        false
    }

    fn fails(&mut self, scenario: &Scenario, what: &str) {
        use std::fmt::Write as _;
        let mut story = format!("{}: {what}\n", scenario.name);
        let skipped = self.log.len().saturating_sub(400);
        for (pid, call, reply) in &self.log[skipped..] {
            let _ = match call {
                None => writeln!(story, "  {pid}: ends"),
                Some((cred, call)) => {
                    let reply = reply.as_ref().map_or("(waits)".to_owned(), show_reply);
                    writeln!(
                        story,
                        "  {pid}: [{}] {} -> {reply}",
                        cred.uid,
                        call.to_line()
                    )
                }
            };
        }
        let _ = writeln!(story, "  => {what}");
        let story = readable(&(story + &self.world.inventory()));
        self.wrong.get_or_insert(story);
    }
}
