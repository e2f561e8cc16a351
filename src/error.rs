//! Errors as Qt has them: a code, Qt's own text, and behind it what qshm knows more.

use std::fmt;

/// The code of an error. 0 to 8 are `QSharedMemory::SharedMemoryError`; a number is never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ErrorKind {
    /// Nothing went wrong.
    #[default]
    NoError = 0,
    /// The objects belong to somebody who does not let us.
    PermissionDenied = 1,
    /// A size of zero or less, or one that the system does not allow.
    InvalidSize = 2,
    /// The key makes no usable key file.
    KeyError = 3,
    /// `create()` of a segment that is in use.
    AlreadyExists = 4,
    /// `attach()` without a segment.
    NotFound = 5,
    /// `lock()` before `create()` or `attach()`, or without a semaphore.
    LockError = 6,
    /// A limit of the system is reached: memory, segments, semaphores.
    OutOfResources = 7,
    /// Anything else; [`Error::errno`] says what.
    UnknownError = 8,
    /// Another process keeps the lifecycle lock for longer than the lock wait.
    Busy = 9,
    /// The kernel has no System V IPC.
    NotSupported = 10,
}

/// Why a call failed.
///
/// The text has Qt's form, so that it can be translated as Qt does: a template with `%1` for the
/// function and `%2` for the number of an unknown error, both of Qt's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    template: &'static str,
    function: &'static str,
    errno: i32,
    detail: String,
}

impl Error {
    /// No error.
    pub fn none() -> Self {
        Self::default()
    }

    pub(crate) fn new(kind: ErrorKind, template: &'static str, function: &'static str) -> Self {
        Self {
            kind,
            template,
            function,
            ..Self::default()
        }
    }

    pub(crate) fn with_errno(mut self, errno: i32) -> Self {
        self.errno = errno;
        self
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The code.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Qt's text before `%1` and `%2` are filled in, for `tr()`. Empty if there is no error.
    pub fn template(&self) -> &'static str {
        self.template
    }

    /// What stands for `%1`: Qt's name of the function.
    pub fn function(&self) -> &'static str {
        self.function
    }

    /// What stands for `%2`: the system's error number, 0 if it is not known.
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// What qshm knows more: which object, whose it is, what clears it. Often empty.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self
            .template
            .replace("%1", self.function)
            .replace("%2", &self.errno.to_string());
        f.write_str(&text)?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_qts_with_the_rest_in_parentheses() {
        let error = Error::new(
            ErrorKind::UnknownError,
            "%1: unknown error %2",
            "QSharedMemory::attach",
        )
        .with_errno(38)
        .with_detail("no System V here");
        assert_eq!(
            error.to_string(),
            "QSharedMemory::attach: unknown error 38 (no System V here)"
        );
        assert_eq!(Error::none().to_string(), "");
    }
}
