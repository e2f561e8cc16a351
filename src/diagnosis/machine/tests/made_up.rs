//! Machines that are made up, and what is on them.

use std::path::{Path, PathBuf};

use super::super::*;
use crate::kernel::survey::{Mappings, Variable};
use crate::kernel::{FileKind, FileStat, IpcId, IpcPerm, ShmStat};
use crate::key::{self, Key};

pub const NOW: i64 = 1_800_000_000;
/// When everything was made.
pub const MADE: i64 = NOW - 86_400;
pub const DEVICE: u64 = 0x0803;
pub const ALICE: u32 = 1000;
pub const BOB: u32 = 1001;

pub fn viewer(uid: u32) -> Viewer {
    Viewer {
        identity: Identity {
            uid,
            gid: uid,
            acting_as_root: false,
        },
        euid: uid,
    }
}

/// A machine with nothing on it but `/tmp`.
pub fn machine(uid: u32) -> Machine {
    Machine {
        viewer: viewer(uid),
        now: NOW,
        segments: Vec::new(),
        semaphores: Vec::new(),
        directories: vec![Directory {
            path: PathBuf::from("/tmp"),
            kind: DirectoryKind::Temp,
            dev: DEVICE,
        }],
        files: Vec::new(),
        posix: Vec::new(),
        processes: Vec::new(),
        namespaces: Namespaces::default(),
        sees_everything: uid == 0,
        locks: Vec::new(),
        limits: Limits::default(),
        remove_ipc: None,
    }
}

pub fn perm(uid: u32, mode: u32) -> IpcPerm {
    IpcPerm {
        uid,
        gid: uid,
        cuid: uid,
        cgid: uid,
        mode,
    }
}

pub fn file(path: &Path, ino: u64, uid: u32) -> FoundFile {
    FoundFile {
        path: path.to_owned(),
        stat: FileStat {
            dev: DEVICE,
            ino,
            kind: FileKind::Regular,
            mode: 0o640,
            uid,
            gid: uid,
            links: 1,
            size: 0,
            born: Some(MADE),
        },
        modified: MADE,
        deleted: false,
    }
}

pub fn segment(key: IpcKey, id: IpcId, uid: u32, attached: u64) -> SegmentRow {
    SegmentRow {
        key,
        id,
        stat: ShmStat {
            perm: perm(uid, 0o600),
            size: 4,
            attached,
            creator_pid: i32::MAX,
            last_pid: i32::MAX,
            removed: false,
            changed: MADE,
        },
    }
}

pub fn semaphore(key: IpcKey, id: IpcId, uid: u32) -> SemaphoreRow {
    SemaphoreRow {
        key,
        id,
        perm: perm(uid, 0o600),
        count: 1,
        used: MADE,
        changed: MADE,
        value: Some(1),
        last_pid: Some(0),
        waiting: Some(0),
    }
}

pub fn process(pid: i32, uid: u32) -> ProcessRow {
    ProcessRow {
        pid,
        uid,
        program: format!("/bin/program{pid}"),
        stopped: false,
        tmpdir: Variable::Unset,
        runtime_dir: Variable::Unset,
        namespaces: Namespaces::default(),
        mappings: Some(Mappings::default()),
        files: Some(Vec::new()),
    }
}

/// A segment and a semaphore of a key, with key files, in `/tmp`.
pub fn add_pair(machine: &mut Machine, key: &str, uid: u32, attached: u64) {
    let key = Key::new(key.as_bytes(), Path::new("/tmp"));
    let number = 0x100 + 2 * machine.files.len() as u64;
    let files = [
        file(&key.segment_file(), number, uid),
        file(&key.semaphore_file(), number + 1, uid),
    ];
    let key_of = |file: &FoundFile| key::ftok(b'Q', file.stat.dev, file.stat.ino);
    let id = machine.segments.len() as i32;
    machine
        .segments
        .push(segment(key_of(&files[0]), id, uid, attached));
    machine
        .semaphores
        .push(semaphore(key_of(&files[1]), id, uid));
    machine.files.extend(files);
}

pub fn one(machine: &Machine) -> Entry {
    let mut entries = machine.entries();
    assert_eq!(entries.len(), 1, "{entries:#?}");
    entries.remove(0)
}
