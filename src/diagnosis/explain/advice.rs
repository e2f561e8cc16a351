//! What to do about an entry.

use super::Told;
use crate::diagnosis::machine::{Doubt, Entry, FileFound, Machine, Remedy, State};
use crate::diagnosis::words::{self, quoted};
use crate::kernel::{FileKind, Process};

/// Says what can be done, and why not more.
pub(super) fn tell(machine: &Machine, key: &str, entry: &Entry, told: &mut Told) {
    let command = format!("qshm repair {}", quoted_key(key));
    let sudo = if machine.viewer.is_root() {
        ""
    } else {
        "sudo "
    };
    match &entry.remedy {
        Remedy::Remove | Remedy::IfNamed => told.advise(command),
        Remedy::NeedsRoot if entry.state == State::Unclear => {
            told.say("Who has it can only be seen as root.");
            told.advise(format!("sudo {command}"));
        }
        Remedy::NeedsRoot => told.advise(format!("sudo {command}")),
        Remedy::InUse => {
            if entry.in_the_way {
                told.advise("end that application, or run yours with qshm: qshm run -- PROGRAM");
            }
        }
        Remedy::InDoubt(doubt) => tell_doubt(machine, entry, doubt, sudo, &command, told),
    }
    let holder = entry
        .semaphore
        .as_ref()
        .and_then(|semaphore| semaphore.holder.as_ref());
    if let Some(holder) = holder.filter(|holder| holder.stopped) {
        told.advise(go_on(machine, holder));
    }
}

fn tell_doubt(
    machine: &Machine,
    entry: &Entry,
    doubt: &Doubt,
    sudo: &str,
    command: &str,
    told: &mut Told,
) {
    match doubt {
        // Said already.
        Doubt::Held | Doubt::StrangeFile => {}
        Doubt::Hidden => {
            let told_as = if machine.viewer.is_root() {
                "Processes of another PID namespace may have it: look from outside the container."
            } else {
                "Processes of other users may have it: only root can tell."
            };
            told.say(told_as);
            told.advise(format!("sudo {command}"));
        }
        Doubt::NoKeyFile => {
            told.advise(format!("if no program uses it: {sudo}ipcrm{}", ids(entry)));
        }
        Doubt::MayBeOpen => {
            told.say("A semaphore does not show who has it open, so qshm leaves it.");
            if entry.in_the_way {
                told.advise(format!("if no program uses it: {sudo}ipcrm{}", ids(entry)));
            }
        }
        Doubt::Young => told.say("It was made just now: somebody may be about to use it."),
        Doubt::Elsewhere => told.say(
            "A program in another IPC namespace (a container, for example) may have objects of the \
             same key file.",
        ),
        Doubt::Keep => told.say("QSHM_LEFTOVER=keep is set: it stays."),
    }
}

/// How to let a process go on that is stopped.
pub(super) fn go_on(machine: &Machine, stopped: &Process) -> String {
    let own = machine.viewer.is_root() || stopped.uid == machine.viewer.euid;
    let sudo = if own { "" } else { "sudo " };
    format!("{sudo}kill -CONT {}", stopped.pid)
}

/// Its ids as ipcrm(1) takes them.
fn ids(entry: &Entry) -> String {
    let segment = entry.segment.as_ref().and_then(|segment| segment.id);
    let semaphore = entry.semaphore.as_ref().and_then(|semaphore| semaphore.id);
    words::ids(segment, semaphore)
}

/// A key as a shell takes it.
fn quoted_key(key: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._-/:+@".contains(c);
    // Else it would be an option.
    let before = if key.starts_with('-') { "-- " } else { "" };
    if !key.is_empty() && key.chars().all(harmless) {
        format!("{before}{key}")
    } else if key.chars().any(char::is_control) {
        let escaped: String = key
            .chars()
            .map(|c| match c {
                '\\' | '\'' => format!("\\{c}"),
                c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
                c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            })
            .collect();
        format!("{before}$'{escaped}'")
    } else {
        format!("{before}'{}'", key.replace('\'', "'\\''"))
    }
}

/// How to remove what stands in the place of a key file. A file of another name is somebody's: a
/// native key may be any.
pub(super) fn removal(machine: &Machine, file: &FileFound, told: &mut Told) {
    let name = file.path.file_name().unwrap_or_default();
    if !name.as_encoded_bytes().starts_with(b"qipc_") {
        return;
    }
    let viewer = &machine.viewer;
    let own = viewer.is_root() || file.uid == viewer.euid;
    let sudo = if own { "" } else { "sudo " };
    let command = match file.kind {
        FileKind::Directory => "rm -r",
        _ => "rm",
    };
    let path = quoted(&file.path);
    told.advise(format!("if no program uses it: {sudo}{command} {path}"));
}

#[cfg(test)]
mod tests {
    use super::quoted_key;

    #[test]
    fn advice_can_be_pasted() {
        for (key, quoted) in [
            ("Logic", "Logic"),
            ("two words", "'two words'"),
            ("it's", "'it'\\''s'"),
            ("-n", "-- -n"),
            ("-a b", "-- '-a b'"),
            ("a\nb'\u{9b}", "$'a\\x0ab\\'\\u009b'"),
            ("", "''"),
        ] {
            assert_eq!(quoted_key(key), quoted);
        }
    }
}
