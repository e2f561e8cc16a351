//! Call by call: a program of random calls, built with Qt and with the
//! drop-in, prints the same lines.
//!
//! `QSHM_TEST_CALLS="FIRST COUNT LENGTH"` runs other sequences than usual.

use crate::support::{Build, User, World, has_qt68, say};
use std::collections::BTreeMap;
use std::time::Duration;

const USUAL: &str = "1 1000 60";

/// For what only has to be seen to hold: the premise.
const FEW: &str = "1 200 60";

/// All sequences of one program; a minute on a slow machine.
const LONG: Duration = Duration::from_secs(300);

/// What Qt 6.8 says where it could not remove a semaphore that is gone, and then fails.
const LOST: &str = "QSystemSemaphore::cleanHandle: unknown error";

/// What Qt 6.8 says of a segment that is not there, without and with a key file.
const NO_FILE: &str = "QSharedMemory::handle: doesn't exist";
const NO_SEGMENT: &str = "QSharedMemory::attach (shmget): doesn't exist";

/// How many different sequences are made small and shown.
const SHOWN: usize = 3;

#[test]
fn qt5_answers_the_same_call_by_call() {
    compare(Build::QT5, Build::QSHM5, User::Root, USUAL, "");
}

#[test]
fn qt6_answers_the_same_call_by_call() {
    compare(Build::QT6, Build::QSHM6, User::Root, USUAL, "");
}

/// What root makes by way of sudo belongs to the user, and the answers are the
/// same. (Half of the sequences run as an ordinary user in any case.)
#[test]
fn qt5_answers_the_same_by_sudo() {
    compare(Build::QT5, Build::QSHM5, User::SUDO_ALICE, FEW, "");
}

#[test]
fn qt5_under_the_preload_library_answers_the_same() {
    compare(Build::QT5, Build::PRELOAD5, User::Root, FEW, "");
}

#[test]
fn qt6_under_the_preload_library_answers_the_same() {
    compare(Build::QT6, Build::PRELOAD6, User::Root, FEW, "");
}

/// The premise of the comparison: Qt's answers depend on the calls alone.
#[test]
fn qt5_and_qt6_answer_the_same_call_by_call() {
    compare(Build::QT5, Build::QT6, User::Root, FEW, "");
}

/// `setKey()` of Qt 6.6 and later has words of its own.
#[test]
fn qt68_answers_the_same_call_by_call() {
    if has_qt68() {
        compare(Build::QT68, Build::QSHM68, User::Root, FEW, "");
    }
}

#[test]
fn qt68_under_the_preload_library_answers_the_same() {
    if has_qt68() {
        compare(Build::QT68, Build::PRELOAD68, User::Root, FEW, "");
        compare(Build::QT68, Build::PRELOAD68, User::Root, FEW, "posix:");
    }
}

#[test]
fn qt68_answers_the_same_with_posix_keys() {
    if has_qt68() {
        compare(Build::QT68, Build::QSHM68, User::Root, FEW, "posix:");
    }
}

#[test]
fn qt68_answers_the_same_with_native_system_v_keys() {
    if has_qt68() {
        compare(Build::QT68, Build::QSHM68, User::Root, FEW, "systemv:");
    }
}

/// `kind` is what the keys of Qt 6.6 and later begin with, if they are to be used.
fn compare(oracle: Build, subject: Build, user: User, usual: &str, kind: &str) {
    let Some(world) = World::new() else { return };
    let wanted = sequences(&world, oracle, user, usual, kind);
    let found = sequences(&world, subject, user, usual, kind);

    let mut different = Vec::new();
    for (wanted, found) in wanted.iter().zip(&found) {
        assert_eq!(wanted.seed, found.seed);
        if wanted.keys_alike || found.keys_alike {
            say(&format!(
                "left out: seed {}: two key files' inode numbers end alike, so two System V keys \
                 are one, by chance",
                wanted.seed
            ));
        } else if wanted.hangs {
            say(&format!(
                "left out: seed {}: Qt itself hangs in: {}",
                wanted.seed,
                wanted.lines.last().map_or("", String::as_str)
            ));
        } else if wanted.lines.iter().any(|line| line.contains(LOST)) {
            say(&format!(
                "left out: seed {}: Qt fails where another object has removed its semaphore",
                wanted.seed
            ));
        } else if wanted.lines != found.lines || found.ended_badly() {
            different.push((wanted, found));
        }
    }
    left_out(&wanted);
    let diagnoses: usize = found.iter().map(|sequence| sequence.diagnoses).sum();
    say(&format!(
        "{subject:?} and {oracle:?}: {} sequences, {} calls compared, {} different; {diagnoses} \
         diagnoses cut",
        wanted.len(),
        wanted.iter().map(|s| s.lines.len()).sum::<usize>(),
        different.len()
    ));
    for (wanted, found) in different.iter().take(SHOWN) {
        show(&world, [oracle, subject], user, wanted, found);
    }
    assert!(
        different.is_empty(),
        "{} of {} sequences differ: seeds {:?}",
        different.len(),
        wanted.len(),
        different.iter().map(|pair| pair.0.seed).collect::<Vec<_>>()
    );

    let dirty: Vec<_> = found
        .iter()
        .filter(|s| !s.keys_alike && !s.left.is_empty())
        .filter(|s| s.left != "0 segments, 0 semaphores, 0 files")
        .map(|s| (s.seed, &s.left))
        .collect();
    assert!(dirty.is_empty(), "left behind, by seed: {dirty:#?}");
    world.assert_clean();
}

