//! What besides the objects of a key decides whether it can be used: limits, namespaces, temp
//! directories, and who called root.

use std::path::{Path, PathBuf};

use super::{Hindrance, Told, advice};
use crate::diagnosis::machine::{DirectoryKind, Machine, process};
use crate::diagnosis::sentences;
use crate::diagnosis::words::{quoted, user, who};
use crate::kernel::linux::survey;
use crate::kernel::survey::{ProcessRow, Variable};
use crate::kernel::{Kernel as _, Linux};
use crate::key::{self, Key};

/// Tells them. `found`: there are objects of the key.
pub(super) fn tell(machine: &Machine, key: &str, found: bool, told: &mut Told) {
    tell_key(key, told);
    tell_limits(machine, found, told);
    tell_stopped(machine, key, told);
    tell_unusable_directory(machine, key, told);
    tell_temp_directories(machine, key, told);
    tell_namespaces(machine, key, told);
}

/// Keys that lead nowhere.
fn tell_key(key: &str, told: &mut Told) {
    let names = Key::new(key.as_bytes(), Path::new("/"));
    if names.is_empty() {
        told.say("An empty key leads nowhere: Qt says KeyError.");
        told.hinder(Hindrance::Barred);
    } else if !key.contains('/') && key::name_too_long(&names.segment_file()) {
        told.say(
            "The key has so many letters that the name of its key file is longer than a file name \
             can be (255 bytes): Qt says KeyError.",
        );
        told.hinder(Hindrance::Barred);
    }
}

/// A limit that is reached keeps everybody from making a new segment or semaphore.
fn tell_limits(machine: &Machine, found: bool, told: &mut Told) {
    let limits = &machine.limits;
    let pages = |bytes: u64| bytes.div_ceil(limits.page_size.max(1));
    let segments = machine.segments.len() as u64;
    let semaphores = machine.semaphores.len() as u64;
    let used_pages: u64 = machine
        .segments
        .iter()
        .map(|row| pages(row.stat.size as u64))
        .sum();
    let all_semaphores: u64 = machine.semaphores.iter().map(|row| row.count).sum();
    let mut reached = |used: u64, limit: Option<u64>, what: &str, name: &str, setting: &str| {
        let Some(limit) = limit.filter(|limit| used >= *limit) else {
            return;
        };
        told.say(format!(
            "The limit of {what} is reached: {used} of {limit} ({name}). Nobody can make another, \
             and create() fails with OutOfResources."
        ));
        told.advise(format!(
            "see who made them: ipcs -a; or raise the limit: sudo sysctl {setting}"
        ));
        if !found {
            told.hinder(Hindrance::Barred);
        }
    };
    reached(
        segments,
        limits.segments,
        "segments",
        "SHMMNI",
        "kernel.shmmni=…",
    );
    reached(
        semaphores,
        limits.semaphores,
        "semaphore sets",
        "SEMMNI",
        "kernel.sem=…",
    );
    reached(
        all_semaphores,
        limits.all_semaphores,
        "semaphores",
        "SEMMNS",
        "kernel.sem=…",
    );
    reached(
        used_pages,
        limits.pages,
        "pages of shared memory",
        "SHMALL",
        "kernel.shmall=…",
    );
}

/// Who stopped in the middle of create, attach or detach keeps the others out.
fn tell_stopped(machine: &Machine, key: &str, told: &mut Told) {
    let files = machine.files_of(key).chain(machine.posix_files_of(key));
    for file in files {
        if let Some(row) = machine.stopped_in_lifecycle(file) {
            let stopped = process(row);
            told.say(sentences::keeps_out(&stopped, &file.path) + ".");
            told.advise(advice::go_on(machine, &stopped));
            told.hinder(Hindrance::KeepsOut);
        }
    }
}

