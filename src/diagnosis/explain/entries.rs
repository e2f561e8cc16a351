//! What there is to say of each entry.

use super::{Hindrance, Told, advice};
use crate::diagnosis::machine::{
    Backend, DirectoryKind, Doubt, Entry, FileFound, Machine, Remedy, SegmentFound, SemaphoreFound,
    State,
};
use crate::diagnosis::sentences;
use crate::diagnosis::words::{ownership, strange_file, user};

/// Tells an entry.
pub(super) fn tell(machine: &Machine, key: &str, entry: &Entry, told: &mut Told) {
    let segment = entry.segment.as_ref();
    if let Some(segment) = segment {
        told.say(segment_sentence(machine, entry, segment));
    }
    if let Some(semaphore) = &entry.semaphore {
        told.say(semaphore_sentence(machine, entry, semaphore));
    }
    let holder = entry
        .semaphore
        .as_ref()
        .and_then(|found| found.holder.as_ref());
    if segment.is_some() && holder.is_some_and(|holder| holder.stopped) {
        told.hinder(Hindrance::Stopped);
    }
    tell_files(machine, entry, told);
    if segment.is_some_and(|segment| segment.removed) {
        tell_removed(machine, told);
    }
    if entry.in_the_way {
        tell_in_the_way(machine, entry, told);
    } else if entry.state == State::Leftover {
        tell_leftover(entry, told);
    }
    advice::tell(machine, key, entry, told);
}

/// With a capital, as a sentence begins.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}

fn segment_sentence(machine: &Machine, entry: &Entry, segment: &SegmentFound) -> String {
    let qt = entry.qt_sentence();
    let words = sentences::segment(segment, &entry.users, entry.state, machine.now, Some(&qt));
    format!("{}.", capital(&words))
}

fn semaphore_sentence(machine: &Machine, entry: &Entry, semaphore: &SemaphoreFound) -> String {
    let mut text = format!("{}, {}", semaphore.name(), ownership(semaphore.perm));
    if entry.segment.is_some() {
        text += ", is its lock";
        if let Some(inside) = sentences::inside(semaphore, entry.state) {
            text += &format!(", {inside}");
        }
        text += ".";
        if semaphore
            .holder
            .as_ref()
            .is_some_and(|holder| holder.stopped)
        {
            text += " lock() and attach() wait until it goes on (create() of Qt alone resets the \
                     lock).";
        }
        return capital(&text);
    }
    text += &sentences::made(semaphore.changed, machine.now, Some(&entry.qt_sentence()));
    text += ", stands without a segment: what a crash left of one, or a QSystemSemaphore";
    if entry.state == State::Live {
        text += &format!(", {}", sentences::users(&entry.users));
    }
    if semaphore.value == Some(0) {
        let user = semaphore.last_pid.map(|pid| {
            let mut rows = machine.processes.iter();
            rows.find(|row| row.pid == pid).map_or_else(
                || format!(", last used by pid {pid}, which is gone"),
                |row| format!(", last used by {} (pid {pid})", row.program),
            )
        });
        text += &format!(". Its value is 0{}", user.unwrap_or_default());
    }
    capital(&text) + "."
}

fn tell_files(machine: &Machine, entry: &Entry, told: &mut Told) {
    for file in &entry.files {
        if let Some(words) = strange_file(file) {
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
            advice::removal(machine, file, told);
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

/// What Qt alone makes of a leftover that the viewer may use.
fn tell_leftover(entry: &Entry, told: &mut Told) {
    let aside = matches!(entry.directory, Some((_, DirectoryKind::Aside(_))));
    if aside || entry.remedy == Remedy::InDoubt(Doubt::Keep) {
        // Only programs with qshm look there; and what is kept they keep too.
        return;
    }
    match entry.backend {
        Backend::Posix => {
            told.hinder(Hindrance::Stale);
            told.say(
                "With Qt alone create() says AlreadyExists, and attach() finds the old contents, \
                 as if a program still ran, until it is removed: what is to run only once does \
                 not start. A program with qshm makes a new one.",
            );
        }
        Backend::SystemV => told.say(
            "With Qt alone create() says AlreadyExists, until a program attaches and detaches. A \
             program with qshm makes a new one.",
        ),
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
