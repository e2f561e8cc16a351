//! The real machine: worker processes, and the translation of the numbers that the two kernels
//! give out.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid};
use qshm::kernel::{FileKind, FileStat, IpcPerm, ShmStat};

use super::worker::VARIABLE;
use crate::model::call::{Call, Cred, Line, Reply, Value};
use crate::model::process::number_of;
use crate::model::{Pid, World};

#[path = "../../system/support/namespace.rs"]
mod namespace;

/// How long a real process may take for what the model did.
const DEADLINE: Duration = Duration::from_secs(20);

/// Paths that the calls are made with. A link and a FIFO are there from the start.
pub const NAMES: &[&str] = &[
    "/tmp/a",
    "/tmp/a",
    "/tmp/a",
    "/tmp/b",
    "/tmp/b",
    "/tmp/d",
    "/tmp/d",
    "/tmp/d/x",
    "/tmp/d/x",
    "/tmp/link",
    "/tmp/fifo",
    "/tmp/a/x",
    "/tmp/none/x",
];

struct Worker {
    child: Child,
    tid: i32,
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    fds: HashMap<i32, i32>,
    addresses: HashMap<usize, usize>,
    pending: Option<Call>,
}

pub struct Machine {
    // Dropped after the workers: fields are dropped in the order in which they stand here.
    workers: Vec<Option<Worker>>,
    segments: HashMap<i32, i32>,
    sets: HashMap<i32, i32>,
    inodes: HashMap<u64, u64>,
    pids: HashMap<i32, i32>,
    root: PathBuf,
    directory: PathBuf,
    _namespace: namespace::Namespace,
}

