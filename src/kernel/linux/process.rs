//! Processes, and what they have, as `/proc` shows them: see proc(5).

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat, makedev};

use super::super::{Errno, FileStat, IpcId, Process};

/// The process of a directory of `/proc`; `None`: it has ended.
pub fn status(pid: i32, directory: &Path) -> Option<Process> {
    let status = fs::read(directory.join("status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| {
        status.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            (found == name).then(|| value.trim())
        })
    };
    // Real, effective, saved, for files.
    let uid = field("Uid")?
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()?;
    let program = match fs::read_link(directory.join("exe")) {
        Ok(path) => path.to_string_lossy().into_owned(),
        Err(_) => field("Name")?.to_owned(),
    };
    // `T (stopped)`, `t (tracing stop)`: stopped by a signal, or by a debugger.
    let stopped = field("State").is_some_and(|text| text.starts_with(['T', 't']));
    Some(Process {
        pid,
        uid,
        program,
        stopped,
    })
}

/// The process of this pid.
pub fn of(pid: i32) -> Option<Process> {
    let directory = format!("/proc/{pid}");
    status(pid, Path::new(&directory))
}

/// What a line of `/proc/PID/maps` says of a file.
pub struct Mapped<'a> {
    /// Its device.
    pub dev: u64,
    /// Its inode number.
    pub ino: u64,
    /// Its path, with ` (deleted)` behind it if it was unlinked.
    pub path: &'a str,
}

/// The file of a line: `…-… rw-s 00000000 00:2a 6   /dev/shm/sem.x (deleted)`.
pub fn mapped(line: &str) -> Option<Mapped<'_>> {
    let mut fields = line.split_ascii_whitespace();
    let (device, inode) = (fields.nth(3)?, fields.next()?);
    let (major, minor) = device.split_once(':')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapped {
        dev: makedev(number(major)?, number(minor)?),
        ino: inode.parse().ok()?,
        path: line.get(line.find('/')?..)?,
    })
}

impl Mapped<'_> {
    /// The key of a System V segment, whose id stands where other files have their inode number.
    pub fn segment_key(&self) -> Option<i32> {
        let key = self.path.strip_prefix("/SYSV")?;
        let digits = key.split(' ').next()?;
        u32::from_str_radix(digits, 16).ok().map(|key| key as i32)
    }
}

/// The processes of which `has` says so, given their directory in `/proc`.
fn those(has: impl Fn(&Path) -> bool) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let path = entry.path();
        has(&path).then(|| status(pid, &path))?
    });
    found.collect()
}

/// Whether a process maps a file of which `wanted` says so.
fn maps(process: &Path, wanted: impl Fn(&Mapped<'_>) -> bool) -> bool {
    // Names of mapped files are whatever bytes somebody gave them.
    let maps = fs::read(process.join("maps")).unwrap_or_default();
    let mut lines = maps.split(|byte| *byte == b'\n');
    lines.any(|line| mapped(&String::from_utf8_lossy(line)).is_some_and(|file| wanted(&file)))
}

/// The processes that are attached to a System V segment.
pub fn attached(id: IpcId) -> Vec<Process> {
    // In another namespace the id is that of another segment.
    let namespace = |process: &Path| fs::metadata(process.join("ns/ipc")).map(|data| data.ino());
    let own = namespace(Path::new("/proc/thread-self")).ok();
    let id = u64::try_from(id).unwrap_or(u64::MAX);
    those(|process| {
        maps(process, |file| {
            file.ino == id && file.segment_key().is_some()
        }) && namespace(process).ok() == own
    })
}

/// Whether a link in this directory of a process's descriptors leads to the file. By descriptor of
/// the directory: to look every path up from the root would take most of the time.
fn has_open(descriptors: &Path, file: &FileStat) -> Result<bool, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = Dir::open(descriptors, flags, Mode::empty())?;
    let names: Vec<CString> = directory
        .iter()
        .flatten()
        .map(|entry| entry.file_name().to_owned())
        .collect();
    let leads_there = |name: &CString| {
        let found = fstatat(&directory, name.as_c_str(), AtFlags::empty());
        found.is_ok_and(|found| (found.st_dev, found.st_ino) == (file.dev, file.ino))
    };
    Ok(names.iter().any(leads_there))
}

/// The processes that have a file open or mapped.
pub fn having(file: &FileStat) -> Vec<Process> {
    those(|process| {
        has_open(&process.join("fd"), file).unwrap_or(false)
            || maps(process, |mapped| {
                (mapped.dev, mapped.ino) == (file.dev, file.ino)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_memory_map_is_taken_apart() {
        let line = "7f2a50e83000-7f2a50e84000 rw-s 00000000 00:01 17    /SYSVf30001e4 (deleted)";
        let found = mapped(line);
        assert_eq!(found.as_ref().map(|file| file.ino), Some(17));
        let key = found.and_then(|file| file.segment_key());
        assert_eq!(key, Some(0xf300_01e4_u32 as i32));
        let line = "7f2a50e82000-7f2a50e83000 rw-s 00000000 00:2a 6   /dev/shm/a b (deleted)";
        let found = mapped(line).map(|file| (file.dev, file.path.to_owned()));
        let path = "/dev/shm/a b (deleted)".to_owned();
        assert_eq!(found, Some((makedev(0, 0x2a), path)));
        assert!(mapped("7f2a50e84000-7f2a50e85000 rw-p 00000000 00:00 0 ").is_none());
    }

    #[test]
    fn this_process_is_seen() {
        let pid = std::process::id() as i32;
        let own = of(pid).map(|process| (process.pid, process.stopped));
        assert_eq!(own, Some((pid, false)));
    }
}
