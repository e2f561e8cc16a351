//! Calls and answers as text: for people, and for the worker processes of the conformance test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qshm::kernel::{FileKind, FileLock, FileStat, IpcPerm, Open, Range, SemStat, ShmStat, Wait};

use super::Mapping;
use super::call::{Call, DONE, Named, Reply, Value, list, number};
use super::range_call::{RangeCall, bytes, hex, ranges_from, ranges_to_line};

/// A call or an answer as one line of text, for the worker processes of the conformance test.
pub trait Line: Sized {
    fn to_line(&self) -> String;
    fn from_line(line: &str) -> Self;
}

fn wait_words(wait: Wait) -> i64 {
    match wait {
        Wait::No => -1,
        Wait::Forever => -2,
        Wait::AtMost(time) => i64::try_from(time.as_millis()).unwrap(),
    }
}

fn wait_from(word: i64) -> Wait {
    match word {
        -1 => Wait::No,
        -2 => Wait::Forever,
        time => Wait::AtMost(Duration::from_millis(time.try_into().unwrap())),
    }
}

const MAPPINGS: [Mapping; 4] = [
    Mapping::Kept,
    Mapping::ReadOnly,
    Mapping::Writable,
    Mapping::Own,
];

const LOCKS: [FileLock; 3] = [FileLock::Shared, FileLock::Exclusive, FileLock::Unlock];

fn lock_word(lock: FileLock) -> usize {
    LOCKS.iter().position(|other| *other == lock).unwrap()
}

