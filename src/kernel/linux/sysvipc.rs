//! The tables of System V objects of this IPC namespace, see proc(5), `/proc/sysvipc`.

use std::fs;

use super::super::{IpcId, IpcPerm, SegmentRow, SemaphoreRow, ShmStat};
use super::system_v;

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

fn segment_of(line: &str) -> Option<SegmentRow> {
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

fn semaphore_of(line: &str) -> Option<SemaphoreRow> {
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

/// The rows of a table, without its heading.
fn rows<T>(name: &str, row: fn(&str) -> Option<T>) -> Vec<T> {
    let table = fs::read_to_string(format!("/proc/sysvipc/{name}")).unwrap_or_default();
    table.lines().skip(1).filter_map(row).collect()
}

/// All segments.
pub fn segments() -> Vec<SegmentRow> {
    rows("shm", segment_of)
}

/// All semaphore sets.
#[cfg(feature = "machine")]
pub fn semaphores() -> Vec<SemaphoreRow> {
    let mut rows = rows("sem", semaphore_of);
    rows.iter_mut().for_each(add_state);
    rows
}

/// The segment with this id.
pub fn segment(id: IpcId) -> Option<SegmentRow> {
    segments().into_iter().find(|row| row.id == id)
}

/// The semaphore set with this id.
pub fn semaphore(id: IpcId) -> Option<SemaphoreRow> {
    let mut found = rows("sem", semaphore_of)
        .into_iter()
        .find(|row| row.id == id)?;
    add_state(&mut found);
    Some(found)
}

/// What the table does not have, where it may be read.
fn add_state(row: &mut SemaphoreRow) {
    row.value = system_v::sem_get(row.id, libc::GETVAL).ok();
    row.last_pid = system_v::sem_get(row.id, libc::GETPID).ok();
    row.waiting = system_v::sem_get(row.id, libc::GETNCNT).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_each_table_is_read() {
        let row = segment_of(
            "1358955904          3  1600                     4    17    23      0     0     0     0     5 1700000001 1700000002 1700000003 4096 0",
        )
        .unwrap_or_else(|| unreachable!());
        assert_eq!((row.key, row.id, row.stat.size), (1_358_955_904, 3, 4));
        assert_eq!(row.stat.perm.mode, 0o600);
        assert!(row.stat.removed);
        assert_eq!((row.stat.perm.cuid, row.stat.perm.cgid), (0, 5));
        assert_eq!((row.stat.creator_pid, row.stat.last_pid), (17, 23));
        assert_eq!(row.stat.changed, 1_700_000_003);
        assert_eq!(segment_of("-1 x"), None);
        let row = semaphore_of("  -5    2   666          1     1     2     3     4 0 1700000003");
        let row = row.unwrap_or_else(|| unreachable!());
        assert_eq!((row.key, row.id, row.count), (-5, 2, 1));
        assert_eq!(
            (row.perm.cgid, row.used, row.changed),
            (4, 0, 1_700_000_003)
        );
    }
}
