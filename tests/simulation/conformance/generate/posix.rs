//! Calls about the files of POSIX objects, their mappings and the words in them.

use std::time::Duration;

use qshm::kernel::{Fd, MappedBy, Wait};

use super::super::real::NAMES;
use super::{FILE_MODES, LONG, SHORT, descriptors, path};
use crate::Dice;
use crate::model::call::{Call, Named};
use crate::model::range_call::RangeCall;
use crate::model::{Mapping, Pid, Waiting, World};

const SIZES: [u64; 6] = [4, 16, 16, 32, 100, 5000];
const OFFSETS: [usize; 3] = [0, 0, 8];

pub fn call(world: &World, who: Pid, dice: &mut Dice) -> Call {
    let process = &world.processes[who];
    let mapped = process.mappings();
    let fds = descriptors(world, who);
    if fds.len() < 2 || dice.chance(10) {
        return opening(dice);
    }
    let fd = dice.one_of(&fds);
    if mapped.is_empty() || dice.chance(10) {
        return mapping(world, who, fd, dice);
    }
    match dice.roll(14) {
        0 => {
            let name = world.name_of(who, fd).unwrap_or_else(|| path("/tmp/a"));
            Call::NamedAlone(fd, name, dice.one_of(&[Wait::No, SHORT]))
        }
        1 => Call::NamedReserve(fd, dice.one_of(&[0, 4, 16, 32, 100, 5000])),
        2 => who_has_mapped(world, dice),
        3 => {
            let address = dice.one_of(&mapped);
            match world.mapped_as(who, address) {
                Some(Mapping::Own) if dice.chance(60) => Call::Retire(address),
                Some(Mapping::Kept) => Call::Range(RangeCall::LetGo(address)),
                _ => Call::Unmap(address),
            }
        }
        _ => word(world, who, &mapped, dice).unwrap_or_else(|| mapping(world, who, fd, dice)),
    }
}

fn opening(dice: &mut Dice) -> Call {
    let name = path(dice.one_of(NAMES));
    match dice.roll(7) {
        6 => Call::Announce(name),
        0..3 => Call::NamedOpen(name, dice.chance(70)),
        3 => {
            let wait = dice.one_of(&[Wait::No, SHORT]);
            Call::NamedOpenLocked(name, dice.chance(70), wait)
        }
        _ => {
            let size = dice.one_of(&SIZES);
            let words = dice.roll(1 + (size as usize / 8).min(3));
            let named = Named {
                mode: dice.one_of(&FILE_MODES),
                group: dice.one_of(&[None, None, Some(2001), Some(2002)]),
                size,
                words: (0..words).map(|_| dice.roll(4) as u64).collect(),
            };
            Call::NamedMake(name, named)
        }
    }
}

fn mapping(world: &World, who: Pid, fd: Fd, dice: &mut Dice) -> Call {
    let retired: Vec<usize> = world.processes[who].retired.iter().copied().collect();
    if !retired.is_empty() && dice.chance(50) {
        return Call::Map(fd, Mapping::Own, Some(dice.one_of(&retired)));
    }
    let how = [
        Mapping::Writable,
        Mapping::Writable,
        Mapping::Own,
        Mapping::ReadOnly,
    ];
    Call::Map(fd, dice.one_of(&how), None)
}

fn who_has_mapped(world: &World, dice: &mut Dice) -> Call {
    let mut files = world.files_in_use();
    if files.is_empty() {
        files = vec![world.names[&path("/tmp/fifo")]];
    }
    let file = (1, dice.one_of(&files));
    if dice.chance(50) {
        return Call::IsMapped(file);
    }
    let by = MappedBy {
        uid: dice.one_of(&[None, Some(0), Some(2001), Some(2002)]),
        anywhere: None,
    };
    let other = (1, dice.one_of(&files));
    let files = if file == other {
        vec![file]
    } else {
        vec![file, other]
    };
    Call::Range(RangeCall::Mapped(files.into(), by))
}

fn word(world: &World, who: Pid, mapped: &[usize], dice: &mut Dice) -> Option<Call> {
    let offset = dice.one_of(&OFFSETS);
    let usable = |write| -> Vec<usize> {
        let words = mapped.iter().map(|address| address + offset);
        words
            .filter(|address| world.may_touch(who, *address, write))
            .collect()
    };
    let (readable, writable) = (usable(false), usable(true));
    if readable.is_empty() {
        return None;
    }
    let read = dice.one_of(&readable);
    let now = world.look_at(who, read);
    if writable.is_empty() || dice.chance(50) {
        return Some(match dice.roll(5) {
            0 => Call::Word(read),
            1 => Call::Words(read, 1),
            2 => Call::Peek(read),
            _ => {
                let low = if dice.chance(80) { now as u32 } else { 77 };
                let time = dice.one_of(&[Duration::from_millis(3), LONG, LONG]);
                Call::WordWait(read, low, time)
            }
        });
    }
    let write = dice.one_of(&writable);
    let old = world.look_at(who, write);
    Some(match dice.roll(7) {
        0 => Call::WordSet(write, dice.roll(4) as u64),
        1 => Call::WordSet(write, (dice.roll(4) as u64) << 32 | 5),
        2 => Call::WordSwap(write, old, dice.roll(4) as u64),
        3 => Call::WordSwap(write, dice.roll(4) as u64, 9),
        4 => Call::Poke(write, dice.roll(1000).try_into().unwrap()),
        5 if offset == 0 => Call::ShmClear(write, 8),
        _ => {
            // Which of several is woken is the kernel's choice.
            let wait = |waiting: &Option<Waiting>| matches!(waiting, Some(Waiting::Word { .. }));
            let waiting = world
                .processes
                .iter()
                .filter(|process| wait(&process.waiting));
            let all = waiting.count() > 1 || dice.chance(30);
            Call::WordWake(write, if all { i32::MAX } else { 1 })
        }
    })
}