impl Line for Call {
    fn to_line(&self) -> String {
        let show = |path: &Path| path.to_str().unwrap().to_owned();
        match self {
            Call::IsAlive(pid) => format!("is_alive {pid}"),
            Call::Open(path, Open::Existing) => format!("open {}", show(path)),
            Call::Open(path, Open::New(mode)) => format!("new {} {mode}", show(path)),
            Call::Reopen(fd) => format!("reopen {fd}"),
            Call::Close(fd) => format!("close {fd}"),
            Call::Fstat(fd) => format!("fstat {fd}"),
            Call::Lstat(path) => format!("lstat {}", show(path)),
            Call::Fchmod(fd, mode) => format!("fchmod {fd} {mode}"),
            Call::Fchgrp(fd, gid) => format!("fchgrp {fd} {gid}"),
            Call::Flock(fd, lock, wait) => {
                format!("flock {fd} {} {}", lock_word(*lock), wait_words(*wait))
            }
            Call::Unlink(path) => format!("unlink {}", show(path)),
            Call::Mkdir(path, mode) => format!("mkdir {} {mode}", show(path)),
            Call::Vanish(path) => format!("vanish {}", show(path)),
            Call::Chmod(path, mode) => format!("chmod {} {mode}", show(path)),
            Call::Rmdir(path) => format!("rmdir {}", show(path)),
            Call::ShmFind(key) => format!("shm_find {key}"),
            Call::ShmCreate(key, size, mode) => format!("shm_create {key} {size} {mode}"),
            Call::ShmStat(id) => format!("shm_stat {id}"),
            Call::ShmSet(id, uid, gid, mode) => format!("shm_set {id} {uid} {gid} {mode}"),
            Call::ShmRemove(id) => format!("shm_remove {id}"),
            Call::ShmAttach(id, read_only) => format!("shm_attach {id} {}", i32::from(*read_only)),
            Call::ShmDetach(address) => format!("shm_detach {address}"),
            Call::ShmClear(address, size) => format!("shm_clear {address} {size}"),
            Call::ShmLoad(address) => format!("shm_load {address}"),
            Call::ShmStore(address, value) => format!("shm_store {address} {value}"),
            Call::SemFind(key) => format!("sem_find {key}"),
            Call::SemCreate(key, mode) => format!("sem_create {key} {mode}"),
            Call::SemStat(id) => format!("sem_stat {id}"),
            Call::SemSet(id, uid, gid, mode) => format!("sem_set {id} {uid} {gid} {mode}"),
            Call::SemRemove(id) => format!("sem_remove {id}"),
            Call::SemValue(id) => format!("sem_value {id}"),
            Call::SemWaiting(id) => format!("sem_waiting {id}"),
            Call::SemLastPid(id) => format!("sem_last_pid {id}"),
            Call::SemSetValue(id, value) => format!("sem_set_value {id} {value}"),
            Call::SemOp(id, delta, wait) => format!("sem_op {id} {delta} {}", wait_words(*wait)),
            Call::OpenShared(path, mode, group) => {
                let group = group.map_or(-1, i64::from);
                format!("new_shared {} {mode} {group}", show(path))
            }
            Call::MayWrite(path) => format!("may_write {}", show(path)),
            Call::ShmKeys => "shm_keys".to_owned(),
            Call::SemKeys => "sem_keys".to_owned(),
            Call::SemWasUsed(id) => format!("sem_was_used {id}"),
            Call::Inodes(path, prefix) => format!("inodes {} {prefix}", show(path)),
            Call::OpenDeleted(path, uid) => format!("open_deleted {} {uid}", show(path)),
            Call::RangeLock(fd, Range { start, length }, lock, wait) => {
                let (lock, wait) = (lock_word(*lock), wait_words(*wait));
                format!("range_lock {fd} {start} {length} {lock} {wait}")
            }
            Call::RangeHolder(fd, range) => {
                format!("range_holder {fd} {} {}", range.start, range.length)
            }
            Call::NamedOpen(path, write) => {
                format!("named_open {} {}", show(path), i32::from(*write))
            }
            Call::NamedOpenLocked(path, write, wait) => {
                let (write, wait) = (i32::from(*write), wait_words(*wait));
                format!("named_open_locked {} {write} {wait}", show(path))
            }
            Call::NamedMake(path, new) => {
                let group = new.group.map_or(-1, i64::from);
                let words: Vec<String> = new.words.iter().map(u64::to_string).collect();
                let (mode, size, words) = (new.mode, new.size, words.join(" "));
                format!("named_make {} {mode} {group} {size} {words}", show(path))
            }
            Call::NamedReserve(fd, size) => format!("named_reserve {fd} {size}"),
            Call::NamedLook(path, write) => {
                format!("named_look {} {}", show(path), i32::from(*write))
            }
            Call::NamedLocks(fd) => format!("named_locks {fd}"),
            Call::NamedUnlocked(path, wait) => {
                format!("named_unlocked {} {}", show(path), wait_words(*wait))
            }
            Call::Announce(path) => format!("announce {}", show(path)),
            Call::Lease(fd, path, wait) => {
                format!("lease {fd} {} {}", show(path), wait_words(*wait))
            }
            Call::LeaseBack(fd) => format!("lease_back {fd}"),
            Call::NamedAlone(fd, path, wait) => {
                format!("named_alone {fd} {} {}", show(path), wait_words(*wait))
            }
            Call::IsMapped((dev, ino)) => format!("is_mapped {dev} {ino}"),
            Call::Map(fd, how, at) => {
                let how = MAPPINGS.iter().position(|other| other == how).unwrap();
                format!("map {fd} {how} {}", at.unwrap_or(0))
            }
            Call::Unmap(address) => format!("unmap {address}"),
            Call::Retire(address) => format!("retire {address}"),
            Call::Word(address) => format!("word {address}"),
            Call::Words(address, count) => format!("words {address} {count}"),
            Call::WordSwap(address, old, new) => format!("word_swap {address} {old} {new}"),
            Call::WordSet(address, value) => format!("word_set {address} {value}"),
            Call::WordWait(address, low, time) => {
                format!("word_wait {address} {low} {}", time.as_millis())
            }
            Call::WordWake(address, count) => format!("word_wake {address} {count}"),
            Call::Pause(time) => format!("pause {}", time.as_millis()),
            Call::Peek(address) => format!("peek {address}"),
            Call::Poke(address, value) => format!("poke {address} {value}"),
            Call::Range(call) => call.to_line(),
        }
    }

