//! Where key files may be: the temp directory of every process, the places aside in them, and
//! the runtime directories that keys of Qt 6.6 and later lead to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Viewer;
use crate::kernel::linux::survey;
use crate::kernel::survey::{FoundFile, Namespaces, ProcessRow, Variable};
use crate::kernel::{FileKind, Kernel as _, Linux};
use crate::key::{self, SEGMENT_PREFIX, SEMAPHORE_PREFIX};

/// What a directory is to Qt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DirectoryKind {
    /// A temp directory.
    Temp,
    /// Where objects of this user are that qshm had to put aside, in a temp directory.
    Aside(u32),
    /// A runtime directory, `$XDG_RUNTIME_DIR`.
    Runtime,
}

/// A directory that was looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its path.
    pub path: PathBuf,
    /// What it is.
    pub kind: DirectoryKind,
    /// Its device, which is part of every key that is made of a file in it.
    pub dev: u64,
}

/// How many temp directories are looked through: a machine with more has processes that make one
/// for each of their own runs.
const MANY: usize = 200;

/// The directories, each once.
pub(super) fn find(viewer: &Viewer, processes: &[ProcessRow], own: Namespaces) -> Vec<Directory> {
    let mut temp: BTreeSet<PathBuf> = [PathBuf::from("/tmp"), "/var/tmp".into(), key::temp_dir()]
        .into_iter()
        .collect();
    let mut runtime: BTreeSet<PathBuf> = BTreeSet::new();
    if let Some(directory) = std::env::var_os("XDG_RUNTIME_DIR") {
        runtime.insert(directory.into());
    }
    // Where Qt goes without the variable.
    for user in [viewer.identity.uid, viewer.euid] {
        runtime.insert(format!("/run/user/{user}").into());
    }
    let parts = |directory: &str| fs::read_dir(directory).into_iter().flatten().flatten();
    runtime.extend(parts("/run/user").map(|entry| entry.path()));
    for directory in temp.clone() {
        let directory = directory.to_string_lossy().into_owned();
        runtime.extend(parts(&directory).filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.starts_with("runtime-").then(|| entry.path())
        }));
    }
    // A path of another mount namespace may lead elsewhere there.
    let here = |process: &&ProcessRow| {
        process.namespaces.mount.is_none() || process.namespaces.mount == own.mount
    };
    for process in processes.iter().filter(here) {
        if let Variable::Is(path) = &process.tmpdir {
            temp.insert(path.clone());
        }
        if let Variable::Is(path) = &process.runtime_dir {
            runtime.insert(path.clone());
        }
        for file in process.files.iter().flatten() {
            let name = file.path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with("qipc_")) {
                temp.extend(temp_of(&file.path));
            }
        }
    }
    let mut found = BTreeSet::new();
    for path in temp.into_iter().filter_map(canonical).take(MANY) {
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if let Some(uid) = user_aside(&entry.file_name().to_string_lossy()) {
                found.insert((DirectoryKind::Aside(uid), entry.path()));
            }
        }
        found.insert((DirectoryKind::Temp, path));
    }
    let runtime = runtime.into_iter().filter_map(canonical).take(MANY);
    found.extend(runtime.map(|path| (DirectoryKind::Runtime, path)));
    found
        .into_iter()
        .filter_map(|(kind, path)| {
            let stat = Linux.lstat(&path).ok()?;
            (stat.kind == FileKind::Directory).then_some(Directory {
                path,
                kind,
                dev: stat.dev,
            })
        })
        .collect()
}

/// As Qt makes a temp directory canonical; `None`: it is none.
fn canonical(path: PathBuf) -> Option<PathBuf> {
    let path = path.is_absolute().then_some(path)?;
    fs::canonicalize(path).ok()
}

/// The temp directory of an open key file, which may be aside in it.
fn temp_of(file: &Path) -> Option<PathBuf> {
    let directory = file.parent()?;
    let name = directory.file_name().and_then(|name| name.to_str());
    match name.and_then(user_aside) {
        Some(_) => directory.parent().map(Path::to_owned),
        None => Some(directory.to_owned()),
    }
}

/// The user of a directory of this name, if it is a place aside.
fn user_aside(name: &str) -> Option<u32> {
    crate::identity::numeric_id(name.strip_prefix("qshm-")?)
}

/// The key files in them; of runtime directories every empty file, since keys of Qt 6.6 and later
/// lead to files of any name.
pub(super) fn key_files(directories: &[Directory]) -> Vec<FoundFile> {
    let mut files = Vec::new();
    for directory in directories {
        let found = survey::directory(&directory.path, |name| {
            directory.kind == DirectoryKind::Runtime || super::guess::is_key_file(name)
        });
        files.extend(found.into_iter().filter(|file| {
            directory.kind != DirectoryKind::Runtime
                || file.stat.kind == FileKind::Regular && file.stat.size == 0
        }));
    }
    files
}

/// Key files that were unlinked and that processes still have open.
pub(super) fn deleted_files(processes: &[ProcessRow]) -> Vec<FoundFile> {
    let mut files: Vec<FoundFile> = Vec::new();
    for open in processes
        .iter()
        .filter_map(|process| process.files.as_ref())
        .flatten()
    {
        let name = open.path.file_name().and_then(|name| name.to_str());
        let is_key_file = name.is_some_and(|name| {
            name.starts_with(SEGMENT_PREFIX) || name.starts_with(SEMAPHORE_PREFIX)
        });
        let known = |file: &FoundFile| file.stat.same_file(&open.stat);
        if open.deleted && is_key_file && !files.iter().any(known) {
            files.push(FoundFile {
                path: open.path.clone(),
                stat: open.stat,
                modified: 0,
                deleted: true,
            });
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_aside_belongs_to_its_temp_directory() {
        for (file, temp) in [
            ("/tmp/qipc_sharedmemory_x", "/tmp"),
            ("/tmp/qshm-1000/qipc_sharedmemory_x", "/tmp"),
            ("/tmp/qshm-x/qipc_sharedmemory_x", "/tmp/qshm-x"),
        ] {
            assert_eq!(temp_of(Path::new(file)).as_deref(), Some(Path::new(temp)));
        }
    }

    #[test]
    fn tmp_is_always_looked_through() {
        let found = find(&Viewer::current(), &[], Namespaces::default());
        let is_tmp = |directory: &Directory| {
            directory.kind == DirectoryKind::Temp && directory.path == Path::new("/tmp")
        };
        assert!(found.iter().any(is_tmp), "{found:?}");
    }
}
