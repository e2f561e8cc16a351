//! What there is to say of each entry.

use super::Told;
use crate::diagnosis::machine::{
    Backend, Doubt, Entry, FileFound, Machine, Remedy, SegmentFound, SemaphoreFound, State,
    file_in_the_way,
};
use crate::diagnosis::words::{age, ownership, quoted, user, who};
use crate::kernel::FileKind;

/// Tells an entry.
pub(super) fn tell(machine: &Machine, key: &str, entry: &Entry, told: &mut Told) {
    let segment = entry.segment.as_ref();
    if let Some(segment) = segment {
        told.say(segment_sentence(machine, entry, segment));
    }
    if let Some(semaphore) = &entry.semaphore {
        told.say(semaphore_sentence(
            machine,
            entry,
            semaphore,
            segment.is_some(),
        ));
    }
    let holder = entry
        .semaphore
        .as_ref()
        .and_then(|found| found.holder.as_ref());
    told.stopped |= segment.is_some() && holder.is_some_and(|holder| holder.stopped);
    tell_files(machine, entry, told);
    if segment.is_some_and(|segment| segment.removed) {
        tell_removed(machine, told);
    }
    if entry.in_the_way {
        tell_in_the_way(machine, entry, told);
    }
    tell_remedy(machine, key, entry, told);
}

fn name_of_segment(segment: &SegmentFound) -> String {
    match (segment.key, segment.id, &segment.file) {
        (Some(key), Some(id), _) => format!("Segment {key:#010x} (shmid {id})"),
        (_, _, Some(file)) => format!("Segment {}", file.display()),
        _ => "The segment".to_owned(),
    }
}

fn name_of_semaphore(semaphore: &SemaphoreFound) -> String {
    match (semaphore.key, semaphore.id, &semaphore.file) {
        (Some(key), Some(id), _) => format!("Semaphore {key:#010x} (semid {id})"),
        (_, _, Some(file)) => format!("Semaphore {}", file.display()),
        _ => "The semaphore".to_owned(),
    }
}

fn segment_sentence(machine: &Machine, entry: &Entry, segment: &SegmentFound) -> String {
    let qt = entry.qt_sentence();
    let made = format!(
        "{}, {} {}, {}, made {} ago by Qt {qt}",
        name_of_segment(segment),
        segment.size,
        if segment.size == 1 { "byte" } else { "bytes" },
        ownership(Some(segment.perm)),
        age(machine.now - segment.changed),
    );
    let seen: Vec<_> = entry
        .users
        .seen
        .iter()
        .map(|(process, _)| process.clone())
        .collect();
    let hidden = match entry.users.hidden {
        0 => String::new(),
        1 if seen.is_empty() => "1 process that can't be seen from here".to_owned(),
        count if seen.is_empty() => format!("{count} processes that can't be seen from here"),
        count => format!(" and {count} more that can't be seen from here"),
    };
    match entry.state {
        State::Live => format!("{made}: in use by {}{hidden}.", who(&seen)),
        State::Unclear => format!("{made}: no process that can be seen from here has it."),
        _ => {
            let last = match segment.last_pid {
                Some(pid) if pid != 0 => {
                    format!(", left behind by a crash; pid {pid} used it last")
                }
                // Qt never removes a POSIX segment.
                _ if entry.backend == Backend::Posix => ", left behind by a crash, or by Qt, \
                    which never removes a POSIX segment"
                    .to_owned(),
                _ => ", left behind by a crash".to_owned(),
            };
            format!("{made}: no process is attached{last}.")
        }
    }
}

fn semaphore_sentence(
    machine: &Machine,
    entry: &Entry,
    semaphore: &SemaphoreFound,
    with_segment: bool,
) -> String {
    let mut text = format!(
        "{}, {}",
        name_of_semaphore(semaphore),
        ownership(Some(semaphore.perm))
    );
    if !with_segment {
        let age = age(machine.now - semaphore.changed);
        text += &format!(", made {age} ago by Qt {}", entry.qt_sentence());
    }
    text += if with_segment {
        ", is its lock"
    } else {
        ", stands without a segment: what a crash left of one, or a QSystemSemaphore"
    };
    if let Some(holder) = &semaphore.holder {
        let name = who(std::slice::from_ref(&holder.process));
        text += &if holder.stopped {
            format!(
                ". It is held by {name}, which is stopped, not dead: lock() and attach() wait \
                 until it goes on (create() of Qt alone resets the lock)"
            )
        } else {
            format!(". It is held by {name}")
        };
    } else if let (Some(0), false) = (semaphore.value, with_segment) {
        let user = semaphore.last_pid.map(|pid| {
            let mut rows = machine.processes.iter();
            rows.find(|row| row.pid == pid).map_or_else(
                || format!(", last used by pid {pid}, which is gone"),
                |row| format!(", last used by {} (pid {pid})", row.program),
            )
        });
        text += &format!(". Its value is 0{}", user.unwrap_or_default());
    } else if semaphore.value == Some(0) {
        text += match entry.backend {
            Backend::Posix => {
                ". It is taken; a POSIX lock whose holder died stays taken, and everybody waits"
            }
            Backend::SystemV => ". Its value is 0, and who brought it there is gone",
        };
    }
    text + "."
}

