//! Qt's texts for what can go wrong, by Qt's rules for which function names itself.

mod since_66;

use crate::error::{Error, ErrorKind};
use crate::kernel::Errno;
use crate::trouble::{Step, Trouble};

use since_66::SHM_OPEN;
pub(crate) use since_66::{
    empty_semaphore_key_66, lock_key_failed_66, no_key_66, no_posix_segment, no_such_name_66,
    of_operation_66, of_posix_operation, of_segment_66, of_semaphore_66, of_semaphore_call,
    semaphore_name_too_long, unsupported_key_type,
};

/// The Qt call during which something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Attach,
}

impl Call {
    /// Qt's name of it.
    pub fn function(self) -> &'static str {
        match self {
            Call::Create => "QSharedMemory::create",
            Call::Attach => "QSharedMemory::attach",
        }
    }
}

/// `QSharedMemory` could not get at its lock: the text of the report.
pub(crate) fn lock_key_failed(kind: ErrorKind) -> Error {
    Error::new(
        kind,
        "%1: unable to set key on lock",
        "QSharedMemoryPrivate::initKey",
    )
}

/// `lock()` without a semaphore.
pub(crate) fn unable_to_lock(function: &'static str) -> Error {
    Error::new(ErrorKind::LockError, "%1: unable to lock", function)
}

/// `unlock()` of a semaphore that may not be changed any more.
pub(crate) fn unable_to_unlock() -> Error {
    Error::new(
        ErrorKind::LockError,
        "%1: unable to unlock",
        "QSharedMemory::unlock",
    )
}

/// Whether this is [`lock_key_failed`]: then there is no lock either.
pub(crate) fn is_of_lock_key(error: &Error) -> bool {
    error.function() == "QSharedMemoryPrivate::initKey"
}

/// `create()` with a size of zero or less; the spelling is Qt's.
pub(crate) fn invalid_size() -> Error {
    Error::new(
        ErrorKind::InvalidSize,
        "%1: create size is less then 0",
        "QSharedMemory::create",
    )
}

/// `create()` of a segment that is in use.
pub(crate) fn already_exists(posix: bool) -> Error {
    let function = if posix {
        SHM_OPEN
    } else {
        "QSharedMemory::create"
    };
    Error::new(ErrorKind::AlreadyExists, "%1: already exists", function)
}

/// A segment's call without any key.
pub(crate) fn no_key(call: Call) -> Error {
    let template = match call {
        Call::Create => "%1: unable to make key",
        Call::Attach => "%1: key is empty",
    };
    Error::new(ErrorKind::KeyError, template, "QSharedMemory::handle:")
}

/// How Qt finds that a segment is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// There is no key file.
    NoKeyFile,
    /// The same in Qt 6.6 and later.
    NoKeyFile66,
    /// There is a key file.
    NoSegment,
    /// No file can have the key file's name, in Qt 6.6 and later.
    NoSuchName66,
}

/// `attach()` without a segment.
pub(crate) fn not_found(finding: Finding) -> Error {
    let (template, function) = match finding {
        Finding::NoSuchName66 => return no_such_name_66(),
        Finding::NoKeyFile => ("%1: UNIX key file doesn't exist", "QSharedMemory::handle:"),
        Finding::NoKeyFile66 => ("%1: doesn't exist", "QSharedMemory::handle"),
        Finding::NoSegment => ("%1: doesn't exist", "QSharedMemory::attach (shmget)"),
    };
    Error::new(ErrorKind::NotFound, template, function)
}

/// What Qt makes of the error of a system call.
fn system(errno: Errno, function: &'static str) -> Error {
    let (kind, template) = match errno {
        Errno::EACCES | Errno::EPERM => (ErrorKind::PermissionDenied, "%1: permission denied"),
        Errno::EEXIST => (ErrorKind::AlreadyExists, "%1: already exists"),
        Errno::ENOENT => (ErrorKind::NotFound, "%1: doesn't exist"),
        Errno::EAGAIN
        | Errno::ENOMEM
        | Errno::ENOSPC
        | Errno::ERANGE
        | Errno::EMFILE
        | Errno::ENFILE => (ErrorKind::OutOfResources, "%1: out of resources"),
        Errno::ENOSYS => (ErrorKind::NotSupported, "%1: unknown error %2"),
        _ => (ErrorKind::UnknownError, "%1: unknown error %2"),
    };
    Error::new(kind, template, function).with_errno(errno as i32)
}

