//! Words in mapped memory that processes share: atomic operations and futex(2).

use std::time::Duration;

use qshm::kernel::Errno;

use super::call::{DONE, Reply, Value, fail, number};
use super::{Life, Pid, Process, Step, Waiting, World};

impl World {
    pub(super) fn word_at(&self, who: Pid, address: usize) -> Result<u64, Errno> {
        let place = self.place(who, address, false)?;
        Ok(place.map_or(0, |(ino, offset)| self.inode(ino).memory.word(offset)))
    }

    pub(super) fn word(&self, who: Pid, address: usize) -> Reply {
        match self.word_at(who, address) {
            Ok(word) => number(word as i64),
            Err(errno) => fail(errno),
        }
    }

    pub(super) fn words(&self, who: Pid, address: usize, count: usize) -> Reply {
        let words: Result<Vec<u64>, Errno> = (0..count)
            .map(|index| self.word_at(who, address + 8 * index))
            .collect();
        match words {
            Ok(words) => Ok(Value::List(words.iter().map(|word| *word as i64).collect())),
            Err(errno) => fail(errno),
        }
    }

    pub(super) fn word_swap(&mut self, who: Pid, address: usize, old: u64, new: u64) -> Reply {
        match self.word_at(who, address) {
            Ok(now) if now == old => self.word_set(who, address, new),
            _ => self.word(who, address),
        }
    }

    pub(super) fn word_set(&mut self, who: Pid, address: usize, value: u64) -> Reply {
        match self.place(who, address, true) {
            Ok(Some((ino, offset))) => self.inode_mut(ino).memory.set_word(offset, value),
            Ok(None) => {}
            Err(errno) => return fail(errno),
        }
        DONE
    }

    /// Fills a mapping with zeros from its start.
    pub(super) fn clear(&mut self, who: Pid, address: usize, size: usize) -> Reply {
        match self.place(who, address, true) {
            Ok(Some((ino, offset))) => self.inode_mut(ino).memory.write(offset, &vec![0; size]),
            Ok(None) => {}
            Err(errno) => return fail(errno),
        }
        DONE
    }

    pub(super) fn word_wait(&mut self, who: Pid, address: usize, low: u32, time: Duration) -> Step {
        let Ok(Some((ino, offset))) = self.place(who, address, false) else {
            return Step::Answer(DONE);
        };
        if self.inode(ino).memory.word(offset) as u32 != low {
            return Step::Answer(DONE);
        }
        self.processes[who].waiting = Some(Waiting::Word { ino, offset, time });
        Step::Waits
    }

    pub(super) fn word_wake(&mut self, who: Pid, address: usize, count: i32) -> Reply {
        let Ok(Some(place)) = self.place(who, address, false) else {
            return DONE;
        };
        let waits = |process: &&mut Process| {
            let at = match process.waiting {
                Some(Waiting::Word { ino, offset, .. }) => (ino, offset),
                _ => return false,
            };
            process.life == Life::Alive && at == place
        };
        let woken = self.processes.iter_mut().filter(waits);
        for process in woken.take(usize::try_from(count).unwrap_or(0)) {
            process.waiting = Some(Waiting::Answered(DONE));
        }
        DONE
    }
}