/// How to remove what stands in the place of a key file. A file of another name is somebody's: a
/// native key may be any.
fn advise_removal(machine: &Machine, file: &FileFound, told: &mut Told) {
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

fn tell_files(machine: &Machine, entry: &Entry, told: &mut Told) {
    for file in &entry.files {
        if let Some(words) = file_in_the_way(file) {
            let aside = "steps aside to a place of its own";
            told.say(if file.leads_nowhere {
                format!(
                    "A file is in the way: {words}, and it leads nowhere, so that with Qt alone \
                     create() and attach() fail. A program with qshm {aside}."
                )
            } else {
                format!(
                    "Where a key file belongs, {words}. Qt alone does not mind; a program with \
                     qshm {aside}."
                )
            });
            advise_removal(machine, file, told);
        }
    }
    let plain = |file: &&FileFound| file.fault.is_none();
    if entry.files.iter().any(|file| file.deleted) {
        told.say(
            "Its key file was deleted while processes use it: a program with Qt alone that starts \
             now makes another segment and is by itself. One with qshm finds this one.",
        );
    } else if entry.state == State::FileAlone {
        for file in entry.files.iter().filter(plain) {
            told.say(format!(
                "{}, belongs to {}, mode {:03o}, is a key file that leads to nothing.",
                file.path.display(),
                user(file.uid),
                file.mode
            ));
            if !machine.viewer.may_open(file) {
                told.say(format!(
                    "{} may not open it. Qt alone does not mind; a program with qshm steps aside \
                     to a place of its own.",
                    user(machine.viewer.identity.uid)
                ));
            }
        }
    } else if entry.files.is_empty() && entry.backend == Backend::SystemV {
        told.say(
            "Its key file is not in any temp directory that can be seen from here; only the first \
             byte of its key says that it may belong to this key. If the file is gone, programs \
             find the object again once a new key file gets the same number.",
        );
    }
}

fn tell_removed(machine: &Machine, told: &mut Told) {
    told.say(
        "It was removed while processes are attached: they go on with it, and who starts now makes \
         another one.",
    );
    if machine.remove_ipc == Some(true) {
        told.say(
            "systemd-logind does that when a user's last session ends (RemoveIPC=yes in \
             logind.conf); it may also have been ipcrm.",
        );
        told.advise("RemoveIPC=no in /etc/systemd/logind.conf, or a system user for services");
    }
}

fn tell_in_the_way(machine: &Machine, entry: &Entry, told: &mut Told) {
    let viewer = machine.viewer.identity.uid;
    let me = user(viewer);
    if entry.state == State::FileAlone {
        // Said with the file.
        return;
    }
    let aside = match entry.backend {
        Backend::SystemV => format!(
            "A program with qshm steps aside to a place of its own (qshm-{viewer} in the temp \
             directory) and starts"
        ),
        Backend::Posix => "A program with qshm steps aside to a place of its own and starts".into(),
    };
    if entry.is_guess() {
        told.say(format!(
            "{me} may not use it. Where its key file is, or a new one gets the same number (as ext4 \
             does at once), create() and attach() of Qt alone fail with PermissionDenied (\"unable \
             to set key on lock\"). {aside}."
        ));
        return;
    }
    let other = entry.owner().map_or_else(String::new, |(uid, _)| user(uid));
    if entry.state == State::Live {
        told.say(format!(
            "It is {other}'s live application, and {me} may not use its objects: with Qt alone \
             create() and attach() fail with PermissionDenied. {aside}."
        ));
    } else {
        let text = match entry.backend {
            Backend::SystemV => " (\"unable to set key on lock\")",
            Backend::Posix => "",
        };
        told.say(format!(
            "{me} may not use it: with Qt alone create() and attach() fail with PermissionDenied\
             {text} until it is removed or the machine restarted. {aside}."
        ));
    }
}

fn tell_remedy(machine: &Machine, key: &str, entry: &Entry, told: &mut Told) {
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
        told.advise(format!("{sudo}kill -CONT {}", holder.process.pid));
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

fn ids(entry: &Entry) -> String {
    let segment = entry.segment.as_ref().and_then(|segment| segment.id);
    let semaphore = entry.semaphore.as_ref().and_then(|semaphore| semaphore.id);
    let option =
        |name: &str, id: Option<i32>| id.map_or(String::new(), |id| format!(" {name} {id}"));
    option("-m", segment) + &option("-s", semaphore)
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
