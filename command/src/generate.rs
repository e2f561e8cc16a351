//! Writes the man pages and the shells' completions of `qshm` into a folder:
//! `man/qshm.1`, `man/qshm-status.1`, … and `bash/qshm`, `zsh/_qshm`, `fish/qshm.fish`.

mod cli;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
    name_sections(&man)?;
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

/// What stands behind the help is "EXTRA" to clap; man-pages(7) has names for it.
fn name_sections(man: &Path) -> io::Result<()> {
    for entry in fs::read_dir(man)? {
        let path = entry?.path();
        let name = if path.ends_with("qshm.1") {
            "\"EXIT STATUS\""
        } else {
            "EXAMPLES"
        };
        let page = fs::read_to_string(&path)?;
        fs::write(&path, page.replace(".SH EXTRA", &format!(".SH {name}")))?;
    }
    Ok(())
}
