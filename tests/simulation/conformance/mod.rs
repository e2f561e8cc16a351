//! The model against the real kernel: random sequences of calls by processes of root and of two
//! users, made on both at once, with the same answer to every call.
//!
//! The real processes are workers (this program started again) in a System V namespace and a
//! temp directory of their own. Inode numbers, ids, descriptors, addresses and pids differ, so
//! they are translated: what one side calls A has to be what the other calls B, always.

mod generate;
mod real;
mod translate;
mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use qshm::kernel::{Fd, Wait};

use crate::model::call::{Call, Cred, Value};
use crate::model::line::Line;
use crate::model::{Pid, Step, World};
use crate::sim_process::User;
use crate::{Dice, seed, soak};
use generate::{Generator, LONG};
use real::{Machine, NAMES};

/// Who the processes are; two are of one user.
const USERS: [u32; 4] = [0, 2001, 2001, 2002];

/// One sequence at a time: the second test changes the machine.
static SERIAL: Mutex<()> = Mutex::new(());

#[derive(Default)]
struct Count {
    sequences: usize,
    calls: usize,
    waits: usize,
    kills: usize,
    failures: usize,
    /// How often each kind of call did not fail.
    successes: BTreeMap<String, usize>,
}

fn may_run() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!(
            "SKIPPED: the model is held against the real kernel by root alone, who can be all users"
        );
    }
    root
}

#[test]
fn the_model_answers_as_the_kernel_does() {
    if !may_run() {
        return;
    }
    let _serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut count = Count::default();
    for number in 0..if soak() { 3000 } else { 50 } {
        run(seed() * 1_000_000 + number, &mut count);
    }
    count.print();
    if soak() {
        // What only ever fails is not compared.
        let failing = count.successes.iter().filter(|(_, times)| **times < 20);
        assert_eq!(failing.collect::<Vec<_>>(), []);
    }
}

/// No call of the trait opens an existing file with `O_CREAT`, so this must change nothing.
#[test]
fn protected_regular_makes_no_difference() {
    const SETTING: &str = "/proc/sys/fs/protected_regular";
    struct PutBack(String);
    impl Drop for PutBack {
        fn drop(&mut self) {
            let _ = fs::write(SETTING, &self.0);
        }
    }
    if !may_run() {
        return;
    }
    let _serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(before) = fs::read_to_string(SETTING) else {
        println!("SKIPPED: there is no {SETTING}");
        return;
    };
    let put_back = PutBack(before);
    let mut count = Count::default();
    for setting in ["0", "1", "2"] {
        if fs::write(SETTING, setting).is_err() {
            println!(
                "SKIPPED: {SETTING} can't be changed here; it is {}",
                put_back.0
            );
            return;
        }
        for number in 0..if soak() { 100 } else { 6 } {
            run(seed() * 1_000_000 + 500_000 + number, &mut count);
        }
    }
    count.print();
}

impl Count {
    fn print(&self) {
        println!(
            "conformance: {} sequences, {} calls ({} failed as they should), {} waits, {} kills",
            self.sequences, self.calls, self.failures, self.waits, self.kills
        );
        println!("conformance: successes: {:?}", self.successes);
    }
}

/// Both machines, side by side.
struct Pair {
    world: World,
    machine: Machine,
    /// Which process runs for each of [`USERS`] now.
    slots: Vec<Pid>,
    log: Vec<String>,
    /// The descriptor that the last call returned.
    opened: Option<Fd>,
}

