//! What is written into registry files: descriptions for people. Pure.
//!
//! Others may have written the bytes, or a crash may have cut them short. So a reader takes what
//! makes sense and shows the rest as missing: nothing here decides who holds a number.

use super::name::IN_FILE;

/// The bytes before the first record: with them, a number costs 128.
pub const HEADER: usize = 8 * IN_FILE as usize;

/// The bytes of a number's record.
pub const RECORD: usize = 120;

/// The bytes of a claim's record.
pub const CLAIM: usize = 128;

/// How a header begins.
const MAGIC: &[u8; 8] = b"qshm\0in\x01";

/// The parts of a header, a record and a claim.
const NAME_AT: usize = 50;

/// As much of a header as says whether its file is known.
pub const BEGINNING: usize = NAME_AT;
const PROGRAM_AT: usize = 24;
const RESOURCE_AT: usize = 16;

/// What stands at the beginning of a file of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The file that was found to be the only one with locks of this registry: device, inode number,
    /// and when it was made. Another one with the same bytes is a copy. Zeros: not found yet.
    pub settled: (u64, u64, u64),
    /// For those who are in the last place alone: what was there then in place of a better one.
    /// Zero: not known.
    pub instead: u64,
    /// Where the locks are, for names that do not fit.
    pub numbers: u64,
    /// The name, or its beginning.
    pub name: String,
}

impl Header {
    /// `None` if it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        Some(Self {
            settled: (number(bytes, 8), number(bytes, 16), number(bytes, 40)),
            numbers: number(bytes, 24),
            instead: number(bytes, 32),
            name: text(bytes, NAME_AT, short(bytes, 48), HEADER),
        })
    }

    /// As bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 8, &self.settled.0.to_le_bytes());
        put(&mut bytes, 16, &self.settled.1.to_le_bytes());
        put(&mut bytes, 24, &self.numbers.to_le_bytes());
        let name = beginning(&self.name, HEADER - NAME_AT);
        put(&mut bytes, 32, &self.instead.to_le_bytes());
        put(&mut bytes, 40, &self.settled.2.to_le_bytes());
        put(&mut bytes, 48, &(name.len() as u16).to_le_bytes());
        put(&mut bytes, NAME_AT, name.as_bytes());
        bytes
    }
}

/// Who holds a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub pid: i32,
    /// See [`crate::kernel::RangeLocks::pid_namespace`].
    pub pid_namespace: u32,
    pub uid: u32,
    /// Seconds since 1970.
    pub since: u64,
    /// The executable, or the end of its path.
    pub program: String,
}

impl Record {
    /// The offset of a number's record in its file.
    pub fn offset(number: u32) -> u64 {
        HEADER as u64 + u64::from(number % IN_FILE) * RECORD as u64
    }

    /// `None` where nobody has written, or nothing that makes sense.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let pid = number(bytes, 0) as u32 as i32;
        Some(Self {
            pid: (pid > 0).then_some(pid)?,
            uid: (number(bytes, 0) >> 32) as u32,
            since: number(bytes, 8),
            pid_namespace: number(bytes, 16) as u32,
            program: text(bytes, PROGRAM_AT, short(bytes, 20), RECORD),
        })
    }

    /// As bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; RECORD];
        put(&mut bytes, 0, &self.pid.to_le_bytes());
        put(&mut bytes, 4, &self.uid.to_le_bytes());
        put(&mut bytes, 8, &self.since.to_le_bytes());
        put(&mut bytes, 16, &self.pid_namespace.to_le_bytes());
        let program = end(&self.program, RECORD - PROGRAM_AT);
        put(&mut bytes, 20, &(program.len() as u16).to_le_bytes());
        put(&mut bytes, PROGRAM_AT, program.as_bytes());
        bytes
    }
}

/// The record of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRecord {
    /// Where its lock begins.
    pub position: u64,
    /// The resource, or the beginning of its name.
    pub resource: String,
}

impl ClaimRecord {
    /// The offset of a record. The file begins with a header, as the others do.
    pub fn offset(slot: u32) -> u64 {
        HEADER as u64 + u64::from(slot) * CLAIM as u64
    }