/// What the program said of one seed.
#[derive(Debug, Default)]
struct Sequence {
    seed: u64,
    /// A line for each call, with its answer.
    lines: Vec<String>,
    hangs: bool,
    keys_alike: bool,
    /// How it ended, if not well.
    end: String,
    left: String,
    left_out: BTreeMap<String, u32>,
    diagnoses: usize,
}

impl Sequence {
    fn ended_badly(&self) -> bool {
        self.hangs || !self.end.is_empty()
    }

    fn note(&mut self, note: &str) {
        if note == "hangs" {
            self.hangs = true;
        } else if note == "two keys are alike" {
            self.keys_alike = true;
        } else if let Some(left) = note.strip_prefix("left: ") {
            left.clone_into(&mut self.left);
        } else if let Some(rule) = note.strip_prefix("left out: ") {
            let (name, count) = rule.rsplit_once(' ').expect("a rule and a count");
            *self.left_out.entry(name.to_owned()).or_default() += count.parse().unwrap_or(0);
        } else if note.starts_with("diagnosis: ") {
            self.diagnoses += 1;
        } else {
            note.clone_into(&mut self.end);
        }
    }
}

fn sequences(world: &World, build: Build, user: User, usual: &str, kind: &str) -> Vec<Sequence> {
    let asked = std::env::var("QSHM_TEST_CALLS").unwrap_or_else(|_| usual.to_owned());
    let finished = world
        .launch_as("calls", build, user)
        .args(asked.split_whitespace())
        .args(Some(kind).filter(|kind| !kind.is_empty()))
        .start()
        .finish(LONG)
        .ok();
    let mut all: Vec<Sequence> = Vec::new();
    for line in finished.lines {
        if let Some(seed) = line.strip_prefix("seed ") {
            all.push(Sequence {
                seed: seed.parse().expect("a seed"),
                ..Sequence::default()
            });
            continue;
        }
        let sequence = all.last_mut().expect("a seed comes first");
        match line.strip_prefix("# ") {
            Some(note) => sequence.note(note),
            None if line.is_empty() => {}
            // One key file leads to both objects, and when it is there with Qt depends on what the
            // other objects did: two texts for one thing.
            None if kind == "systemv:" => {
                sequence.lines.push(line.replace(NO_FILE, NO_SEGMENT));
            }
            None => sequence.lines.push(line),
        }
    }
    all
}

fn left_out(sequences: &[Sequence]) {
    let mut rules = BTreeMap::new();
    for sequence in sequences {
        for (name, count) in &sequence.left_out {
            *rules.entry(name.as_str()).or_insert(0) += count;
        }
    }
    for (name, count) in rules {
        say(&format!("left out: {name}: {count} times"));
    }
}

// ------------------------------------------------- the smallest such sequence

/// Takes calls away for as long as the two programs still differ, and shows
/// what is left.
fn show(world: &World, builds: [Build; 2], user: User, wanted: &Sequence, found: &Sequence) {
    let [oracle, subject] = builds;
    let first = wanted
        .lines
        .iter()
        .zip(&found.lines)
        .position(|(a, b)| a != b)
        .unwrap_or(wanted.lines.len().min(found.lines.len()));
    say(&format!(
        "seed {}, call {first}:\n  {oracle:?}: {}\n  {subject:?}: {}{}",
        wanted.seed,
        wanted.lines.get(first).map_or("(ended)", String::as_str),
        found.lines.get(first).map_or("(ended)", String::as_str),
        if found.hangs { " (hangs)" } else { &found.end },
    ));
    let user = if wanted.seed % 2 == 1 {
        User::ALICE
    } else {
        user
    };
    let mut calls: Vec<&str> = wanted
        .lines
        .iter()
        .take(first + 1)
        .filter_map(|line| line.split(" ->").next())
        .collect();
    let run = |calls: &[&str]| {
        let answers = builds.map(|build| script(world, build, user, calls));
        // A sequence that no longer makes sense to Qt is no smaller case.
        let sound = answers[0].len() == calls.len() && answers[0].iter().all(|a| a.contains("->"));
        (sound && answers[0] != answers[1]).then_some(answers)
    };
    let Some(mut answers) = run(&calls) else {
        say("  (not seen again when the calls are made alone)");
        return;
    };
    for at in (0..calls.len()).rev() {
        let mut fewer = calls.clone();
        fewer.remove(at);
        if let Some(smaller) = run(&fewer) {
            calls = fewer;
            answers = smaller;
        }
    }
    say(&format!("  smallest, as {user:?}:"));
    let [wanted, found] = &answers;
    for (at, wanted) in wanted.iter().enumerate() {
        let answer = found.get(at).map_or("(ended)", String::as_str);
        if wanted == answer {
            say(&format!("    {answer}"));
        } else {
            say(&format!("  - {wanted}\n  + {answer}"));
        }
    }
}

fn script(world: &World, build: Build, user: User, calls: &[&str]) -> Vec<String> {
    world.restart();
    let mut running = world.launch_as("calls", build, user).arg("-").start();
    for call in calls {
        running.say(call);
    }
    running
        .finish(Duration::from_secs(10))
        .lines
        .into_iter()
        .filter(|line| !line.starts_with('#'))
        .collect()
}
