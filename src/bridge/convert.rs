//! Between the bridge's types and the crate's.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::ffi;
use crate::access::Access;
use crate::error::{Error, ErrorKind};
use crate::key::Generation;
use crate::options::{InTheWay, Leftover, OptionsUpdate};

pub(super) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

pub(super) fn report_of(error: &Error) -> ffi::ErrorReport {
    let code = match error.kind() {
        ErrorKind::NoError => ffi::ErrorCode::NoError,
        ErrorKind::PermissionDenied => ffi::ErrorCode::PermissionDenied,
        ErrorKind::InvalidSize => ffi::ErrorCode::InvalidSize,
        ErrorKind::KeyError => ffi::ErrorCode::KeyError,
        ErrorKind::AlreadyExists => ffi::ErrorCode::AlreadyExists,
        ErrorKind::NotFound => ffi::ErrorCode::NotFound,
        ErrorKind::LockError => ffi::ErrorCode::LockError,
        ErrorKind::OutOfResources => ffi::ErrorCode::OutOfResources,
        ErrorKind::UnknownError => ffi::ErrorCode::UnknownError,
        ErrorKind::Busy => ffi::ErrorCode::Busy,
        ErrorKind::NotSupported => ffi::ErrorCode::NotSupported,
    };
    let (inner_pattern, inner_function) = error.inner().unwrap_or_default();
    ffi::ErrorReport {
        code,
        pattern: error.template(),
        function: error.function(),
        inner_pattern,
        inner_function,
        system_error: error.errno(),
        detail: error.detail().to_owned(),
    }
}

/// A value that the public headers do not have counts as the first, the more careful one.
impl From<&ffi::OptionsUpdate> for OptionsUpdate {
    fn from(update: &ffi::OptionsUpdate) -> Self {
        Self {
            access: update.has_access.then_some(match update.access {
                ffi::AccessPolicy::Invoker => Access::Invoker,
                ffi::AccessPolicy::Group => Access::Group(update.group),
                ffi::AccessPolicy::World => Access::World,
                _ => Access::Owner,
            }),
            leftover: update.has_leftover.then_some(match update.leftover {
                ffi::Leftover::Keep => Leftover::Keep,
                _ => Leftover::Discard,
            }),
            in_the_way: update.has_in_the_way.then_some(match update.in_the_way {
                ffi::InTheWay::Fail => InTheWay::Fail,
                _ => InTheWay::StepAside,
            }),
            generation: update.has_generation.then_some(match update.generation {
                ffi::QtGeneration::Qt4 => Generation::Qt4,
                ffi::QtGeneration::Qt50 => Generation::Qt50,
                ffi::QtGeneration::Qt66 => Generation::Qt66,
                _ => Generation::Qt59,
            }),
            lock_wait: update
                .has_lock_wait
                .then_some(Duration::from_millis(update.lock_wait)),
        }
    }
}
