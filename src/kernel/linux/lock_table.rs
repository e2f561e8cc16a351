//! `/proc/locks`: every file lock on the machine, see proc(5).
//!
//! ```text
//! 5: OFDLCK ADVISORY  WRITE -1 00:1f:1234 4611686018427387904 4611686018427387904
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use super::super::Range;
use super::super::range_locks::HeldRange;

/// How often a table is read that does not come in one piece.
const READS: usize = 5;

/// After how long it is not read again, if it was read so often.
const LONGEST: Duration = Duration::from_secs(2);
const ENOUGH: usize = 3;

/// In how many pieces it may come: some ten thousand locks, which take a second or two.
const MOST: usize = 1024;

/// The exclusive locks of open file descriptions that lie within a range.
///
/// The kernel hands the table out in pieces of a page, and between two of them it goes on by
/// counting: a lock that is freed meanwhile makes it pass over another one. So a table of more
/// than one piece is read until it is the same twice, and what any reading shows counts.
///
/// # Errors
/// `ETIME`: it is too long. Anybody can make it so, and each piece takes longer than the one before.
pub fn read(within: Range) -> io::Result<Vec<HeldRange>> {
    let mut all = BTreeSet::new();
    let mut before = None;
    let begin = Instant::now();
    for reading in 1..=READS {
        let (table, pieces) = read_once()?;
        all.extend(held(&table, within));
        let long = reading >= ENOUGH && begin.elapsed() > LONGEST;
        if pieces < 2 || before.as_ref() == Some(&table) || long {
            break;
        }
        before = Some(table);
    }
    Ok(all.into_iter().collect())
}

/// The table, and in how many pieces it came.
fn read_once() -> io::Result<(Vec<u8>, usize)> {
    let mut file = File::open("/proc/locks")?;
    let (mut table, mut pieces) = (Vec::new(), 0);
    let mut piece = vec![0; 8192];
    loop {
        if pieces == MOST {
            return Err(io::Error::from_raw_os_error(libc::ETIME));
        }
        match file.read(&mut piece) {
            Ok(0) => return Ok((table, pieces)),
            Ok(length) => {
                table.extend_from_slice(piece.get(..length).unwrap_or_default());
                pieces += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a table says of a range.
fn held(table: &[u8], within: Range) -> Vec<HeldRange> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(held_range)
        .filter(|held| held.range.start >= within.start && held.range.end() <= within.end())
        .collect()
}

/// What one line says; `None` for other kinds of lock, and for who waits for one (`->`).
fn held_range(line: &[u8]) -> Option<HeldRange> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace().skip(1);
    if words.next()? != "OFDLCK" || words.next()? != "ADVISORY" || words.next()? != "WRITE" {
        return None;
    }
    let mut file = words.nth(1)?.splitn(3, ':');
    let major = u64::from_str_radix(file.next()?, 16).ok()?;
    let minor = u64::from_str_radix(file.next()?, 16).ok()?;
    let ino = file.next()?.parse().ok()?;
    let start: u64 = words.next()?.parse().ok()?;
    // "EOF" is a lock to the end of everything: none of ours.
    let last: u64 = words.next()?.parse().ok()?;
    Some(HeldRange {
        dev: libc::makedev(u32::try_from(major).ok()?, u32::try_from(minor).ok()?),
        ino,
        range: Range {
            start,
            length: last.checked_sub(start)?.checked_add(1)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_description_locks_within_the_range_count() {
        let table = b"1: FLOCK  ADVISORY  WRITE 11234 fe:00:10076360 0 EOF\n\
            2: OFDLCK ADVISORY  WRITE -1 00:1f:7 4096 4097\n\
            2: -> OFDLCK ADVISORY  WRITE -1 00:1f:7 4096 4096\n\
            3: POSIX  ADVISORY  WRITE 5 00:1f:7 4096 4096\n\
            4: OFDLCK ADVISORY  READ -1 00:1f:7 4096 4096\n\
            5: OFDLCK ADVISORY  WRITE -1 00:1f:8 4200 4200\n\
            6: OFDLCK ADVISORY  WRITE -1 00:1f:8 0 EOF\n\
            7: OFDLCK ADVISORY  WRITE -1 zz:1f:8 4096 4096\n\
            8: OFDLCK \xff\n9: OFDLCK ADVISORY\n";
        let expected = HeldRange {
            dev: libc::makedev(0, 0x1f),
            ino: 7,
            range: Range::new(4096, 2),
        };
        assert_eq!(held(table, Range::new(4096, 64)), [expected]);
        assert_eq!(held(table, Range::new(4096, 1)), []);
        assert_eq!(held(table, Range::new(4096, 200)).len(), 2);
    }
}
