//! Whether a key can be used, and if not, why: in sentences.

mod entries;
mod surroundings;

use super::machine::{Entry, Machine, State};

/// Whether programs of the viewer can use the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// With qshm, which steps aside or clears what is there; with Qt alone not.
    OnlyWithQshm,
    /// No: something of the machine stops it.
    No,
}

impl Answer {
    /// The word for programs, which stays as it is.
    pub fn word(self) -> &'static str {
        match self {
            Answer::Yes => "yes",
            Answer::OnlyWithQshm => "only-with-qshm",
            Answer::No => "no",
        }
    }
}

/// The story of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it can be used.
    pub answer: Answer,
    /// What is to be said, each a sentence or some that belong together.
    pub sentences: Vec<String>,
    /// What to do, each a command or an advice; empty if nothing is to be done.
    pub advice: Vec<String>,
    /// What was found.
    pub entries: Vec<Entry>,
}

/// Explains a key, as applications give it to `setKey()`, or a native key.
pub fn explain_key(machine: &Machine, key: &str) -> Explanation {
    let entries = machine.entries_of(key);
    let mut told = Told::default();
    for entry in &entries {
        entries::tell(machine, key, entry, &mut told);
    }
    let found = entries.iter().any(|entry| entry.state != State::FileAlone);
    surroundings::tell(machine, key, found, &mut told);
    let answer = answer(&entries, told.barred || told.stopped);
    let mut blocking = entries.iter().filter(|entry| entry.in_the_way);
    let guessed = blocking.all(Entry::is_guess);
    let first = match answer {
        Answer::Yes if found => "You can use it.",
        Answer::Yes => "You can use it: nothing of this key is in the way.",
        Answer::OnlyWithQshm if guessed => {
            "You may not be able to use it with Qt alone. A program with qshm starts all the same."
        }
        Answer::OnlyWithQshm => {
            "You can't use it with Qt alone. A program with qshm starts all the same."
        }
        Answer::No if told.stopped && !told.barred => {
            "You can't use it now: who holds its lock is stopped."
        }
        Answer::No => "You can't use it.",
    };
    let mut sentences = vec![first.to_owned()];
    sentences.extend(told.sentences);
    Explanation {
        answer,
        sentences,
        advice: told.advice,
        entries,
    }
}

/// What is told so far.
#[derive(Debug, Default)]
struct Told {
    sentences: Vec<String>,
    advice: Vec<String>,
    /// A limit or a file stops also programs with qshm.
    barred: bool,
    /// Who is inside the lock is stopped, and nobody can go on until it does.
    stopped: bool,
}

impl Told {
    fn say(&mut self, sentence: impl Into<String>) {
        self.sentences.push(sentence.into());
    }

    fn advise(&mut self, advice: impl Into<String>) {
        let advice = advice.into();
        if !self.advice.contains(&advice) {
            self.advice.push(advice);
        }
    }
}

fn answer(entries: &[Entry], barred: bool) -> Answer {
    if barred {
        Answer::No
    } else if entries.iter().any(|entry| entry.in_the_way) {
        Answer::OnlyWithQshm
    } else {
        Answer::Yes
    }
}
