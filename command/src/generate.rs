//! Writes the man pages and the shells' completions of `qshm` into a folder:
//! `man/qshm.1`, `man/qshm-status.1`, … and `bash/qshm`, `zsh/_qshm`, `fish/qshm.fish`.

mod cli;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use clap_complete::{Shell, generate_to};

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("qshm-generate FOLDER"));
    };
    let command = cli::Cli::command();
    let man = folder.join("man");
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(command.clone(), &man)?;
    // Built, it also knows what clap adds: --help, and a subcommand with a page for each.
    let mut built = command.clone();
    built.build();
    mend(&man, &built)?;
    for (shell, name) in [
        (Shell::Bash, "bash"),
        (Shell::Zsh, "zsh"),
        (Shell::Fish, "fish"),
    ] {
        let target = folder.join(name);
        fs::create_dir_all(&target)?;
        let file = generate_to(shell, &mut command.clone(), "qshm", &target)?;
        if shell == Shell::Bash {
            // Where bash looks for it.
            fs::rename(file, target.join("qshm"))?;
        }
    }
    Ok(())
}

/// What clap_mangen leaves to be wished for.
fn mend(man: &Path, command: &Command) -> io::Result<()> {
    mend_page(&man.join("qshm.1"), command, "qshm")?;
    for subcommand in command.get_subcommands() {
        let name = format!("qshm {}", subcommand.get_name());
        let path = man.join(format!("qshm-{}.1", subcommand.get_name()));
        if path.exists() {
            mend_page(&path, subcommand, &name)?;
        }
    }
    Ok(())
}

fn mend_page(path: &Path, command: &Command, name: &str) -> io::Result<()> {
    let page = fs::read_to_string(path)?;
    // What stands behind the help is "EXTRA" to clap; man-pages(7) has names for it.
    let extra = if command.has_subcommands() {
        "\"EXIT STATUS\""
    } else {
        "EXAMPLES"
    };
    let title = format!("\"qshm {}\"", env!("CARGO_PKG_VERSION"));
    let mut lines: Vec<String> = Vec::new();
    for line in page.lines() {
        let last = lines.last().map_or("", String::as_str);
        lines.push(match line {
            // A subcommand has no version of its own.
            line if line.starts_with(".TH ") => {
                let words = line.split('"').next().unwrap_or(line);
                format!("{words}{title}")
            }
            ".SH EXTRA" => format!(".SH {extra}"),
            // The heading says so.
            "Example:" | "Examples:" if last == ".SH EXAMPLES" => continue,
            line if last == ".SH EXAMPLES" => line.replacen("Example: ", "  ", 1),
            _ if last == ".SH SYNOPSIS" => synopsis(command, name),
            line => line.to_owned(),
        });
    }
    fs::write(path, lines.join("\n") + "\n")
}

/// The usage, with the values of options, and `...` behind what may be given more than once.
fn synopsis(command: &Command, name: &str) -> String {
    let mut words = vec![bold(name)];
    let options = command.get_arguments().filter(|one| !one.is_positional());
    for argument in options.chain(command.get_positionals()) {
        let values = values(argument);
        let repeated = matches!(argument.get_action(), ArgAction::Append)
            || argument.get_num_args().is_some_and(|n| n.max_values() > 1);
        let mut word = if argument.is_positional() {
            values
        } else {
            let short = argument.get_short().map(|short| bold(&format!("-{short}")));
            let long = argument.get_long().map(|long| bold(&format!("--{long}")));
            let names: Vec<String> = short.into_iter().chain(long).collect();
            let takes = argument.get_action().takes_values();
            let optional = argument.get_num_args().is_some_and(|n| n.min_values() == 0);
            match (takes, optional) {
                (false, _) => names.join("|"),
                (true, false) => format!("{} {values}", names.join("|")),
                (true, true) => format!("{} [{values}]", names.join("|")),
            }
        };
        if repeated {
            word += " ...";
        }
        words.push(if argument.is_required_set() {
            word
        } else {
            format!("[{word}]")
        });
    }
    if command.has_subcommands() {
        words.push("\\fICOMMAND\\fR".to_owned());
    }
    words.join(" ")
}

fn values(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("\\fI{}\\fR", escaped(name)))
        .collect();
    names.join(" ")
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

/// A minus, not a hyphen, so that it can be copied.
fn escaped(text: &str) -> String {
    text.replace('-', "\\-")
}
