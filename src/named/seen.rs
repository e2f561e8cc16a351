//! What can be seen of a POSIX object by somebody who does not use it: for diagnosis, never for a
//! lock.

use std::path::Path;
use std::time::Duration;

use crate::kernel::{Fd, FileStat, Kernel, Wait};

use super::glance::Glance;
use super::lock::LAST_PID;
use super::look::ATTACHED;
use super::slots;
use super::word::{HeldBy, Word, image};

/// How long those who only look at a file too are waited for.
const PATIENCE: Duration = Duration::from_millis(20);

/// Who is inside a lock, as far as its semaphore says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inside {
    /// It names nobody: it is free, or a process with Qt alone has it, or the file may not be read.
    #[default]
    Unnamed,
    /// A process with qshm that lives.
    Alive,
    /// A process with qshm that died there. The next one with qshm gets in.
    Dead,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether any process of the machine has it open or mapped, one that `/proc` hides too;
    /// `None`: only its owner and root can tell.
    pub in_use: Option<bool>,
    /// Of a semaphore, its value, where it may be read.
    pub value: Option<i32>,
    /// Of a semaphore that qshm made, who took it last as a lock.
    pub last_pid: Option<i32>,
    /// Of a semaphore, who is inside.
    pub inside: Inside,
}

/// Looks at a file. `ask`: also whether anybody has it. Who opens it in that very moment may be
/// told to try again, and not every program does, so ask only of files that are Qt's.
pub(crate) fn look_at<K: Kernel>(kernel: &K, path: &Path, semaphore: bool, ask: bool) -> Seen {
    let Ok(glance) = Glance::at(kernel, path, false) else {
        return Seen::default();
    };
    let fd = glance.fd;
    let mut seen = Seen::default();
    if let Ok(stat) = kernel.fstat(fd) {
        if semaphore {
            look_into(kernel, fd, &stat, &mut seen);
        }
        if ask {
            seen.in_use = in_use(kernel, fd, path, semaphore);
        }
    }
    seen
}

/// By our own locks, which everybody may ask for who may read the file, and by the kernel's count.
fn in_use<K: Kernel>(kernel: &K, fd: Fd, path: &Path, semaphore: bool) -> Option<bool> {
    let bytes = if semaphore { slots::ALL } else { ATTACHED };
    if matches!(kernel.range_holder(fd, bytes), Ok(Some(_))) {
        return Some(true);
    }
    let alone = kernel.named_alone(fd, path, Wait::AtMost(PATIENCE));
    alone.ok().map(|alone| !alone)
}

/// Reads what a semaphore says; not through a mapping, since its file may be cut short meanwhile.
fn look_into<K: Kernel>(kernel: &K, fd: Fd, stat: &FileStat, seen: &mut Seen) {
    let length = image(0).len();
    let Ok(bytes) = kernel.read_start(fd, length) else {
        return;
    };
    let word = |at: usize| {
        let eight: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_ne_bytes(eight))
    };
    let (Some(first), Some(last)) = (word(0).map(Word), word(LAST_PID)) else {
        return;
    };
    seen.value = Some(first.value() as i32);
    if stat.size > length as u64 {
        seen.last_pid = Some(last as i32).filter(|pid| *pid > 0);
        seen.inside = match first.holder() {
            HeldBy::Unknown => Inside::Unnamed,
            HeldBy::Slot(slot) if slots::is_free(kernel, fd, slot) => Inside::Dead,
            HeldBy::Slot(_) => Inside::Alive,
        };
    }
}
