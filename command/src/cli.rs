//! The command line: of these definitions help, man pages and completions are made.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Finds, explains and clears what Qt's QSharedMemory and QSystemSemaphore left behind
///
/// Qt's shared memory on Linux can outlive the program that made it: after a crash under sudo, no
/// normal user can start that program again. This command shows all such objects of the machine
/// with the processes that use them, says what is in the way of a key and why, and removes what
/// is a leftover beyond doubt.
#[derive(Debug, Parser)]
#[command(
    name = "qshm",
    version,
    arg_required_else_help = true,
    after_help = "Example: qshm status",
    after_long_help = EXIT_CODES
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The exit codes, which stay as they are.
const EXIT_CODES: &str = "\
Exit codes:
  0  done, and nothing is in the way
  1  something is in the way, or could not be removed
  2  wrong usage
  3  it failed: standard error says why
`qshm run` ends as its program does: with its exit code, or by its signal. 126: the program can't
be run; 127: it was not found.

Example: qshm status";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show every Qt IPC object on the machine and who uses it
    ///
    /// System V and POSIX objects of every version of Qt, with and without their key files: the
    /// key as far as it can be known, segment and semaphore as the pair that they are, owner,
    /// mode, size, version of Qt, age and the attached processes.
    #[command(
        after_help = "Examples:\n  qshm status\n  sudo qshm status --json\n  qshm status --watch"
    )]
    Status(Status),

    /// Say whether a key can be used, and if not, why
    ///
    /// Says in sentences which object is in the way, whose it is, since when, who is attached,
    /// and what to do. Exit code 1: it can't be used with Qt alone, or not at all now.
    #[command(after_help = "Example: qshm explain Logic")]
    Explain(Explain),

    /// Remove what is a leftover beyond doubt
    ///
    /// Takes the same locks as programs with qshm do, so that it can run while they start. Never
    /// touches an object that is in use, or one that is not Qt's. Without KEY all leftovers are
    /// meant; with KEY also what only somebody who knows the key can call a leftover, such as a
    /// semaphore that stands alone, or a POSIX segment, whose name tells nobody that it is Qt's. Exit code 1: something is left, and why.
    #[command(after_help = "Examples:\n  qshm repair --dry-run\n  sudo qshm repair Logic")]
    Repair(Repair),

    /// Show the running instances of an application, and what they claim
    ///
    /// For applications that take their numbers from qshm::Instance. Root sees those of all users.
    /// Exit code 1: none runs.
    #[command(after_help = "Example: qshm who Logic")]
    Who(Who),

    /// Show the native keys and key files that Qt makes of a key
    #[command(after_help = "Example: qshm key Logic --qt 5.7 --json")]
    Key(Key),

    /// Run a program that was not built with qshm, with qshm in Qt's place
    ///
    /// Preloads libqshm-preload.so into the program and what it starts. Exit code and signal are
    /// the program's own. Nothing changes for a program without Qt. QSHM_PRELOAD names another
    /// library than the installed one; the QSHM_* variables of the README count as usual.
    #[command(after_help = "Example: qshm run -- ./Logic --verbose")]
    Run(Run),
}

#[derive(Args, Debug)]
pub struct Status {
    /// Print JSON, in the form that docs/command.md describes
    #[arg(long)]
    pub json: bool,

    /// Show it anew every so many seconds until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub watch: Option<u32>,
}

#[derive(Args, Debug)]
pub struct Explain {
    /// The key, as the program gives it to setKey(), or a native key: a path, systemv:PATH,
    /// systemv-33:PATH (the project id in decimal), posix:/NAME
    pub key: String,

    /// Print JSON, in the form that docs/command.md describes
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Repair {
    /// The keys to clear; all if none is given
    #[arg(value_name = "KEY")]
    pub keys: Vec<String>,

    /// Only say what would be removed
    #[arg(long, short = 'n')]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Args, Debug)]
#[allow(clippy::struct_field_names)]
pub struct Key {
    /// The key, as the program gives it to setKey()
    pub key: String,

    /// The version of Qt, such as 5.7 or 6.8
    #[arg(long, value_name = "VERSION", default_value = "5.15")]
    pub qt: String,

    /// The temp directory of the program; by default this process's own
    #[arg(long, value_name = "DIR")]
    pub tmpdir: Option<PathBuf>,

    /// Print JSON, in the form that docs/command.md describes
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Who {
    /// The name that the application gives to its instances; all if it is left out
    pub name: Option<String>,

    /// Print JSON, in the form that docs/command.md describes
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Run {
    /// Do not say what is to be known of the program
    #[arg(long, short)]
    pub quiet: bool,

    /// The program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PROGRAM"
    )]
    pub program: Vec<OsString>,
}
