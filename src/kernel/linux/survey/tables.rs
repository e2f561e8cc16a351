//! The tables of System V objects and of file locks.

use std::fs;

use nix::sys::stat::makedev;

use super::super::system_v;
use crate::kernel::survey::{LockRow, SegmentRow, SemaphoreRow};
use crate::kernel::{IpcPerm, ShmStat};

/// A line's fields as numbers. The third column of both tables is octal.
fn numbers(line: &str) -> Vec<i64> {
    line.split_ascii_whitespace()
        .enumerate()
        .map_while(|(column, text)| {
            i64::from_str_radix(text, if column == 2 { 8 } else { 10 }).ok()
        })
        .collect()
}

fn perm(row: &[i64], uid_column: usize) -> Option<IpcPerm> {
    let at = |column: usize| row.get(column).map(|number| *number as u32);
    Some(IpcPerm {
        uid: at(uid_column)?,
        gid: at(uid_column + 1)?,
        cuid: at(uid_column + 2)?,
        cgid: at(uid_column + 3)?,
        mode: at(2)? & 0o777,
    })
}

fn segment(line: &str) -> Option<SegmentRow> {
    let row = numbers(line);
    let at = |column: usize| row.get(column).copied();
    Some(SegmentRow {
        key: at(0)? as i32,
        id: at(1)? as i32,
        stat: ShmStat {
            perm: perm(&row, 7)?,
            size: at(3)? as usize,
            creator_pid: at(4)? as i32,
            last_pid: at(5)? as i32,
            attached: at(6)? as u64,
            removed: at(2)? & 0o1000 != 0,
            changed: at(13)?,
        },
    })
}

fn semaphore(line: &str) -> Option<SemaphoreRow> {
    let row = numbers(line);
    let at = |column: usize| row.get(column).copied();
    let id = at(1)? as i32;
    Some(SemaphoreRow {
        key: at(0)? as i32,
        id,
        perm: perm(&row, 4)?,
        count: at(3)? as u64,
        used: at(8)?,
        changed: at(9)?,
        value: None,
        last_pid: None,
        waiting: None,
    })
}

/// All segments of this IPC namespace, see proc(5), `/proc/sysvipc/shm`.
pub fn segments() -> Vec<SegmentRow> {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    table.lines().skip(1).filter_map(segment).collect()
}

/// All semaphore sets of this IPC namespace.
pub fn semaphores() -> Vec<SemaphoreRow> {
    let table = fs::read_to_string("/proc/sysvipc/sem").unwrap_or_default();
    let mut rows: Vec<SemaphoreRow> = table.lines().skip(1).filter_map(semaphore).collect();
    for row in &mut rows {
        row.value = system_v::sem_get(row.id, libc::GETVAL).ok();
        row.last_pid = system_v::sem_get(row.id, libc::GETPID).ok();
        row.waiting = system_v::sem_get(row.id, libc::GETNCNT).ok();
    }
    rows
}

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

/// Who holds a flock(2), see proc(5), `/proc/locks`.
pub fn file_locks() -> Vec<LockRow> {
    let table = fs::read_to_string("/proc/locks").unwrap_or_default();
    table.lines().filter_map(lock).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_each_table_is_read() {
        let row = segment(
            "1358955904          3  1600                     4    17    23      0     0     0     0     5 1700000001 1700000002 1700000003 4096 0",
        )
        .unwrap_or_else(|| unreachable!());
        assert_eq!((row.key, row.id, row.stat.size), (1_358_955_904, 3, 4));
        assert_eq!(row.stat.perm.mode, 0o600);
        assert!(row.stat.removed);
        assert_eq!((row.stat.perm.cuid, row.stat.perm.cgid), (0, 5));
        assert_eq!((row.stat.creator_pid, row.stat.last_pid), (17, 23));
        assert_eq!(row.stat.changed, 1_700_000_003);
        assert_eq!(segment("-1 x"), None);
        let row = semaphore("  -5    2   666          1     1     2     3     4 0 1700000003");
        let row = row.unwrap_or_else(|| unreachable!());
        assert_eq!((row.key, row.id, row.count), (-5, 2, 1));
        assert_eq!(
            (row.perm.cgid, row.used, row.changed),
            (4, 0, 1_700_000_003)
        );
    }

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
