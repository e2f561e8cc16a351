//! Whether a key can be used, and if not, why: in sentences.

mod advice;
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
    let blocking = || entries.iter().filter(|entry| entry.in_the_way);
    let (answer, first) = match told.worst {
        Hindrance::Barred => (Answer::No, "You can't use it."),
        Hindrance::Stopped => (
            Answer::No,
            "You can't use it now: who holds its lock is stopped.",
        ),
        Hindrance::KeepsOut => (
            Answer::No,
            "A program with qshm can't use it now: one that keeps the others out is stopped.",
        ),
        _ if blocking().any(|entry| !entry.is_guess()) => (
            Answer::OnlyWithQshm,
            "You can't use it with Qt alone. A program with qshm starts all the same.",
        ),
        _ if blocking().next().is_some() => (
            Answer::OnlyWithQshm,
            "You may not be able to use it with Qt alone. A program with qshm starts all the same.",
        ),
        Hindrance::Stale => (
            Answer::OnlyWithQshm,
            "To Qt alone it seems to be in use. A program with qshm starts all the same.",
        ),
        Hindrance::Nothing if found => (Answer::Yes, "You can use it."),
        Hindrance::Nothing => (
            Answer::Yes,
            "You can use it: nothing of this key is in the way.",
        ),
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

/// What hinders a start, besides objects in the way; the worst last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Hindrance {
    #[default]
    Nothing,
    /// To Qt alone what a crash left looks as if it were in use.
    Stale,
    /// Who is in the middle of create, attach or detach is stopped: programs with qshm can't go on.
    KeepsOut,
    /// Who is inside the lock is stopped, and nobody can go on until it does.
    Stopped,
    /// A limit or a file stops also programs with qshm.
    Barred,
}

/// What is told so far.
#[derive(Debug, Default)]
struct Told {
    sentences: Vec<String>,
    advice: Vec<String>,
    worst: Hindrance,
}

impl Told {
    fn hinder(&mut self, by: Hindrance) {
        self.worst = self.worst.max(by);
    }

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
