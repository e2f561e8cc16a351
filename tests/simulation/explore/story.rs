//! How it came to what is wrong, for people.

use std::fmt::Write as _;

use super::automaton::Next;
use super::{Choice, Search, State};
use crate::model::call::Reply;
use crate::model::line::Line;

impl Search<'_> {
    /// What happened, call by call.
    pub fn story(&mut self, place: usize, last: Option<Choice>, what: &str) -> String {
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
            | Choice::Die(pid, _)) = choice;
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
                Choice::Die(..) => format!("  dies on: {:?}", state.world.processes[pid].life),
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

/// Key files without the hash in their names: M is the segment's, S the semaphore's.
pub fn readable(story: &str) -> String {
    let short = story
        .replace("qipc_sharedmemory_", "M-")
        .replace("qipc_systemsem_", "S-");
    let mut words: Vec<String> = Vec::new();
    for word in short.split(' ') {
        let bytes = word.as_bytes();
        let is_hash = |at: &usize| bytes[*at..*at + 40].iter().all(u8::is_ascii_hexdigit);
        match (0..bytes.len().saturating_sub(39)).rev().find(is_hash) {
            Some(at) => words.push(format!("{}{}", &word[..at], &word[at + 40..])),
            None => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}
