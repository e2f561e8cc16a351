//! The calls of the trait `RangeLocks` as data.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{Fd, HeldRange, MappedBy, OpenDirect, Range};

use super::call::{Reply, Value};

/// One of them that other processes can notice, or that notices them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RangeCall {
    Open(Arc<Path>, OpenDirect),
    Held(Range),
    Mapped(Arc<[(u64, u64)]>, MappedBy),
    Version(Arc<Path>),
    Keep(Fd),
    LetGo(usize),
    ReadAt(Fd, u64, usize),
    WriteAt(Fd, u64, Arc<[u8]>),
}

impl RangeCall {
    /// As one line.
    pub fn to_line(&self) -> String {
        let range = |range: &Range| format!("{} {}", range.start, range.length);
        match self {
            Self::Open(path, OpenDirect::Read) => format!("open_read {}", path.display()),
            Self::Open(path, OpenDirect::Write) => format!("open_write {}", path.display()),
            Self::Held(of) => format!("held_ranges {}", range(of)),
            Self::Mapped(files, by) => {
                let file = |(dev, ino): &(u64, u64)| format!(" {dev} {ino}");
                let files: String = files.iter().map(file).collect();
                format!("mapped {}{files}", by.uid.map_or(-1, i64::from))
            }
            Self::Version(path) => format!("version {}", path.display()),
            Self::Keep(fd) => format!("keep {fd}"),
            Self::LetGo(address) => format!("let_go {address}"),
            Self::ReadAt(fd, offset, length) => format!("read_at {fd} {offset} {length}"),
            Self::WriteAt(fd, offset, bytes) => format!("write_at {fd} {offset} {}", hex(bytes)),
        }
    }

    /// From the words of a line; `None` if it is another call.
    pub fn from_words(words: &[&str]) -> Option<Self> {
        let path = || Arc::<Path>::from(Path::new(words[1]));
        let large = |index: usize| words[index].parse::<u64>().unwrap();
        let size = |index: usize| words[index].parse::<usize>().unwrap();
        let fd = || words[1].parse::<Fd>().unwrap();
        let range = |index: usize| Range::new(large(index), large(index + 1));
        Some(match words[0] {
            "open_read" => Self::Open(path(), OpenDirect::Read),
            "open_write" => Self::Open(path(), OpenDirect::Write),
            "held_ranges" => Self::Held(range(1)),
            "mapped" => {
                let files = (2..words.len()).step_by(2);
                let by = MappedBy {
                    uid: words[1].parse().ok(),
                    anywhere: None,
                };
                Self::Mapped(files.map(|at| (large(at), large(at + 1))).collect(), by)
            }
            "version" => Self::Version(path()),
            "keep" => Self::Keep(fd()),
            "let_go" => Self::LetGo(size(1)),
            "read_at" => Self::ReadAt(fd(), large(2), size(3)),
            "write_at" => Self::WriteAt(fd(), large(2), bytes(words.get(3)).into()),
            _ => return None,
        })
    }
}

/// An answer with locks, in an order that says nothing.
pub fn ranges(held: impl IntoIterator<Item = HeldRange>) -> Reply {
    let mut held: Vec<HeldRange> = held.into_iter().collect();
    held.sort_unstable();
    Ok(Value::Ranges(held.into()))
}

pub fn ranges_to_line(held: &[HeldRange]) -> String {
    let one = |held: &HeldRange| {
        let HeldRange { dev, ino, range } = held;
        format!(" {dev} {ino} {} {}", range.start, range.length)
    };
    format!("ranges{}", held.iter().map(one).collect::<String>())
}

pub fn ranges_from(words: &[&str]) -> Reply {
    let numbers: Vec<u64> = words.iter().map(|word| word.parse().unwrap()).collect();
    ranges(numbers.chunks(4).map(|of| HeldRange {
        dev: of[0],
        ino: of[1],
        range: Range::new(of[2], of[3]),
    }))
}

pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub fn bytes(hex: Option<&&str>) -> Vec<u8> {
    let digits = hex.map_or(&b""[..], |hex| hex.as_bytes());
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap() as u8;
    digits
        .chunks(2)
        .map(|two| digit(two[0]) << 4 | digit(two[1]))
        .collect()
}