/// What Qt would say of this trouble of a segment.
///
/// With a key, the semaphore's key file is the first that Qt makes; with a native key the
/// segment's.
pub(crate) fn of_segment(trouble: &Trouble, call: Call, native: bool) -> Error {
    let (function, attach) = match call {
        Call::Create => ("QSharedMemory::create", "QSharedMemory::attach (shmat)"),
        Call::Attach => (
            "QSharedMemory::attach (shmget)",
            "QSharedMemory::attach (shmat)",
        ),
    };
    match trouble {
        Trouble::InTheWay(_) => lock_key_failed(ErrorKind::PermissionDenied),
        Trouble::Busy(_) | Trouble::Changed => {
            Error::new(ErrorKind::Busy, "%1: unable to lock", call.function())
        }
        Trouble::System { step, errno, .. } => match step {
            Step::KeyFile if native || *errno == Errno::ENAMETOOLONG => no_key(Call::Create),
            Step::KeyFile => lock_key_failed(ErrorKind::KeyError),
            Step::Key => Error::new(
                ErrorKind::KeyError,
                "%1: ftok failed",
                "QSharedMemory::handle:",
            ),
            Step::Segment if *errno == Errno::EINVAL => Error::new(
                ErrorKind::InvalidSize,
                "%1: system-imposed size restrictions",
                "QSharedMemory::handle",
            ),
            Step::Segment => system(*errno, function),
            Step::Attach => system(*errno, attach),
            Step::Semaphore | Step::SemaphoreFile => lock_key_failed(of_semaphore(trouble).kind()),
        },
    }
}

/// What Qt would say of this trouble of a semaphore.
pub(crate) fn of_semaphore(trouble: &Trouble) -> Error {
    trouble_of_semaphore(trouble, system, "%1: unknown error %2")
}

/// The same in the words of a generation: what it says of a system call, and of an unknown error.
fn trouble_of_semaphore(
    trouble: &Trouble,
    system: fn(Errno, &'static str) -> Error,
    unknown: &'static str,
) -> Error {
    match trouble {
        Trouble::InTheWay(_) => system(Errno::EACCES, "QSystemSemaphore::handle"),
        Trouble::Busy(_) | Trouble::Changed => {
            Error::new(ErrorKind::Busy, unknown, "QSystemSemaphore::handle")
                .with_errno(Errno::EBUSY as i32)
        }
        Trouble::System { step, errno, .. } => match step {
            Step::Key => Error::new(
                ErrorKind::KeyError,
                "%1: ftok failed",
                "QSystemSemaphore::handle:",
            ),
            Step::SemaphoreFile | Step::KeyFile => no_semaphore_key_file(),
            Step::Semaphore | Step::Segment | Step::Attach if *errno == Errno::ENOENT => {
                no_semaphore()
            }
            Step::Semaphore | Step::Segment | Step::Attach => {
                system(*errno, "QSystemSemaphore::handle")
            }
        },
    }
}

/// There is no semaphore, nor can one be made. (Of a segment Qt says that it "doesn't" exist.)
fn no_semaphore() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "%1: does not exist",
        "QSystemSemaphore::handle",
    )
    .with_errno(Errno::ENOENT as i32)
}

/// The semaphore's key file can't be made.
pub(crate) fn no_semaphore_key_file() -> Error {
    Error::new(
        ErrorKind::KeyError,
        "%1: unable to make key",
        "QSystemSemaphore::handle:",
    )
}

/// A `QSystemSemaphore` without a key.
pub(crate) fn empty_semaphore_key() -> Error {
    Error::new(
        ErrorKind::KeyError,
        "%1: key is empty",
        "QSystemSemaphore::handle:",
    )
}

/// A failed semop(2) of a `QSystemSemaphore`.
pub(crate) fn of_operation(errno: Errno) -> Error {
    system(errno, "QSystemSemaphore::modifySemaphore")
}