    /// `None` where nobody has written, or nothing that makes sense.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let position = number(bytes, 0);
        let possible = position != 0 && position.trailing_zeros() >= 16 && position < 1 << 62;
        Some(Self {
            position: possible.then_some(position)?,
            resource: text(bytes, RESOURCE_AT, short(bytes, 8), CLAIM),
        })
    }

    /// As bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; CLAIM];
        put(&mut bytes, 0, &self.position.to_le_bytes());
        let resource = beginning(&self.resource, CLAIM - RESOURCE_AT);
        put(&mut bytes, 8, &(resource.len() as u16).to_le_bytes());
        put(&mut bytes, RESOURCE_AT, resource.as_bytes());
        bytes
    }
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    let place = bytes.iter_mut().skip(at);
    place.zip(what).for_each(|(place, byte)| *place = *byte);
}

/// Eight bytes, with zeros where the file has ended.
fn number(bytes: &[u8], at: usize) -> u64 {
    let places = (0..8).map(|index| bytes.get(at + index).copied().unwrap_or(0));
    places.rev().fold(0, |all, byte| all << 8 | u64::from(byte))
}

fn short(bytes: &[u8], at: usize) -> usize {
    usize::from(number(bytes, at) as u16)
}

/// A text that other people's terminals can be shown.
fn text(bytes: &[u8], at: usize, length: usize, end: usize) -> String {
    let end = at.saturating_add(length).min(end).min(bytes.len());
    let bytes = bytes.get(at..end).unwrap_or_default();
    presentable(&String::from_utf8_lossy(bytes))
}

/// Without what moves a cursor, ends a line or turns the direction of writing.
pub fn presentable(text: &str) -> String {
    let harmless = |letter: char| {
        let turns = matches!(letter,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns {
            '\u{fffd}'
        } else {
            letter
        }
    };
    text.chars().map(harmless).collect()
}

/// As much of a text's beginning as fits.
fn beginning(text: &str, room: usize) -> &str {
    let fits = (0..=room.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    fits.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// As much of a text's end as fits: the last part of a path says the most.
fn end(text: &str, room: usize) -> &str {
    let from = text.len().saturating_sub(room);
    let fits = (from..=text.len()).find(|start| text.is_char_boundary(*start));
    fits.and_then(|start| text.get(start..)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(program: &str) -> Record {
        Record {
            pid: 4711,
            pid_namespace: 0xf000_0001,
            uid: 1000,
            since: 1_700_000_000,
            program: program.to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let header = Header {
            settled: (1 << 40, 7, 1_700_000_000),
            instead: u64::MAX - 1,
            numbers: 0x1234_0000,
            name: "org.example.Logic ä".to_owned(),
        };
        assert_eq!(Header::parse(&header.bytes()), Some(header));
        let record = record("/usr/bin/logic");
        assert_eq!(Record::parse(&record.bytes()), Some(record));
        let claim = ClaimRecord {
            position: 0x7_0000,
            resource: "/home/ann/work.db".to_owned(),
        };
        assert_eq!(ClaimRecord::parse(&claim.bytes()), Some(claim));
    }

    #[test]
    fn a_number_costs_128_bytes() {
        assert_eq!(Record::offset(63) + RECORD as u64, 64 * 128);
        assert_eq!(Record::offset(64), Record::offset(0));
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        let path = format!("/opt/{}/bin/logic", "ä".repeat(100));
        let read = Record::parse(&record(&path).bytes()).unwrap();
        assert!(read.program.ends_with("ä/bin/logic") && read.program.len() >= 95);
        let name = "ä".repeat(400);
        let header = Header {
            name: name.clone(),
            ..Header::default()
        };
        let read = Header::parse(&header.bytes()).unwrap();
        assert!(name.starts_with(&read.name) && read.name.len() >= 461);
    }

    #[test]
    fn nothing_is_read_from_nothing() {
        assert_eq!(Header::parse(&[]), None);
        assert_eq!(Record::parse(&[0; RECORD]), None);
        assert_eq!(ClaimRecord::parse(&[0; CLAIM]), None);
        assert_eq!(Record::parse(&[0xff; RECORD]), None);
        let cut = record("/usr/bin/logic").bytes()[..26].to_vec();
        assert_eq!(Record::parse(&cut).unwrap().program, "/u");
    }

    #[test]
    fn texts_do_nothing_to_a_terminal() {
        let read = Record::parse(&record("a\x1b[2J\nb\u{202e}c").bytes()).unwrap();
        assert_eq!(read.program, "a\u{fffd}[2J\u{fffd}b\u{fffd}c");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Record::parse(&bytes);
            let _ = Header::parse(&bytes);
            let mut with_magic = MAGIC.to_vec();
            with_magic.extend(&bytes);
            prop_assert!(Header::parse(&with_magic).is_some());
            let _ = ClaimRecord::parse(&bytes);
        }
    }
}
