//! A real process that makes the calls that it is told to.

// Reads and writes of memory that the process has attached, for two of the calls.
#![allow(unsafe_code)]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::unistd::{Gid, Uid, gettid, setgroups, setresgid, setresuid};
use qshm::kernel::{Errno, FileKind, FileStat, Kernel, Linux, MappedFile, NewObject, RangeLocks};

use crate::model::Mapping;
use crate::model::call::{Call, DONE, Reply, Value, fail, list, number};
use crate::model::line::Line;
use crate::model::range_call::{RangeCall, ranges};

/// Whom to become. The socket to the test is the standard input.
pub const VARIABLE: &str = "QSHM_CONFORMANCE_WORKER";

/// Not a test: this program is started again, with this alone, for every real process.
#[test]
#[ignore = "the processes of the conformance test, which starts them"]
fn worker() {
    let Ok(told) = std::env::var(VARIABLE) else {
        println!("SKIPPED: only useful when started by the conformance test");
        return;
    };
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut stream = UnixStream::from(socket);
    let uid: u32 = told.parse().unwrap();
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(
        crate::model::UMASK,
    ));
    setgroups(&[]).unwrap();
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setresgid(group, group, group).unwrap();
    setresuid(user, user, user).unwrap();
    // As a program that was started by this user.
    nix::sys::prctl::set_dumpable(true).unwrap();
    writeln!(stream, "{}", gettid()).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap_or(0) > 0 {
        let (as_user, call) = line.split_once(' ').unwrap();
        let as_user: u32 = as_user.parse().unwrap();
        let call = Call::from_line(call);
        let reply = if as_user == uid {
            make(&call)
        } else {
            match Linux.as_user(as_user, as_user, || make(&call)) {
                Ok(reply) => reply,
                Err(errno) => Err(errno as i32),
            }
        };
        writeln!(stream, "{}", reply.to_line()).unwrap();
        line.clear();
    }
}

fn unit(result: Result<(), Errno>) -> Reply {
    result.map(|()| Value::Unit).map_err(|errno| errno as i32)
}

fn int(result: Result<i32, Errno>) -> Reply {
    result
        .map(|value| Value::Number(value.into()))
        .map_err(|errno| errno as i32)
}

fn other<T>(result: Result<T, Errno>, value: impl Fn(T) -> Value) -> Reply {
    result.map(value).map_err(|errno| errno as i32)
}

