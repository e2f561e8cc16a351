//! The real machine: worker processes, and the translation of the numbers that the two kernels
//! give out.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid};
use qshm::kernel::FileKind;

use super::worker::VARIABLE;
use crate::model::call::{Call, Cred, Reply};
use crate::model::line::Line;
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

pub(super) struct Worker {
    child: Child,
    tid: i32,
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    pub(super) fds: HashMap<i32, i32>,
    pub(super) addresses: HashMap<usize, usize>,
    pending: Option<Call>,
}

pub struct Machine {
    // Dropped after the workers: fields are dropped in the order in which they stand here.
    pub(super) workers: Vec<Option<Worker>>,
    pub(super) segments: HashMap<i32, i32>,
    pub(super) sets: HashMap<i32, i32>,
    pub(super) inodes: HashMap<u64, u64>,
    pub(super) pids: HashMap<i32, i32>,
    pub(super) root: PathBuf,
    pub(super) device: u64,
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
            device: root.metadata().unwrap().dev(),
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

    /// Until the process sleeps in flock(2), semop(2), semtimedop(2) or futex(2).
    pub fn wait_until_blocked(&mut self, who: Pid, log: &[String], seed: u64) {
        let worker = self.workers[who].as_mut().unwrap();
        let pid = worker.child.id();
        let file = format!("/proc/{pid}/task/{}/syscall", worker.tid);
        let blocking = [
            libc::SYS_flock,
            libc::SYS_semop,
            libc::SYS_semtimedop,
            libc::SYS_futex,
        ];
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

fn different(log: &[String], seed: u64, what: &str) -> ! {
    let last = log.len().saturating_sub(60);
    panic!(
        "model and kernel differ, seed {seed}: {what}\n{}",
        log[last..].join("\n")
    );
}
