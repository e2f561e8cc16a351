//! `RangeLocks` of a simulated process.

use std::path::Path;

use qshm::kernel::{Errno, Fd, HeldRange, MappedBy, MappedFile, OpenDirect, Range, RangeLocks};

use super::SimProcess;
use crate::model::call::{Call, Value};
use crate::model::range_call::RangeCall;

impl SimProcess {
    fn ask_range(&self, call: RangeCall) -> Result<Value, Errno> {
        self.ask(&Call::Range(call))
    }

    /// A directory is gone, with all that is in it.
    pub fn vanishes(&self, path: &str) {
        let _ = self.ask(&Call::Vanish(Path::new(path).into()));
    }

    /// Root changes a directory's mode.
    pub fn has_mode(&self, path: &str, mode: u32) {
        let _ = self.ask(&Call::Chmod(Path::new(path).into(), mode));
    }

    fn range_number(&self, call: RangeCall) -> Result<i64, Errno> {
        match self.ask_range(call)? {
            Value::Number(number) => Ok(number),
            other => panic!("not a number: {other:?}"),
        }
    }
}

impl RangeLocks for SimProcess {
    fn open_direct(&self, path: &Path, how: OpenDirect) -> Result<Fd, Errno> {
        let fd = self.range_number(RangeCall::Open(path.into(), how))?;
        Ok(Fd::try_from(fd).unwrap())
    }

    fn version(&self, directory: &Path) -> Result<[u64; 3], Errno> {
        match self.ask_range(RangeCall::Version(directory.into()))? {
            Value::Number(number) => Ok([1, number as u64, 0]),
            other => panic!("version answered {other:?}"),
        }
    }

    fn held_ranges(&self, range: Range) -> Result<Vec<HeldRange>, Errno> {
        match self.ask_range(RangeCall::Held(range))? {
            Value::Ranges(held) => Ok(held.to_vec()),
            other => panic!("held_ranges answered {other:?}"),
        }
    }

    fn mapped(&self, files: &[MappedFile], by: MappedBy) -> Result<Vec<(u64, u64)>, Errno> {
        let files = files.iter().map(|file| (file.dev, file.ino)).collect();
        match self.ask_range(RangeCall::Mapped(files, by))? {
            Value::List(inodes) => Ok(inodes.iter().map(|ino| (1, *ino as u64)).collect()),
            other => panic!("mapped answered {other:?}"),
        }
    }

    fn keep(&self, fd: Fd) -> Result<usize, Errno> {
        let address = self.range_number(RangeCall::Keep(fd))?;
        Ok(usize::try_from(address).unwrap())
    }

    fn let_go(&self, address: usize) {
        let _ = self.ask_range(RangeCall::LetGo(address));
    }

    fn read_at(&self, fd: Fd, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        match self.ask_range(RangeCall::ReadAt(fd, offset, length))? {
            Value::Bytes(bytes) => Ok(bytes.to_vec()),
            other => panic!("read_at answered {other:?}"),
        }
    }

    fn write_at(&self, fd: Fd, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.ask_range(RangeCall::WriteAt(fd, offset, bytes.into()))
            .map(drop)
    }
}
