//! Programs under strace: which system calls they make, and a kill or an error
//! at one of them.

use super::process::{DEADLINE, Launch, User};
use super::world::{World, skipped};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

/// The calls on files, System V objects and identities. A question mark lets
/// strace pass over those that the architecture does not have.
const WATCHED: &[&str] = &[
    "?open",
    "openat",
    "?openat2",
    "flock",
    "?stat",
    "?lstat",
    "fstat",
    "?newfstatat",
    "?statx",
    "?access",
    "?faccessat",
    "?faccessat2",
    "?readlink",
    "readlinkat",
    "?unlink",
    "unlinkat",
    "?mkdir",
    "mkdirat",
    "?rmdir",
    "fchmod",
    "fchown",
    "close",
    "shmget",
    "shmat",
    "shmctl",
    "shmdt",
    "semget",
    "semctl",
    "semop",
    "?semtimedop",
    "setresuid",
    "setresgid",
    "setfsuid",
    "setfsgid",
    "prctl",
    "fcntl",
    "ftruncate",
    "fallocate",
    "linkat",
    "munmap",
    "madvise",
    "?nanosleep",
    "clock_nanosleep",
];

/// The calls with which an instance is held, beside those.
pub const OF_INSTANCES: &[&str] = &["pread64", "pwrite64", "linkat", "mmap", "munmap", "madvise"];

/// The calls by which POSIX objects are made and mapped, beside those.
pub const OF_POSIX: &[&str] = &["mmap", "write"];

/// What tells the calls of the start from those that load the program.
const FIRST_MARKS: &[&str] = &[
    "qipc_",
    "shmget(",
    "semget(",
    "flock(",
    "/run/user/",
    "\"/dev/shm",
];

/// A system call that a program makes.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// It is the program's n-th call of this name, from 1.
    pub nth: u32,
    /// The line that strace wrote.
    pub text: String,
}

/// A program, its arguments, and who runs it, all the same each time.
pub struct Traced<'a> {
    pub world: &'a World,
    pub program: PathBuf,
    /// What is preloaded.
    pub preload: Option<PathBuf>,
    pub args: Vec<String>,
    pub user: User,
    /// More calls to watch.
    pub more: &'static [&'static str],
}

/// Whether strace can be used; says so if not.
pub fn needs_strace() -> bool {
    let found = std::process::Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        skipped("no strace, or it may not trace");
    }
    found
}

impl Traced<'_> {
    /// The program without strace.
    pub fn alone(&self) -> Launch {
        let launch = Launch::new(&self.program, self.world.temp());
        let launch = match &self.preload {
            Some(library) => launch.env("LD_PRELOAD", library),
            None => launch,
        };
        launch.user(self.user).args(&self.args)
    }

    /// Runs it to its end and returns its calls from the first that has to do
    /// with shared memory.
    pub fn record(&self) -> Vec<Call> {
        let log = self.log_file();
        self.under_strace(&["-o", &log.to_string_lossy()])
            .run()
            .ok();
        let calls = parse(&fs::read_to_string(&log).expect("strace's log"));
        let first = calls
            .iter()
            .position(|call| FIRST_MARKS.iter().any(|mark| call.text.contains(mark)))
            .expect("the program uses shared memory");
        calls.into_iter().skip(first).collect()
    }

    /// Kills it when it makes this call, which then does not happen.
    pub fn kill_at(&self, call: &Call) -> Result<(), String> {
        let what = format!("{}:signal=KILL:when={}", call.name, call.nth);
        let mut running = self.injected(&what).start();
        running.close_stdin();
        // strace dies of what its program died of.
        match running.wait_within(DEADLINE).map(|status| status.signal()) {
            None => Err("the program that is killed hung".to_owned()),
            Some(Some(libc::SIGKILL)) => Ok(()),
            Some(_) => Err("the kill did not happen".to_owned()),
        }
    }

    /// Lets this call fail, which then does not happen; `ever_after` also
    /// those of its name that follow.
    pub fn failing_at(&self, call: &Call, error: &str, ever_after: bool) -> Launch {
        let more = if ever_after { "+" } else { "" };
        self.injected(&format!(
            "{}:error={error}:when={}{more}",
            call.name, call.nth
        ))
    }

    fn injected(&self, what: &str) -> Launch {
        self.under_strace(&["-o", "/dev/null", "-e", &format!("inject={what}")])
    }

    fn under_strace(&self, options: &[&str]) -> Launch {
        Launch::new(Path::new("strace"), self.world.temp())
            // Not --seccomp-bpf, under which strace 6.1 does not inject.
            .args(["-f", "-e"])
            .arg(format!("trace={}", [WATCHED, self.more].concat().join(",")))
            .args(options)
            // So that it ends with strace, also when that is killed.
            .args(["--", "setpriv", "--pdeathsig", "KILL", "--", "env"])
            // The program alone, not strace itself.
            .args(
                self.preload
                    .as_ref()
                    .map(|library| format!("LD_PRELOAD={}", library.display())),
            )
            .arg(&self.program)
            .args(&self.args)
            .user(self.user)
    }

    /// Where whoever runs it may write.
    fn log_file(&self) -> PathBuf {
        let folder = self.world.base().join("log");
        fs::create_dir_all(&folder).expect("a folder for logs");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).expect("its mode");
        let log = folder.join("trace");
        let _ = fs::remove_file(&log);
        log
    }
}

/// Lines as `123 openat(...) = 3`; anything else (`+++ exited`) is left out.
fn parse(log: &str) -> Vec<Call> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    log.lines()
        .filter_map(|line| {
            let text = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            let (name, _) = text.split_once('(')?;
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !plain || name.is_empty() {
                return None;
            }
            let nth = seen.entry(name.to_owned()).or_default();
            *nth += 1;
            Some(Call {
                name: name.to_owned(),
                nth: *nth,
                text: text.to_owned(),
            })
        })
        .collect()
}