fn make(call: &Call) -> Reply {
    let kernel = Linux;
    match call {
        Call::IsAlive(pid) => number(kernel.is_alive(*pid)),
        Call::Open(path, how) => int(kernel.open(path, *how)),
        Call::Reopen(fd) => int(kernel.reopen(*fd)),
        Call::Close(fd) => {
            kernel.close(*fd);
            DONE
        }
        Call::Fstat(fd) => other(kernel.fstat(*fd), Value::File),
        Call::Lstat(path) => other(kernel.lstat(path), Value::File),
        Call::Fchmod(fd, mode) => unit(kernel.fchmod(*fd, *mode)),
        Call::Fchgrp(fd, gid) => unit(kernel.fchgrp(*fd, *gid)),
        Call::Flock(fd, lock, wait) => unit(kernel.flock(*fd, *lock, *wait)),
        Call::Unlink(path) => unit(kernel.unlink(path)),
        Call::Mkdir(path, mode) => unit(kernel.mkdir(path, *mode)),
        Call::Rmdir(path) => unit(kernel.rmdir(path)),
        Call::ShmFind(key) => int(kernel.shm_find(*key)),
        Call::ShmCreate(key, size, mode) => int(kernel.shm_create(*key, *size, *mode)),
        Call::ShmStat(id) => other(kernel.shm_stat(*id), Value::Shm),
        Call::ShmSet(id, uid, gid, mode) => unit(kernel.shm_set(*id, *uid, *gid, *mode)),
        Call::ShmRemove(id) => unit(kernel.shm_remove(*id)),
        Call::ShmAttach(id, read_only) => address(kernel.shm_attach(*id, *read_only)),
        Call::ShmDetach(address) => unit(kernel.shm_detach(*address)),
        Call::ShmClear(address, size) => {
            kernel.shm_clear(*address, *size);
            DONE
        }
        Call::ShmLoad(address) => number(kernel.shm_load(*address) as i64),
        Call::ShmStore(address, value) => {
            kernel.shm_store(*address, *value);
            DONE
        }
        Call::SemFind(key) => int(kernel.sem_find(*key)),
        Call::SemCreate(key, mode) => int(kernel.sem_create(*key, *mode)),
        Call::SemStat(id) => other(kernel.sem_stat(*id), Value::Sem),
        Call::SemSet(id, uid, gid, mode) => unit(kernel.sem_set(*id, *uid, *gid, *mode)),
        Call::SemRemove(id) => unit(kernel.sem_remove(*id)),
        Call::SemValue(id) => int(kernel.sem_value(*id)),
        Call::SemWaiting(id) => int(kernel.sem_waiting(*id)),
        Call::SemLastPid(id) => int(kernel.sem_last_pid(*id)),
        Call::SemSetValue(id, value) => unit(kernel.sem_set_value(*id, *value)),
        Call::SemOp(id, delta, wait) => unit(kernel.sem_op(*id, *delta, *wait)),
        Call::RangeLock(fd, range, lock, wait) => {
            unit(kernel.range_lock(*fd, *range, *lock, *wait))
        }
        Call::RangeHolder(fd, range) => other(kernel.range_holder(*fd, *range), Value::Range),
        Call::OpenShared(path, mode, group) => int(kernel.open_new_shared(path, *mode, *group)),
        Call::MayWrite(path) => number(kernel.may_write(path)),
        Call::ShmKeys => list(kernel.shm_keys().into_iter().map(i64::from)),
        Call::SemKeys => list(kernel.sem_keys().into_iter().map(i64::from)),
        Call::SemWasUsed(id) => other(kernel.sem_was_used(*id), |used| Value::Number(used.into())),
        Call::Inodes(path, prefix) => {
            let inodes = kernel.inodes(path, prefix).into_iter();
            list(inodes.map(|inode| i64::try_from(inode).unwrap()))
        }
        Call::OpenDeleted(path, uid) => match kernel.open_deleted(path, *uid) {
            Some(fd) => number(fd),
            None => fail(Errno::ENOENT),
        },
        Call::Pause(time) => {
            kernel.pause(*time);
            DONE
        }
        Call::Peek(address) => {
            // SAFETY: the test only names addresses that this process has attached, of segments
            // of at least four bytes, and a page is aligned for anything.
            number(unsafe { (*address as *const u32).read_volatile() })
        }
        Call::NamedOpen(..)
        | Call::NamedOpenLocked(..)
        | Call::NamedMake(..)
        | Call::NamedReserve(..)
        | Call::Announce(_)
        | Call::NamedAlone(..)
        | Call::IsMapped(_)
        | Call::Map(..)
        | Call::Unmap(_)
        | Call::Retire(_) => make_posix(call),
        Call::Word(_)
        | Call::Words(..)
        | Call::WordSwap(..)
        | Call::WordSet(..)
        | Call::WordWait(..)
        | Call::WordWake(..) => make_word(call),
        Call::NamedLook(..)
        | Call::NamedLocks(_)
        | Call::NamedUnlocked(..)
        | Call::Lease(..)
        | Call::LeaseBack(_) => {
            panic!("half a call: {call:?}")
        }
        Call::Vanish(_) | Call::Chmod(..) => fail(Errno::ENOSYS),
        Call::Range(call) => make_range(call),
        Call::Poke(address, value) => {
            // SAFETY: as above, and attached for writing.
            unsafe { (*address as *mut u32).write_volatile(*value) };
            DONE
        }
    }
}

/// How much is mapped, of whichever file.
const PAGE: usize = 4096;

fn address(result: Result<usize, Errno>) -> Reply {
    other(result, |address| {
        Value::Number(i64::try_from(address).unwrap())
    })
}