fn run(seed: u64, count: &mut Count) {
    let mut dice = Dice(seed);
    let mut world = World::new();
    world.reuse_inodes = false;
    let mut machine = Machine::new(&mut world);
    let slots: Vec<Pid> = USERS
        .iter()
        .map(|uid| {
            let user = User::plain(*uid);
            machine.start(user.cred);
            world.start(user.cred, &user.groups)
        })
        .collect();
    let mut pair = Pair {
        world,
        machine,
        slots,
        log: Vec::new(),
        opened: None,
    };
    let mut generator = Generator::new(seed % 2 == 0);
    count.sequences += 1;
    for _ in 0..200 {
        let free: Vec<Pid> = pair
            .slots
            .iter()
            .copied()
            .filter(|pid| !pair.waits(*pid))
            .collect();
        if free.is_empty() || dice.chance(2) {
            pair.kill(dice.roll(USERS.len()), seed);
            count.kills += 1;
            continue;
        }
        let who = dice.one_of(&free);
        let (cred, call) = generator.next(&pair.world, who, &mut dice);
        count.calls += 1;
        let line = call.to_line();
        let kind = line.split(' ').next().unwrap_or_default().to_owned();
        let successes = count.successes.entry(kind).or_default();
        match pair.call(who, cred, &call, seed) {
            Outcome::Waits => count.waits += 1,
            Outcome::Fails => count.failures += 1,
            Outcome::Succeeds => *successes += 1,
        }
        generator.learn(&pair.world);
        // Which file was opened counts for what is asked later.
        if let Some(fd) = pair.opened.take() {
            pair.call(who, cred, &Call::Fstat(fd), seed);
        }
    }
    // All that is to be seen, at the end, by a root that does not wait.
    while pair.waits(pair.slots[0]) {
        pair.kill(0, seed);
    }
    let root = pair.slots[0];
    for call in generator.all_there_is(NAMES) {
        pair.call(root, User::plain(0).cred, &call, seed);
    }
}

enum Outcome {
    Waits,
    Fails,
    Succeeds,
}

impl Pair {
    fn waits(&self, who: Pid) -> bool {
        self.world.processes[who].waiting.is_some()
    }

    fn call(&mut self, who: Pid, cred: Cred, call: &Call, seed: u64) -> Outcome {
        self.log
            .push(format!("{who} as {}: {}", cred.uid, call.to_line()));
        let step = self.world.call(who, cred, call);
        self.machine.send(who, cred, call);
        let reply = match step {
            Step::Answer(reply) => reply,
            Step::Waits if forever(call) => {
                self.machine.wait_until_blocked(who, &self.log, seed);
                self.log.push("  waits".to_owned());
                return Outcome::Waits;
            }
            Step::Waits => self.world.time_out(who),
        };
        self.machine.receive(who, call, &reply, &self.log, seed);
        self.log.push(format!("  {}", reply.to_line()));
        self.opened = match reply {
            Ok(Value::Number(fd)) if call.opens() => Fd::try_from(fd).ok(),
            _ => None,
        };
        self.go_on(seed);
        if reply.is_ok() {
            Outcome::Succeeds
        } else {
            Outcome::Fails
        }
    }

    /// Those whose waiting has come to an end go on, the others must still wait.
    fn go_on(&mut self, seed: u64) {
        for slot in 0..self.slots.len() {
            let who = self.slots[slot];
            if !self.waits(who) {
                continue;
            }
            if self.world.ready(who) {
                let reply = self.world.resume(who);
                let call = self.machine.pending(who);
                self.machine.receive(who, &call, &reply, &self.log, seed);
                self.log
                    .push(format!("  {who} goes on: {}", reply.to_line()));
                // The lock that it took now may be what another one waits for.
            } else {
                self.machine.wait_until_blocked(who, &self.log, seed);
            }
        }
    }

    fn kill(&mut self, slot: usize, seed: u64) {
        let who = self.slots[slot];
        self.log.push(format!("{who} is killed"));
        self.machine.kill(who);
        self.world.kill(who);
        while self.world.dying(who) {
            self.world.die(who, false);
        }
        self.go_on(seed);
        let user = User::plain(USERS[slot]);
        self.machine.start(user.cred);
        self.slots[slot] = self.world.start(user.cred, &user.groups);
    }
}

fn forever(call: &Call) -> bool {
    match call {
        Call::Flock(_, _, wait) | Call::SemOp(_, _, wait) => *wait == Wait::Forever,
        Call::WordWait(_, _, time) => *time >= LONG,
        _ => false,
    }
}
