//! The texts of Qt 6.6 and later, where they are others.

use crate::error::{Error, ErrorKind};
use crate::kernel::Errno;
use crate::key::KeyType;
use crate::trouble::{Step, Trouble};

use super::{Call, empty_semaphore_key, no_key, trouble_of_semaphore};

/// The function that Qt names where shm_open(3) fails, also in `create()`.
pub(super) const SHM_OPEN: &str = "QSharedMemory::attach (shm_open)";

/// What Qt makes of the error of a system call.
fn system(errno: Errno, function: &'static str) -> Error {
    let (kind, template) = match errno {
        Errno::EACCES | Errno::EPERM => (ErrorKind::PermissionDenied, "%1: permission denied"),
        Errno::EEXIST => (ErrorKind::AlreadyExists, "%1: already exists"),
        Errno::ENOENT => (ErrorKind::NotFound, "%1: doesn't exist"),
        Errno::ENAMETOOLONG => (ErrorKind::KeyError, "%1: key too long"),
        Errno::EAGAIN | Errno::ENOMEM | Errno::ENOSPC | Errno::EMFILE | Errno::ENFILE => {
            (ErrorKind::OutOfResources, "%1: out of resources")
        }
        Errno::ENOSYS => (ErrorKind::NotSupported, "%1: unknown error: %2"),
        _ => (ErrorKind::UnknownError, "%1: unknown error: %2"),
    };
    Error::new(kind, template, function).with_errno(errno as i32)
}

/// `QSharedMemory` could not get at its lock, and why.
pub(crate) fn lock_key_failed_66(semaphore: &Error) -> Error {
    Error::new(
        semaphore.kind(),
        "%1: unable to set key on lock (%2)",
        "QSharedMemoryPrivate::initKey",
    )
    .with_inner(semaphore)
}

/// A key of a type that there is not on this system.
pub(crate) fn unsupported_key_type(function: &'static str) -> Error {
    Error::new(ErrorKind::KeyError, "%1: unsupported key type", function)
}

/// `attach()` with a key whose key file no file system would take.
pub(crate) fn no_such_name_66() -> Error {
    let function = "QSharedMemory::handle";
    Error::new(ErrorKind::UnknownError, "%1: unknown error: %2", function)
        .with_errno(Errno::ENAMETOOLONG as i32)
}

/// `attach()` without any key, of an object that never had one.
pub(crate) fn no_key_66() -> Error {
    Error::new(
        ErrorKind::KeyError,
        "%1: key is empty",
        "QSharedMemory::handle",
    )
}

/// A failed call of a semaphore.
pub(crate) fn of_semaphore_call(errno: Errno, function: &'static str) -> Error {
    match errno {
        Errno::ENOENT => {
            Error::new(ErrorKind::NotFound, "%1: does not exist", function).with_errno(errno as i32)
        }
        errno => system(errno, function),
    }
}

/// A failed semop(2) of a `QSystemSemaphore`.
pub(crate) fn of_operation_66(errno: Errno) -> Error {
    match errno {
        Errno::ERANGE => system(Errno::ENOSPC, "QSystemSemaphore::modifySemaphore"),
        errno => system(errno, "QSystemSemaphore::modifySemaphore"),
    }
}

/// A failed operation of a POSIX `QSystemSemaphore`.
pub(crate) fn of_posix_operation(errno: Errno, acquire: bool) -> Error {
    let function = if acquire {
        "QSystemSemaphore::modifySemaphore (sem_wait)"
    } else {
        "QSystemSemaphore::modifySemaphore (sem_post)"
    };
    system(errno, function)
}

/// A semaphore without a key.
pub(crate) fn empty_semaphore_key_66(kind: KeyType) -> Error {
    match kind {
        KeyType::SystemV(_) => empty_semaphore_key(),
        KeyType::Posix => Error::new(
            ErrorKind::KeyError,
            "%1: key is empty",
            "QSystemSemaphore::handle",
        ),
    }
}

/// The name of a POSIX semaphore is longer than a file name can be.
pub(crate) fn semaphore_name_too_long() -> Error {
    system(Errno::ENAMETOOLONG, "QSystemSemaphore::handle")
}

/// `attach()` without a POSIX segment.
pub(crate) fn no_posix_segment() -> Error {
    Error::new(ErrorKind::NotFound, "%1: doesn't exist", SHM_OPEN)
}

/// What Qt would say of this trouble of a segment.
pub(crate) fn of_segment_66(trouble: &Trouble, call: Call, posix: bool) -> Error {
    let function = match (posix, call) {
        (true, _) => SHM_OPEN,
        (false, Call::Create) => "QSharedMemory::create",
        (false, Call::Attach) => "QSharedMemory::attach (shmget)",
    };
    let attach = if posix {
        "QSharedMemory::attach (mmap)"
    } else {
        "QSharedMemory::attach (shmat)"
    };
    match trouble {
        Trouble::InTheWay(_) => lock_key_failed_66(&of_semaphore_66(trouble)),
        Trouble::Busy(_) | Trouble::Changed => {
            Error::new(ErrorKind::Busy, "%1: unable to lock", call.function())
        }
        Trouble::System { step, errno, .. } => match step {
            Step::Key => Error::new(
                ErrorKind::KeyError,
                "%1: ftok failed",
                "QSharedMemory::handle:",
            ),
            Step::KeyFile if *errno == Errno::ENAMETOOLONG => no_key(Call::Create),
            Step::Segment if *errno == Errno::EINVAL && !posix => Error::new(
                ErrorKind::InvalidSize,
                "%1: system-imposed size restrictions",
                "QSharedMemory::handle",
            ),
            // Where Qt has no room either, it finds out when it maps.
            Step::Segment if posix && matches!(errno, Errno::ENOSPC | Errno::EFBIG) => {
                system(Errno::ENOMEM, attach)
            }
            Step::Segment => system(*errno, function),
            Step::Attach => system(*errno, attach),
            Step::KeyFile | Step::Semaphore | Step::SemaphoreFile => {
                lock_key_failed_66(&of_semaphore_66(trouble))
            }
        },
    }
}

/// What Qt would say of this trouble of a semaphore.
pub(crate) fn of_semaphore_66(trouble: &Trouble) -> Error {
    trouble_of_semaphore(trouble, of_semaphore_call, "%1: unknown error: %2")
}
