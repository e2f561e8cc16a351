//! Every process, and what of it touches Qt's objects.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::super::process::{mapped, status};
use super::files::follow;
use crate::kernel::survey::{Mappings, Namespaces, OpenFile, ProcessRow, Variable};
use crate::key::{SEGMENT_PREFIX, SEMAPHORE_PREFIX};

const SHARED_FILES: &str = "/dev/shm/";

/// All processes that `/proc` shows, but the caller.
pub fn processes() -> Vec<ProcessRow> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = std::process::id();
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            (pid as u32 != own).then(|| process(pid, &entry.path()))?
        })
        .collect()
}

/// The caller's own namespaces.
pub fn own_namespaces() -> Namespaces {
    namespaces(Path::new("/proc/thread-self"))
}

/// `None`: it has ended.
fn process(pid: i32, directory: &Path) -> Option<ProcessRow> {
    let process = status(pid, directory)?;
    let environment = fs::read(directory.join("environ")).ok();
    let variable = |name: &str| variable(environment.as_deref(), name);
    Some(ProcessRow {
        pid,
        uid: process.uid,
        program: process.program,
        stopped: process.stopped,
        tmpdir: variable("TMPDIR"),
        runtime_dir: variable("XDG_RUNTIME_DIR"),
        namespaces: namespaces(directory),
        mappings: fs::read(directory.join("maps"))
            .ok()
            .map(|maps| mappings(&maps)),
        files: open_files(&directory.join("fd")),
    })
}

fn namespaces(directory: &Path) -> Namespaces {
    let number = |name: &str| {
        let file = directory.join("ns").join(name);
        fs::metadata(file).ok().map(|data| data.ino())
    };
    Namespaces {
        ipc: number("ipc"),
        mount: number("mnt"),
        pid: number("pid"),
    }
}

/// A variable of an environment as `/proc/PID/environ` has it. That one is empty while the kernel
/// starts the program, and of a kernel's own thread.
fn variable(environment: Option<&[u8]>, name: &str) -> Variable {
    let Some(environment) = environment else {
        return Variable::Hidden;
    };
    let value = environment.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=")
    });
    match value {
        Some(value) if !value.is_empty() => Variable::Is(PathBuf::from(OsStr::from_bytes(value))),
        _ => Variable::Unset,
    }
}

/// What of `/proc/PID/maps` matters.
fn mappings(maps: &[u8]) -> Mappings {
    let mut found = Mappings::default();
    for line in maps.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let Some(file) = mapped(&line) else { continue };
        if let Some(key) = file.segment_key() {
            found.segments.push((file.ino as i32, key));
        } else if file.path.starts_with(SHARED_FILES) {
            found.shared_files.push((file.dev, file.ino));
        } else if let Some(name) = qt_library(file.path) {
            if !found.qt.contains(&name) {
                found.qt.push(name);
            }
        }
    }
    found.segments.dedup();
    found
}

/// The name of Qt's core library, also where a vendor put a namespace into it, and that of Qt 4.
fn qt_library(path: &str) -> Option<String> {
    let name = path.trim_end_matches(" (deleted)").rsplit('/').next()?;
    let rest = name.strip_prefix("libQt")?;
    let core =
        rest.get(1..).is_some_and(|rest| rest.starts_with("Core")) || rest.starts_with("Core");
    (core && name.contains(".so")).then(|| name.to_owned())
}

/// The descriptors that lead to key files and into `/dev/shm`.
fn open_files(directory: &Path) -> Option<Vec<OpenFile>> {
    let entries = fs::read_dir(directory).ok()?;
    let files = entries.flatten().filter_map(|entry| {
        let link = fs::read_link(entry.path()).ok()?;
        let bytes = link.as_os_str().as_bytes();
        let name = bytes.rsplit(|byte| *byte == b'/').next()?;
        let is_key_file = [SEGMENT_PREFIX, SEMAPHORE_PREFIX]
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes()));
        if !is_key_file && !bytes.starts_with(SHARED_FILES.as_bytes()) {
            return None;
        }
        let stat = follow(&entry.path())?;
        let path = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
        Some(OpenFile {
            path: PathBuf::from(OsStr::from_bytes(path)),
            deleted: stat.links == 0,
            stat,
        })
    });
    Some(files.collect())
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::makedev;

    use super::*;

    #[test]
    fn a_memory_map_tells_what_is_attached_and_which_qt() {
        let maps = b"\
7f2a50200000-7f2a502ba000 r--p 00000000 fe:00 10013200     /opt/a b/libQt6Core.so.6\n\
7f2a50e82000-7f2a50e83000 rw-s 00000000 00:2a 6            /dev/shm/sem.uO0L6J (deleted)\n\
7f2a50e83000-7f2a50e84000 rw-s 00000000 00:01 17           /SYSVf30001e4 (deleted)\n\
7f2a50e84000-7f2a50e85000 rw-p 00000000 00:00 0 \n\
7ffc1d9f0000-7ffc1da11000 rw-p 00000000 00:00 0            [stack]\n";
        let found = mappings(maps);
        assert_eq!(found.qt, ["libQt6Core.so.6"]);
        assert_eq!(found.shared_files, [(makedev(0, 0x2a), 6)]);
        assert_eq!(found.segments, [(17, 0xf300_01e4_u32 as i32)]);
    }

    #[test]
    fn only_qts_core_library_counts() {
        for (path, name) in [
            (
                "/usr/lib/libQt5Core.so.5.15.8",
                Some("libQt5Core.so.5.15.8"),
            ),
            (
                "/usr/lib/libQtCore.so.4.8.7 (deleted)",
                Some("libQtCore.so.4.8.7"),
            ),
            (
                "/opt/libQt5CoreKso.so.5.12.12",
                Some("libQt5CoreKso.so.5.12.12"),
            ),
            ("/usr/lib/libQt5Gui.so.5", None),
            ("/usr/lib/libQt5Core.prl", None),
            ("/usr/lib/libQt", None),
        ] {
            assert_eq!(qt_library(path).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn an_environment_has_a_variable_or_not() {
        let environment = b"A=1\0XTMPDIR=/no\0TMPDIR=/var/x\0".as_slice();
        assert_eq!(
            variable(Some(environment), "TMPDIR"),
            Variable::Is("/var/x".into())
        );
        assert_eq!(variable(Some(b"TMPDIR=\0"), "TMPDIR"), Variable::Unset);
        assert_eq!(variable(Some(b""), "TMPDIR"), Variable::Unset);
        assert_eq!(variable(None, "TMPDIR"), Variable::Hidden);
    }
}
