//! Writes the man pages and the shells' completions of `qshm` into a folder:
//! `man/qshm.1`, `man/qshm-status.1`, … and `bash/qshm`, `zsh/_qshm`, `fish/qshm.fish`.

mod cli;

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("qshm-generate FOLDER"));
    };
    let command = cli::Cli::command();
    let man = folder.join("man");
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(command.clone(), &man)?;
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
