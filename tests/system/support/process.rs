//! Running a program: as which user, with what environment, and waiting for
//! its lines and its end, always with a deadline.

// Waiting for the end of a process with a deadline takes a descriptor of the
// process, which the standard library does not offer yet.
#![allow(unsafe_code)]

use super::programs::Build;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a program may take for what should be a matter of milliseconds.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Who runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Root,
    /// A user by number, and the group of the same number.
    Uid(u32),
    /// Root, called by this user through sudo.
    Sudo(u32),
}

impl User {
    // The two users that every Linux has, `daemon` and `bin` in one order or
    // the other, with groups of the same numbers: who called sudo must exist.
    pub const ALICE: Self = Self::Uid(1);
    pub const BOB: Self = Self::Uid(2);
    pub const SUDO_ALICE: Self = Self::Sudo(1);
}

/// A program about to be started.
pub struct Launch {
    name: String,
    command: Command,
}

impl Launch {
    pub fn new(program: &Path, temp: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir("/").env("TMPDIR", temp);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("QSHM_")
                || text.starts_with("SUDO_")
                || text.starts_with("QT_")
                || text == "PKEXEC_UID"
                || text == "DOAS_USER"
            {
                command.env_remove(name);
            }
        }
        // SAFETY: prctl is async-signal-safe. It makes a test that is killed
        // take its programs with it.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        Self {
            name: program.display().to_string(),
            command,
        }
    }

    pub fn user(mut self, user: User) -> Self {
        match user {
            User::Root => {}
            // The standard library also clears the supplementary groups.
            User::Uid(uid) => {
                self.command.uid(uid).gid(uid);
            }
            User::Sudo(uid) => {
                self.command
                    .env("SUDO_UID", uid.to_string())
                    .env("SUDO_GID", uid.to_string());
            }
        }
        self
    }

    pub fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args<S: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(
        mut self,
        name: impl AsRef<std::ffi::OsStr>,
        value: impl AsRef<std::ffi::OsStr>,
    ) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable out of its environment.
    pub fn without(mut self, name: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Under the preload library, if this build is run under it.
    pub fn under(self, build: Build) -> Self {
        match build.preload() {
            Some(library) => self.env("LD_PRELOAD", library),
            None => self,
        }
    }

    /// Starts it and goes on.
    pub fn start(mut self) -> Running {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let mut stderr = child.stderr.take().expect("stderr is a pipe");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                if sender
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
                {
                    break;
                }
            }
        });
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Running {
            name: self.name,
            stdin: child.stdin.take(),
            child,
            lines,
            errors: Some(errors),
            ended: None,
        }
    }

    /// Starts it and waits for its end.
    pub fn run(self) -> Finished {
        self.start().finish(DEADLINE)
    }
}

/// What a program that ended said.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    /// The lines of its standard output that nobody had read before.
    pub lines: Vec<String>,
    pub stderr: String,
}

impl Finished {
    /// It ended with status 0.
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{self:#?}");
        self
    }
}

/// A program that was started. Dropping it kills it.
pub struct Running {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    ended: Option<ExitStatus>,
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Writes a line to its standard input.
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next line of its standard output.
    ///
    /// # Panics
    /// If none comes in time, with what it said on standard error.
    pub fn line(&mut self) -> String {
        self.line_within(DEADLINE).unwrap_or_else(|| {
            self.kill();
            let finished = self.collect();
            panic!("{}: no line in time; {finished:#?}", self.name)
        })
    }

    /// The next line, if one comes within `time`; `None` too when it ended.
    pub fn line_within(&mut self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }

    /// A line that is there already.
    pub fn line_now(&mut self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// The next line is this one.
    pub fn expect(&mut self, wanted: &str) {
        let line = self.line();
        assert_eq!(line, wanted, "{}", self.name);
    }

    /// Says a line and returns the answer.
    pub fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.line()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Sends a signal, if it has not been waited for.
    pub fn signal(&mut self, signal: i32) {
        assert!(self.ended.is_none(), "{} has ended", self.name);
        // SAFETY: our own child, not yet reaped, so the pid is still its own.
        unsafe { libc::kill(self.pid(), signal) };
    }

    /// Waits until it is asleep in the system call of this number (from
    /// `/proc/PID/syscall`), for example in `semop`.
    pub fn wait_for_system_call(&self, numbers: &[i64]) {
        let path = format!("/proc/{}/syscall", self.pid());
        let end = Instant::now() + DEADLINE;
        loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let number = text.split(' ').next().and_then(|word| word.parse().ok());
            if number.is_some_and(|number: i64| numbers.contains(&number)) {
                return;
            }
            assert!(
                Instant::now() < end,
                "{}: not in one of {numbers:?}, but: {text}",
                self.name
            );
            thread::yield_now();
        }
    }

    /// Waits for its end, which must come by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(DEADLINE).unwrap_or_else(|| {
            self.kill();
            let finished = self.collect();
            panic!("{}: did not end in time; {finished:#?}", self.name)
        })
    }

    /// Waits for its end for as long as `time`.
    pub fn wait_within(&mut self, time: Duration) -> Option<ExitStatus> {
        if self.ended.is_none() && self.ends_within(time) {
            self.ended = self.child.wait().ok();
        }
        self.ended
    }

    /// Closes its standard input, waits for its end and returns all that it
    /// said. One that does not end in time is killed and shows signal 9.
    pub fn finish(mut self, time: Duration) -> Finished {
        self.close_stdin();
        if self.wait_within(time).is_none() {
            self.kill();
        }
        self.collect()
    }

    /// Stops it, and waits until it is.
    pub fn stop(&mut self) {
        self.signal(libc::SIGSTOP);
        let status = format!("/proc/{}/stat", self.pid());
        let stopped = || std::fs::read_to_string(&status).is_ok_and(|text| text.contains(") T "));
        while !stopped() {
            thread::yield_now();
        }
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        self.signal(libc::SIGCONT);
    }

    /// Kills it and waits until it is gone.
    pub fn kill_and_wait(&mut self) {
        self.kill();
        self.wait();
    }

    fn collect(&mut self) -> Finished {
        let status = self
            .ended
            .or_else(|| self.child.wait().ok())
            .unwrap_or_else(|| ExitStatus::from_raw(libc::SIGKILL));
        self.ended = Some(status);
        Finished {
            status,
            lines: self.lines.iter().collect(),
            stderr: self
                .errors
                .take()
                .map(|thread| thread.join().unwrap_or_default())
                .unwrap_or_default(),
        }
    }

    fn ends_within(&self, time: Duration) -> bool {
        // SAFETY: pidfd_open takes two numbers; the child is not reaped yet.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid(), 0) };
        assert!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
        // SAFETY: a fresh descriptor of ours, and it fits in an int.
        let fd = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor")) };
        let mut wait = libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let milliseconds = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one entry, which lives through the call.
        unsafe { libc::poll(&raw mut wait, 1, milliseconds) > 0 }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