/// Where no key file is nor can be made, there is nothing to be had.
fn tell_unusable_directory(machine: &Machine, key: &str, told: &mut Told) {
    let Some((directory, names)) = Machine::place_of(key) else {
        return;
    };
    let there = |name: &PathBuf| Linux.lstat(name).is_ok();
    let look = || {
        if names.iter().all(there) {
            return Ok(());
        }
        survey::may_make_files(&directory)
    };
    let invoker = machine.viewer.identity;
    let looked = if invoker.uid == machine.viewer.euid {
        look()
    } else {
        Linux
            .as_user(invoker.uid, invoker.gid, look)
            .and_then(|looked| looked)
    };
    if let Err(errno) = looked {
        told.say(format!(
            "{} can't make a key file in {}: {}. create() and attach() fail (\"unable to set key on \
             lock\").",
            user(invoker.uid),
            directory.display(),
            errno.desc()
        ));
        told.hinder(Hindrance::Barred);
    }
}

/// The key is a file in the temp directory: where that differs, so does the segment.
fn tell_temp_directories(machine: &Machine, key: &str, told: &mut Told) {
    let own = key::temp_dir();
    let mut elsewhere: Vec<String> = Vec::new();
    for file in machine.files_of(key).filter(|file| !file.deleted) {
        let directory = file.path.parent().unwrap_or(Path::new("/"));
        let known = machine
            .directories
            .iter()
            .find(|known| known.path == directory);
        let temp = known.is_some_and(|known| known.kind == DirectoryKind::Temp);
        let name = directory.display().to_string();
        if temp && directory != own && !elsewhere.contains(&name) {
            elsewhere.push(name);
        }
    }
    let invoker = machine.viewer.identity;
    let by_sudo = machine.viewer.is_root() && invoker.acting_as_root;
    if !elsewhere.is_empty() {
        told.say(format!(
            "Key files of it are in {}; the temp directory here is {}. Programs with different \
             temp directories (TMPDIR) do not share{}.",
            elsewhere.join(" and "),
            own.display(),
            if by_sudo {
                ", and sudo does not pass TMPDIR on"
            } else {
                ""
            }
        ));
    }
    if by_sudo {
        let mut theirs = machine
            .processes
            .iter()
            .filter(|row| row.uid == invoker.uid)
            .filter(|row| row.namespaces.mount == machine.namespaces.mount);
        let other = theirs.find_map(|row| match &row.tmpdir {
            Variable::Is(path)
                if *path != own && !elsewhere.contains(&path.display().to_string()) =>
            {
                Some(path)
            }
            _ => None,
        });
        if let Some(path) = other {
            told.say(format!(
                "{}'s programs have TMPDIR={}, and here it is {}: sudo does not pass it on, so \
                 that the two do not share.",
                user(invoker.uid),
                path.display(),
                own.display()
            ));
            told.advise(format!("sudo TMPDIR={} PROGRAM", quoted(path)));
        }
    }
}

/// A program that uses this very key, but in a world of its own: its System V objects are in
/// another IPC namespace, or its temp directory in another mount namespace.
fn tell_namespaces(machine: &Machine, key: &str, told: &mut Told) {
    let differs = |theirs: Option<u64>, ours: Option<u64>| theirs.is_some() && theirs != ours;
    let own = machine.namespaces;
    for row in &machine.processes {
        let Some(mappings) = &row.mappings else {
            continue;
        };
        let attached = || {
            mappings
                .segments
                .iter()
                .any(|(_, of)| machine.is_key_of(key, *of))
        };
        if differs(row.namespaces.ipc, own.ipc) && attached() {
            told.say(format!(
                "{} uses this very key in another IPC namespace (a container, for example): what \
                 it has there can't be seen or shared from here.",
                name(row)
            ));
        } else if differs(row.namespaces.mount, own.mount) && !mappings.qt.is_empty() {
            if let Some(path) = machine.own_key_file(row, key) {
                told.say(format!(
                    "{} is in another mount namespace (Flatpak, Snap, a container, or a service \
                     with PrivateTmp) and has a {} of its own: the two do not share.",
                    name(row),
                    path.display()
                ));
            }
        }
    }
}

fn name(row: &ProcessRow) -> String {
    who(&[process(row)])
}
