//! `qshm`: what the library knows of Qt's IPC objects, for people and for scripts.
//!
//! Here arguments and results are converted; what is found, judged and removed is the library's
//! doing (`qshm::diagnosis`).

mod cli;
mod explain;
mod json;
mod key;
mod output;
mod repair;
mod run;
mod status;
mod table;
mod who;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use output::{Failure, complain};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help was asked for, or is of more use than a complaint.
        Err(error) if error.exit_code() == 0 || std::env::args_os().len() < 2 => error.exit(),
        Err(error) => {
            complain(&output::one_sentence(&error.to_string()));
            return ExitCode::from(output::WRONG_USAGE);
        }
    };
    let wrong = qshm::options::not_understood();
    let keeps = |text: &&String| text.starts_with("QSHM_LEFTOVER=");
    if let (Command::Repair(_), Some(text)) = (&cli.command, wrong.iter().find(keeps)) {
        // Meant to keep something, perhaps.
        let text = output::harmless(text);
        complain(&format!("{text} is not understood: keep or discard"));
        return ExitCode::from(output::WRONG_USAGE);
    }
    // A program that is run says it by itself.
    if !matches!(cli.command, Command::Run(_)) {
        for text in &wrong {
            let text = output::harmless(text);
            complain(&format!("{text} is not understood and is ignored"));
        }
    }
    let done = match cli.command {
        Command::Status(arguments) => status::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Repair(arguments) => repair::run(&arguments),
        Command::Key(arguments) => key::run(&arguments),
        Command::Who(arguments) => who::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        // Whoever read has seen enough: `qshm status | head -1`.
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            complain(&text);
            ExitCode::from(output::WRONG_USAGE)
        }
        Err(Failure::Said(text)) => {
            complain(&text);
            ExitCode::from(output::FAILED)
        }
    }
}
