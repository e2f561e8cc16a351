//! Who holds a flock(2), see proc(5), `/proc/locks`.

use std::fs;

use nix::sys::stat::makedev;

use super::super::{FileStat, LockRow, Process};
use super::process;

/// `1: FLOCK  ADVISORY  WRITE 9126 fe:00:5431299 0 EOF`; those who wait have an arrow behind the
/// number.
fn lock(line: &str) -> Option<LockRow> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, "FLOCK", _, how, pid, file, ..] = fields[..] else {
        return None;
    };
    let mut parts = file.split(':');
    let major = u64::from_str_radix(parts.next()?, 16).ok()?;
    let minor = u64::from_str_radix(parts.next()?, 16).ok()?;
    Some(LockRow {
        pid: pid.parse().ok()?,
        exclusive: how == "WRITE",
        dev: makedev(major, minor),
        ino: parts.next()?.parse().ok()?,
    })
}

/// All of them.
pub fn all() -> Vec<LockRow> {
    let table = fs::read_to_string("/proc/locks").unwrap_or_default();
    table.lines().filter_map(lock).collect()
}

/// The processes that hold the exclusive one of a file.
pub fn holders(file: &FileStat) -> Vec<Process> {
    let of_file = |lock: &LockRow| lock.exclusive && (lock.dev, lock.ino) == (file.dev, file.ino);
    let locks = all().into_iter().filter(of_file);
    locks.filter_map(|lock| process::of(lock.pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_of_files_are_read_and_others_are_not() {
        let row = lock("1: FLOCK  ADVISORY  WRITE 9126 fe:01:5431299 0 EOF");
        let expected = LockRow {
            pid: 9126,
            exclusive: true,
            dev: makedev(0xfe, 1),
            ino: 5_431_299,
        };
        assert_eq!(row, Some(expected));
        for line in [
            "1: -> FLOCK  ADVISORY  WRITE 9126 fe:01:5431299 0 EOF",
            "2: POSIX  ADVISORY  READ 12 00:19:1 128 128",
            "",
        ] {
            assert_eq!(lock(line), None, "{line}");
        }
    }
}
