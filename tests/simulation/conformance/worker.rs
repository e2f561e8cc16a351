//! A real process that makes the calls that it is told to.

// Reads and writes of memory that the process has attached, for two of the calls.
#![allow(unsafe_code)]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::unistd::{Gid, Uid, gettid, setgroups, setresgid, setresuid};
use qshm::kernel::{Errno, Kernel, Linux, RangeLocks, Wait};

use crate::model::call::{Call, DONE, Line, Reply, Value, fail, list, number};
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
        Call::NamedOpen(..)
        | Call::NamedLook(..)
        | Call::NamedLocks(..)
        | Call::NamedUnlocked(..)
        | Call::Announce(..)
        | Call::NamedMake(..)
        | Call::NamedReserve(..)
        | Call::NamedAlone(..)
        | Call::IsMapped(..)
        | Call::Map(..)
        | Call::Unmap(..)
        | Call::Retire(..)
        | Call::Word(..)
        | Call::Words(..)
        | Call::WordSwap(..)
        | Call::WordSet(..)
        | Call::WordWait(..)
        | Call::WordWake(..) => panic!("not generated: {call:?}"),
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
        Call::ShmAttach(id, read_only) => {
            let address = kernel.shm_attach(*id, *read_only);
            other(address, |address| {
                Value::Number(i64::try_from(address).unwrap())
            })
        }
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
        Call::RangeLock(fd, range, lock) => unit(kernel.range_lock(*fd, *range, *lock, Wait::No)),
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
        Call::Range(call) => make_range(call),
        Call::Poke(address, value) => {
            // SAFETY: as above, and attached for writing.
            unsafe { (*address as *mut u32).write_volatile(*value) };
            DONE
        }
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
        RangeCall::Mapped(..) => fail(Errno::ENOSYS),
        RangeCall::Keep(fd) => other(kernel.keep(*fd), |address| {
            Value::Number(i64::try_from(address).unwrap())
        }),
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