impl Machine {
    pub fn new(world: &mut World) -> Self {
        let namespace = namespace::Namespace::enter().expect("a System V namespace");
        let directory = fresh_directory();
        let root = directory.join("tmp");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("a", root.join("link")).unwrap();
        let fifo = root.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::empty()).unwrap();
        fs::set_permissions(&fifo, fs::Permissions::from_mode(0o644)).unwrap();
        nix::unistd::chown(&fifo, Some(Uid::from_raw(2001)), Some(Gid::from_raw(2001))).unwrap();
        world.plant("/tmp/link", FileKind::Link, 0, 0, 0o777);
        world.plant("/tmp/fifo", FileKind::Other, 2001, 2001, 0o644);
        Self {
            workers: Vec::new(),
            segments: HashMap::new(),
            sets: HashMap::new(),
            inodes: HashMap::new(),
            pids: HashMap::new(),
            root,
            directory,
            _namespace: namespace,
        }
    }

    /// Starts a process; it gets the next number, as in the model.
    pub fn start(&mut self, cred: Cred) {
        let (stream, theirs) = UnixStream::pair().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "conformance::worker::worker"])
            .args(["--ignored", "--nocapture"])
            .env(VARIABLE, cred.uid.to_string())
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut tid = String::new();
        lines.read_line(&mut tid).unwrap();
        self.pids.insert(
            number_of(self.workers.len()),
            i32::try_from(child.id()).unwrap(),
        );
        self.workers.push(Some(Worker {
            child,
            tid: tid.trim().parse().expect("a worker that is ready"),
            stream,
            lines,
            fds: HashMap::new(),
            addresses: HashMap::new(),
            pending: None,
        }));
    }

    pub fn kill(&mut self, who: Pid) {
        let mut worker = self.workers[who].take().unwrap();
        worker.child.kill().unwrap();
        worker.child.wait().unwrap();
    }

    pub fn pending(&self, who: Pid) -> Call {
        self.workers[who].as_ref().unwrap().pending.clone().unwrap()
    }

    pub fn send(&mut self, who: Pid, cred: Cred, call: &Call) {
        let real = self.to_real(who, call);
        let worker = self.workers[who].as_mut().unwrap();
        writeln!(worker.stream, "{} {}", cred.uid, real.to_line()).unwrap();
        worker.pending = Some(call.clone());
    }

    /// Until the process sleeps in flock(2), semop(2) or semtimedop(2).
    pub fn wait_until_blocked(&mut self, who: Pid, log: &[String], seed: u64) {
        let worker = self.workers[who].as_mut().unwrap();
        let pid = worker.child.id();
        let file = format!("/proc/{pid}/task/{}/syscall", worker.tid);
        let blocking = [libc::SYS_flock, libc::SYS_semop, libc::SYS_semtimedop];
        let deadline = Instant::now() + DEADLINE;
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let call = text
                .split_whitespace()
                .next()
                .and_then(|word| word.parse().ok());
            if call.is_some_and(|call| blocking.contains(&call)) {
                return;
            }
            worker.stream.set_nonblocking(true).unwrap();
            let answered = worker.lines.fill_buf().is_ok_and(|bytes| !bytes.is_empty());
            worker.stream.set_nonblocking(false).unwrap();
            if answered {
                let mut line = String::new();
                worker.lines.read_line(&mut line).unwrap();
                different(
                    log,
                    seed,
                    &format!("process {who} answers {} instead of waiting", line.trim()),
                );
            }
            assert!(
                Instant::now() < deadline,
                "process {who} does not get to its call: {text}"
            );
            std::thread::yield_now();
        }
    }

    /// Reads the answer, which has to be that of the model.
    pub fn receive(&mut self, who: Pid, call: &Call, expected: &Reply, log: &[String], seed: u64) {
        let worker = self.workers[who].as_mut().unwrap();
        worker.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut line = String::new();
        let read = worker.lines.read_line(&mut line);
        if !matches!(read, Ok(1..)) {
            different(
                log,
                seed,
                &format!("{read:?} instead of {}", expected.to_line()),
            );
        }
        worker.pending = None;
        let real = Reply::from_line(line.trim());
        if let Err(what) = self.same(who, call, expected, &real) {
            let text = format!(
                "expected {}, got {} ({what})",
                expected.to_line(),
                line.trim()
            );
            different(log, seed, &text);
        }
    }

    fn to_real(&self, who: Pid, call: &Call) -> Call {
        let worker = self.workers[who].as_ref().unwrap();
        let name = |path: &Arc<Path>| -> Arc<Path> {
            self.root.join(path.strip_prefix("/tmp").unwrap()).into()
        };
        let fd = |fd: &i32| worker.fds.get(fd).copied().unwrap_or(*fd);
        let address = |address: &usize| worker.addresses.get(address).copied().unwrap_or(*address);
        let segment = |id: &i32| self.segments[id];
        let set = |id: &i32| self.sets[id];
        match call {
            Call::IsAlive(pid) => Call::IsAlive(self.pids[pid]),
            Call::Open(path, how) => Call::Open(name(path), *how),
            Call::Reopen(at) => Call::Reopen(fd(at)),
            Call::Close(at) => Call::Close(fd(at)),
            Call::Fstat(at) => Call::Fstat(fd(at)),
            Call::Lstat(path) => Call::Lstat(name(path)),
            Call::Fchmod(at, mode) => Call::Fchmod(fd(at), *mode),
            Call::Fchgrp(at, gid) => Call::Fchgrp(fd(at), *gid),
            Call::Flock(at, lock, wait) => Call::Flock(fd(at), *lock, *wait),
            Call::Unlink(path) => Call::Unlink(name(path)),
            Call::Mkdir(path, mode) => Call::Mkdir(name(path), *mode),
            Call::Rmdir(path) => Call::Rmdir(name(path)),
            Call::ShmStat(id) => Call::ShmStat(segment(id)),
            Call::ShmSet(id, uid, gid, mode) => Call::ShmSet(segment(id), *uid, *gid, *mode),
            Call::ShmRemove(id) => Call::ShmRemove(segment(id)),
            Call::ShmAttach(id, read_only) => Call::ShmAttach(segment(id), *read_only),
            Call::ShmDetach(at) => Call::ShmDetach(address(at)),
            Call::ShmClear(at, size) => Call::ShmClear(address(at), *size),
            Call::SemStat(id) => Call::SemStat(set(id)),
            Call::SemSet(id, uid, gid, mode) => Call::SemSet(set(id), *uid, *gid, *mode),
            Call::SemRemove(id) => Call::SemRemove(set(id)),
            Call::SemValue(id) => Call::SemValue(set(id)),
            Call::SemWaiting(id) => Call::SemWaiting(set(id)),
            Call::SemLastPid(id) => Call::SemLastPid(set(id)),
            Call::SemSetValue(id, value) => Call::SemSetValue(set(id), *value),
            Call::SemOp(id, delta, wait) => Call::SemOp(set(id), *delta, *wait),
            Call::OpenShared(path, mode, group) => Call::OpenShared(name(path), *mode, *group),
            Call::MayWrite(path) => Call::MayWrite(name(path)),
            Call::Inodes(path, prefix) => Call::Inodes(name(path), prefix.clone()),
            Call::OpenDeleted(path, uid) => Call::OpenDeleted(name(path), *uid),
            Call::ShmIsOlder(id, at) => Call::ShmIsOlder(segment(id), fd(at)),
            Call::Peek(at) => Call::Peek(address(at)),
            Call::Poke(at, value) => Call::Poke(address(at), *value),
            Call::ShmFind(_)
            | Call::ShmCreate(..)
            | Call::SemFind(_)
            | Call::SemCreate(..)
            | Call::ShmKeys
            | Call::SemKeys
            | Call::Pause(_) => call.clone(),
        }
    }

    fn same(
        &mut self,
        who: Pid,
        call: &Call,
        expected: &Reply,
        real: &Reply,
    ) -> Result<(), String> {
        match (expected, real) {
            (Ok(Value::Number(expected)), Ok(Value::Number(real))) => {
                self.same_number(who, call, *expected, *real)
            }
            (Ok(Value::File(expected)), Ok(Value::File(real))) => self.same_file(expected, real),
            (Ok(Value::Shm(expected)), Ok(Value::Shm(real))) => self.same_segment(expected, real),
            (Ok(Value::List(expected)), Ok(Value::List(real)))
                if matches!(call, Call::Inodes(..)) =>
            {
                // In the order of the other side's numbers; a file not looked at before is new.
                equal("number of files", expected.len(), real.len())?;
                let known = expected
                    .iter()
                    .filter_map(|ino| self.inodes.get(&(*ino as u64)));
                let unknown = known.filter(|ino| !real.contains(&(**ino as i64))).count();
                equal("files that are not there", 0, unknown)
            }
            (expected, real) => equal("answer", expected, real),
        }
    }

    fn same_number(
        &mut self,
        who: Pid,
        call: &Call,
        expected: i64,
        real: i64,
    ) -> Result<(), String> {
        let worker = self.workers[who].as_mut().unwrap();
        let int = |number: i64| i32::try_from(number).unwrap();
        let size = |number: i64| usize::try_from(number).unwrap();
        match call {
            Call::Open(..) | Call::OpenShared(..) | Call::OpenDeleted(..) | Call::Reopen(_) => {
                worker.fds.insert(int(expected), int(real));
                Ok(())
            }
            Call::ShmAttach(..) => {
                worker.addresses.insert(size(expected), size(real));
                Ok(())
            }
            Call::ShmCreate(..) => learn(&mut self.segments, int(expected), int(real)),
            Call::ShmFind(_) => equal(
                "segment",
                self.segments.get(&int(expected)),
                Some(&int(real)),
            ),
            Call::SemCreate(..) => learn(&mut self.sets, int(expected), int(real)),
            Call::SemFind(_) => equal("semaphore", self.sets.get(&int(expected)), Some(&int(real))),
            Call::SemLastPid(_) => equal("last pid", self.pid(int(expected)), int(real)),
            _ => equal("number", expected, real),
        }
    }

    fn pid(&self, number: i32) -> i32 {
        if number == 0 { 0 } else { self.pids[&number] }
    }

    fn same_file(&mut self, expected: &FileStat, real: &FileStat) -> Result<(), String> {
        // The model gives every file a number of its own here, the real one may use one again.
        let known = *self.inodes.entry(expected.ino).or_insert(real.ino);
        equal("inode", known, real.ino)?;
        let expected = FileStat {
            dev: real.dev,
            ino: real.ino,
            ..*expected
        };
        if expected.kind == FileKind::Regular {
            return equal("file", &expected, real);
        }
        // Links and sizes of the others differ between file systems.
        let real = FileStat {
            links: expected.links,
            size: expected.size,
            ..*real
        };
        equal("file", expected, real)
    }

    fn same_segment(&self, expected: &ShmStat, real: &ShmStat) -> Result<(), String> {
        let perm: IpcPerm = expected.perm;
        let expected = ShmStat {
            perm,
            creator_pid: self.pid(expected.creator_pid),
            last_pid: self.pid(expected.last_pid),
            ..*expected
        };
        equal("segment", &expected, real)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for worker in self.workers.iter_mut().flatten() {
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn fresh_directory() -> PathBuf {
    let pid = std::process::id();
    for number in 0.. {
        let path = std::env::temp_dir().join(format!("qshm-conformance-{pid}-{number}"));
        if fs::create_dir(&path).is_ok() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            return path;
        }
    }
    unreachable!()
}

fn learn(map: &mut HashMap<i32, i32>, expected: i32, real: i32) -> Result<(), String> {
    match map.insert(expected, real) {
        None => Ok(()),
        Some(before) => equal("id", before, real),
    }
}

#[allow(clippy::needless_pass_by_value)] // Half of the callers have references.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, real: T) -> Result<(), String> {
    if expected == real {
        Ok(())
    } else {
        Err(format!("{what}: {expected:?} is not {real:?}"))
    }
}

fn different(log: &[String], seed: u64, what: &str) -> ! {
    let last = log.len().saturating_sub(60);
    panic!(
        "model and kernel differ, seed {seed}: {what}\n{}",
        log[last..].join("\n")
    );
}
