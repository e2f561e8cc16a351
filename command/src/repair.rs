//! `qshm repair`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use qshm::diagnosis::machine::{Doubt, Entry, Machine, State, Viewer};
use qshm::diagnosis::repair::{self, Left};

use crate::cli::Repair;
use crate::output::{self, Failure, IN_THE_WAY, Outcome, harmless};
use crate::table;

pub fn run(arguments: &Repair) -> Outcome {
    for key in &arguments.keys {
        output::check_key(key)?;
    }
    let machine = Machine::look(&Viewer::current(), &arguments.keys);
    let mut code = 0;
    // Said at the end: who stops reading does not stop the work.
    let mut lines = Vec::new();
    let mut work: Vec<(Entry, bool)> = Vec::new();
    if arguments.keys.is_empty() {
        let entries = machine.entries().into_iter();
        work.extend(
            entries
                .filter(Entry::wants_repair)
                .map(|entry| (entry, false)),
        );
    }
    let mut keys: Vec<&String> = Vec::new();
    for key in &arguments.keys {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    for key in keys {
        let entries = machine.entries_of(key);
        if entries.is_empty() {
            lines.push(format!("{}: nothing is there", harmless(key)));
        }
        work.extend(entries.into_iter().map(|entry| (entry, true)));
    }
    if work.is_empty() && arguments.keys.is_empty() {
        let alone = |entry: &Entry| entry.state == State::SemaphoreAlone;
        lines.push(if machine.entries().iter().any(alone) {
            // Nothing shows whether somebody has it open.
            "Nothing is left behind beyond doubt; a semaphore without segment goes only if its key \
             is named."
                .to_owned()
        } else {
            "Nothing is left behind.".to_owned()
        });
        lines.extend(table::perhaps(&machine).lines().map(str::to_owned));
    }
    let removable = |entry: &Entry, named: bool| repair::plan(entry, named).left.is_none();
    let mut planned: Vec<String> = Vec::new();
    for (entry, named) in work
        .iter()
        .filter(|(entry, named)| removable(entry, *named))
    {
        for object in repair::plan(entry, *named).removed {
            let object = format!("{}: {object}", entry.name());
            // A key that is named twice.
            if !planned.contains(&object) {
                planned.push(object);
            }
        }
    }
    if !arguments.dry_run && !planned.is_empty() && !agreed(arguments.yes, &planned)? {
        return Ok(IN_THE_WAY);
    }
    for (entry, named) in &work {
        let name = harmless(&entry.name());
        let done = if arguments.dry_run {
            repair::plan(entry, *named)
        } else {
            repair::repair(&machine, entry, *named)
        };
        let verb = if arguments.dry_run {
            "would remove"
        } else {
            "removed"
        };
        for object in &done.removed {
            lines.push(format!("{name}: {verb} {}", harmless(object)));
        }
        if let Some(left) = &done.left {
            lines.push(format!("{name}: {}", words(&machine, entry, *named, left)));
            if !matches!(left, Left::InUse) || entry.in_the_way || *named {
                code = IN_THE_WAY;
            }
        }
    }
    output::print(&lines.join("\n"))?;
    Ok(code)
}

/// Asks on a terminal; elsewhere `--yes` is needed.
fn agreed(yes: bool, planned: &[String]) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Said(
            "nobody can be asked here: repeat with --yes, or look with --dry-run".to_owned(),
        ));
    }
    let mut text = String::from("This will be removed:\n");
    for object in planned {
        text += &format!("  {}\n", harmless(object));
    }
    output::print(&text)?;
    print!("Go on? [y/N] ");
    let _ = io::stdout().flush();
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn words(machine: &Machine, entry: &Entry, named: bool, left: &Left) -> String {
    match left {
        Left::NeedsRoot if !named && !entry.certain => format!(
            "needs root, or its owner, and its name, since nothing tells for sure that it is Qt's: \
             sudo qshm repair {}",
            harmless(&entry.argument())
        ),
        Left::InUse => "in use, left alone".to_owned(),
        Left::NeedsRoot => "needs root, or its owner: try again with sudo".to_owned(),
        Left::IfNamed => format!(
            "left alone, since nothing tells for sure that it is Qt's: name it to remove it: {} \
             repair {}",
            machine.viewer.command(),
            harmless(&entry.argument())
        ),
        Left::Changed => "changed meanwhile, left alone".to_owned(),
        Left::Failed(errno) => format!("failed: {}", io::Error::from_raw_os_error(*errno)),
        Left::InDoubt(doubt) => format!("in doubt, left alone: {}", doubt_words(doubt)),
    }
}

fn doubt_words(doubt: &Doubt) -> &'static str {
    match doubt {
        Doubt::Held => "a process is inside its lock",
        Doubt::NoKeyFile => {
            "its key file is not to be seen, so it may not be Qt's; qshm explain KEY tells how to remove it"
        }
        Doubt::StrangeFile => "what stands in the place of its key file is none",
        Doubt::MayBeOpen => "somebody may have it open",
        Doubt::Hidden => "processes of others may have it; sudo qshm repair can tell",
        Doubt::Young => "it was made just now",
        Doubt::Keep => "QSHM_LEFTOVER=keep is set",
        Doubt::Elsewhere => {
            "a program in another IPC namespace, or outside of this container, may use it"
        }
    }
}