    fn from_line(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let path = || Arc::<Path>::from(Path::new(words[1]));
        let int = |index: usize| words[index].parse::<i64>().unwrap();
        let int32 = |index: usize| i32::try_from(int(index)).unwrap();
        let uint = |index: usize| u32::try_from(int(index)).unwrap();
        let size = |index: usize| usize::try_from(int(index)).unwrap();
        let large = |index: usize| words[index].parse::<u64>().unwrap();
        match words[0] {
            "is_alive" => Call::IsAlive(int32(1)),
            "open" => Call::Open(path(), Open::Existing),
            "new" => Call::Open(path(), Open::New(uint(2))),
            "reopen" => Call::Reopen(int32(1)),
            "close" => Call::Close(int32(1)),
            "fstat" => Call::Fstat(int32(1)),
            "lstat" => Call::Lstat(path()),
            "fchmod" => Call::Fchmod(int32(1), uint(2)),
            "fchgrp" => Call::Fchgrp(int32(1), uint(2)),
            "flock" => Call::Flock(int32(1), LOCKS[size(2)], wait_from(int(3))),
            "range_lock" => {
                let range = Range::new(large(2), large(3));
                Call::RangeLock(int32(1), range, LOCKS[size(4)], wait_from(int(5)))
            }
            "range_holder" => Call::RangeHolder(int32(1), Range::new(large(2), large(3))),
            "unlink" => Call::Unlink(path()),
            "mkdir" => Call::Mkdir(path(), uint(2)),
            "rmdir" => Call::Rmdir(path()),
            "shm_find" => Call::ShmFind(int32(1)),
            "shm_create" => Call::ShmCreate(int32(1), size(2), uint(3)),
            "shm_stat" => Call::ShmStat(int32(1)),
            "shm_set" => Call::ShmSet(int32(1), uint(2), uint(3), uint(4)),
            "shm_remove" => Call::ShmRemove(int32(1)),
            "shm_attach" => Call::ShmAttach(int32(1), int(2) != 0),
            "shm_detach" => Call::ShmDetach(size(1)),
            "named_open" => Call::NamedOpen(path(), int(2) != 0),
            "named_open_locked" => Call::NamedOpenLocked(path(), int(2) != 0, wait_from(int(3))),
            "named_make" => {
                let named = Named {
                    mode: uint(2),
                    group: u32::try_from(int(3)).ok(),
                    size: large(4),
                    words: (5..words.len()).map(large).collect(),
                };
                Call::NamedMake(path(), named)
            }
            "named_reserve" => Call::NamedReserve(int32(1), large(2)),
            "announce" => Call::Announce(path()),
            "named_alone" => {
                let path = Path::new(words[2]).into();
                Call::NamedAlone(int32(1), path, wait_from(int(3)))
            }
            "is_mapped" => Call::IsMapped((large(1), large(2))),
            "map" => Call::Map(
                int32(1),
                MAPPINGS[size(2)],
                Some(size(3)).filter(|at| *at > 0),
            ),
            "unmap" => Call::Unmap(size(1)),
            "retire" => Call::Retire(size(1)),
            "word" => Call::Word(size(1)),
            "words" => Call::Words(size(1), size(2)),
            "word_swap" => Call::WordSwap(size(1), large(2), large(3)),
            "word_set" => Call::WordSet(size(1), large(2)),
            "word_wait" => Call::WordWait(size(1), uint(2), Duration::from_millis(large(3))),
            "word_wake" => Call::WordWake(size(1), int32(2)),
            "shm_load" => Call::ShmLoad(size(1)),
            "shm_store" => Call::ShmStore(size(1), large(2)),
            "shm_clear" => Call::ShmClear(size(1), size(2)),
            "sem_find" => Call::SemFind(int32(1)),
            "sem_create" => Call::SemCreate(int32(1), uint(2)),
            "sem_stat" => Call::SemStat(int32(1)),
            "sem_set" => Call::SemSet(int32(1), uint(2), uint(3), uint(4)),
            "sem_remove" => Call::SemRemove(int32(1)),
            "sem_value" => Call::SemValue(int32(1)),
            "sem_waiting" => Call::SemWaiting(int32(1)),
            "sem_last_pid" => Call::SemLastPid(int32(1)),
            "sem_set_value" => Call::SemSetValue(int32(1), int32(2)),
            "sem_op" => Call::SemOp(int32(1), int32(2).try_into().unwrap(), wait_from(int(3))),
            "new_shared" => Call::OpenShared(path(), uint(2), u32::try_from(int(3)).ok()),
            "may_write" => Call::MayWrite(path()),
            "shm_keys" => Call::ShmKeys,
            "sem_keys" => Call::SemKeys,
            "sem_was_used" => Call::SemWasUsed(int32(1)),
            "inodes" => Call::Inodes(path(), words[2].into()),
            "open_deleted" => Call::OpenDeleted(path(), uint(2)),
            "pause" => Call::Pause(Duration::from_millis(int(1).try_into().unwrap())),
            "peek" => Call::Peek(size(1)),
            "poke" => Call::Poke(size(1), uint(2)),
            other => match RangeCall::from_words(&words) {
                Some(call) => Call::Range(call),
                None => panic!("no such call: {other}"),
            },
        }
    }
}