fn make_posix(call: &Call) -> Reply {
    let kernel = Linux;
    match call {
        Call::NamedOpen(path, write) => int(kernel.named_open(path, *write)),
        Call::NamedOpenLocked(path, write, wait) => {
            int(kernel.named_open_locked(path, *write, false, *wait))
        }
        Call::NamedMake(path, new) => {
            let content: Vec<u8> = new
                .words
                .iter()
                .flat_map(|word| word.to_ne_bytes())
                .collect();
            let new = NewObject {
                mode: new.mode,
                group: new.group,
                size: new.size,
                reserve: new.size < 1000,
                content: &content,
            };
            int(kernel.named_make(path, &new))
        }
        Call::NamedReserve(fd, size) => unit(kernel.named_reserve(*fd, *size)),
        Call::Announce(path) => int(kernel.announce(path)),
        Call::NamedAlone(fd, path, wait) => other(kernel.named_alone(*fd, path, *wait), |alone| {
            Value::Number(alone.into())
        }),
        Call::IsMapped((dev, ino)) => number(kernel.is_mapped(&file(*dev, *ino))),
        Call::Map(fd, Mapping::Own, at) => address(kernel.map_own(*fd, PAGE, *at)),
        Call::Map(fd, how, _) => address(kernel.map(*fd, PAGE, *how == Mapping::ReadOnly)),
        Call::Unmap(address) => {
            kernel.unmap(*address, PAGE);
            DONE
        }
        Call::Retire(address) => {
            kernel.retire(*address, PAGE);
            DONE
        }
        _ => panic!("not of POSIX objects: {call:?}"),
    }
}

/// All that `is_mapped` looks at.
fn file(dev: u64, ino: u64) -> FileStat {
    FileStat {
        dev,
        ino,
        kind: FileKind::Regular,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 0,
        size: 0,
        born: None,
    }
}

/// The test only names addresses in pages that this process has mapped so, inside the file.
fn make_word(call: &Call) -> Reply {
    let kernel = Linux;
    match call {
        Call::Word(address) => number(kernel.word(*address) as i64),
        Call::Words(address, count) => {
            let words = kernel.words(*address, *count).into_iter();
            Ok(Value::List(words.map(|word| word as i64).collect()))
        }
        Call::WordSwap(address, old, new) => match kernel.word_swap(*address, *old, *new) {
            Ok(()) => DONE,
            Err(now) => number(now as i64),
        },
        Call::WordSet(address, value) => {
            kernel.word_set(*address, *value);
            DONE
        }
        Call::WordWait(address, low, time) => {
            kernel.word_wait(*address, *low, *time);
            DONE
        }
        Call::WordWake(address, count) => {
            kernel.word_wake(*address, *count);
            DONE
        }
        _ => panic!("not of words: {call:?}"),
    }
}

fn make_range(call: &RangeCall) -> Reply {
    let kernel = Linux;
    match call {
        RangeCall::Open(path, how) => int(kernel.open_direct(path, *how)),
        RangeCall::Held(range) => match kernel.held_ranges(*range) {
            Ok(held) => ranges(held),
            Err(errno) => fail(errno),
        },
        RangeCall::Mapped(files, by) => {
            let file = |(dev, ino): &(u64, u64)| MappedFile {
                dev: *dev,
                ino: *ino,
                name: None,
            };
            let files: Vec<MappedFile> = files.iter().map(file).collect();
            match kernel.mapped(&files, *by) {
                Ok(mapped) => list(mapped.iter().map(|(_, ino)| i64::try_from(*ino).unwrap())),
                Err(errno) => fail(errno),
            }
        }
        // What it answers is the machine's own.
        RangeCall::Version(_) => fail(Errno::ENOSYS),
        RangeCall::Keep(fd) => address(kernel.keep(*fd)),
        RangeCall::LetGo(address) => {
            kernel.let_go(*address);
            DONE
        }
        RangeCall::ReadAt(fd, offset, length) => {
            other(kernel.read_at(*fd, *offset, *length), |bytes| {
                Value::Bytes(bytes.into())
            })
        }
        RangeCall::WriteAt(fd, offset, bytes) => unit(kernel.write_at(*fd, *offset, bytes)),
    }
}
