//! Errors as Qt has them: a code, Qt's own text, and behind it what qshm knows more.

use std::fmt;

use crate::kernel::Errno;

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
    inner: Option<(&'static str, &'static str)>,
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

    /// An error of the semaphore in the words of the segment: the template has `%2` for it.
    pub(crate) fn with_inner(mut self, inner: &Error) -> Self {
        self.inner = Some((inner.template, inner.function));
        self.errno = inner.errno;
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

    /// The template and the function of the semaphore's own error, where that stands for `%2`: Qt
    /// 6.6 and later say both.
    pub fn inner(&self) -> Option<(&'static str, &'static str)> {
        self.inner
    }

    /// What stands for `%2`: the system's error number, 0 if it is not known; after `error: `, in
    /// the words of Qt 6.6 and later, strerror(3) of it.
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
        let filled = |template: &str, function: &str| {
            let text = template.replace("%1", function);
            if text.contains("error: %2") {
                text.replace("%2", Errno::from_raw(self.errno).desc())
            } else {
                text.replace("%2", &self.errno.to_string())
            }
        };
        match self.inner {
            Some((template, function)) => {
                let inner = filled(template, function);
                let outer = self.template.replace("%1", self.function);
                f.write_str(&outer.replace("%2", &inner))?;
            }
            None => f.write_str(&filled(self.template, self.function))?,
        }
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

    #[test]
    fn an_error_of_the_semaphore_stands_inside_that_of_the_segment() {
        let inner = Error::new(
            ErrorKind::UnknownError,
            "%1: unknown error: %2",
            "QSystemSemaphore::handle",
        )
        .with_errno(Errno::EINVAL as i32);
        let error =
            Error::new(ErrorKind::UnknownError, "%1: no key (%2)", "initKey").with_inner(&inner);
        assert_eq!(
            error.to_string(),
            "initKey: no key (QSystemSemaphore::handle: unknown error: Invalid argument)"
        );
    }
}