impl Line for Reply {
    fn to_line(&self) -> String {
        let perm = |perm: &IpcPerm| {
            format!(
                "{} {} {} {} {}",
                perm.uid, perm.gid, perm.cuid, perm.cgid, perm.mode
            )
        };
        match self {
            Err(errno) => format!("error {errno}"),
            Ok(Value::Unit) => "done".to_owned(),
            Ok(Value::Number(value)) => format!("number {value}"),
            Ok(Value::List(numbers)) => {
                let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
                format!("list {}", numbers.join(" "))
            }
            Ok(Value::Range(None)) => "free".to_owned(),
            Ok(Value::Range(Some(of))) => format!("range {} {}", of.start, of.length),
            Ok(Value::Ranges(held)) => ranges_to_line(held),
            Ok(Value::Bytes(bytes)) => format!("bytes {}", hex(bytes)),
            Ok(Value::File(s)) => {
                let kind = KINDS.iter().position(|kind| *kind == s.kind).unwrap();
                format!(
                    "file {} {} {kind} {} {} {} {} {}",
                    s.dev, s.ino, s.mode, s.uid, s.gid, s.links, s.size
                )
            }
            Ok(Value::Shm(s)) => format!(
                "shm {} {} {} {} {} {}",
                perm(&s.perm),
                s.size,
                s.attached,
                s.creator_pid,
                s.last_pid,
                i32::from(s.removed)
            ),
            Ok(Value::Sem(s)) => format!("sem {} {}", perm(&s.perm), s.count),
        }
    }

    fn from_line(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let int = |index: usize| words[index].parse::<i64>().unwrap();
        let uint = |index: usize| u32::try_from(int(index)).unwrap();
        let int32 = |index: usize| i32::try_from(int(index)).unwrap();
        let large = |index: usize| words[index].parse::<u64>().unwrap();
        let perm = || IpcPerm {
            uid: uint(1),
            gid: uint(2),
            cuid: uint(3),
            cgid: uint(4),
            mode: uint(5),
        };
        match words[0] {
            "error" => Err(int32(1)),
            "done" => DONE,
            "number" => number(int(1)),
            "list" => list((1..words.len()).map(int)),
            "free" => Ok(Value::Range(None)),
            "range" => Ok(Value::Range(Some(Range::new(large(1), large(2))))),
            "ranges" => ranges_from(&words[1..]),
            "bytes" => Ok(Value::Bytes(bytes(words.get(1)).into())),
            "file" => Ok(Value::File(FileStat {
                dev: large(1),
                ino: large(2),
                kind: KINDS[usize::try_from(int(3)).unwrap()],
                mode: uint(4),
                uid: uint(5),
                gid: uint(6),
                links: large(7),
                size: large(8),
                born: None,
            })),
            "shm" => Ok(Value::Shm(ShmStat {
                perm: perm(),
                size: usize::try_from(int(6)).unwrap(),
                attached: large(7),
                creator_pid: int32(8),
                last_pid: int32(9),
                removed: int(10) != 0,
                changed: 0,
            })),
            "sem" => Ok(Value::Sem(SemStat {
                perm: perm(),
                count: large(6),
            })),
            other => panic!("no such answer: {other}"),
        }
    }
}

const KINDS: [FileKind; 4] = [
    FileKind::Regular,
    FileKind::Directory,
    FileKind::Link,
    FileKind::Other,
];
