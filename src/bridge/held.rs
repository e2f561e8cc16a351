//! What C++ holds of the crate, with a wall against panics around it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use super::convert::report_of;
use super::ffi;
use crate::error::Error;
use crate::kernel::linux::Uncancelled;

/// Runs `act`, with a thread that is not cancelled meanwhile; `None` if it panicked. The hook has
/// told about it on standard error by then.
pub(super) fn contained<R>(act: impl FnOnce() -> R) -> Option<R> {
    let _uncancelled = Uncancelled::begin();
    caught(act)
}

fn caught<R>(act: impl FnOnce() -> R) -> Option<R> {
    // Whatever was left half done stays behind a lock of the crate, which knows poisoning.
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // To drop it may panic again.
            std::mem::forget(payload);
            None
        }
    }
}

/// A value of the crate that C++ holds.
pub(super) struct Held<T> {
    /// `None`: it could not be made.
    value: Option<T>,
    panicked: AtomicBool,
}

impl<T> Held<T> {
    pub(super) fn new(make: impl FnOnce() -> T) -> Self {
        Self {
            value: contained(make),
            panicked: AtomicBool::new(false),
        }
    }

    /// What `act` says of the value; `otherwise` if it panics.
    pub(super) fn ask<R>(&self, otherwise: R, act: impl FnOnce(&T) -> R) -> R {
        self.or(
            otherwise,
            contained(|| self.value.as_ref().map(act)).flatten(),
        )
    }

    /// The same, of what takes some nanoseconds and makes no call that is a cancellation point.
    #[inline]
    pub(super) fn glance<R>(&self, otherwise: R, act: impl FnOnce(&T) -> R) -> R {
        self.or(otherwise, caught(|| self.value.as_ref().map(act)).flatten())
    }

    fn or<R>(&self, otherwise: R, answer: Option<R>) -> R {
        answer.unwrap_or_else(|| {
            self.panicked.store(true, Ordering::Relaxed);
            otherwise
        })
    }

    /// The error that `of` reads from the value, or that of a panic.
    pub(super) fn report(
        &self,
        function: &'static str,
        of: impl FnOnce(&T) -> Error,
    ) -> ffi::ErrorReport {
        let report = self.ask(None, |value| Some(report_of(&of(value))));
        match report {
            Some(report) if !self.panicked.load(Ordering::Relaxed) => report,
            _ => ffi::ErrorReport {
                code: ffi::ErrorCode::UnknownError,
                pattern: "%1: unknown error %2",
                function,
                inner_pattern: "",
                inner_function: "",
                system_error: 0,
                detail: "a fault in qshm, told on standard error".to_owned(),
            },
        }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        contained(|| drop(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quietly<R>(act: impl FnOnce() -> R) -> R {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let result = act();
        std::panic::set_hook(hook);
        result
    }

    #[test]
    #[allow(clippy::panic)]
    fn a_panic_becomes_the_other_answer_and_an_error() {
        let held = Held::new(|| 1);
        assert_eq!(held.ask(0, |value| *value), 1);
        assert_eq!(
            held.report("f", |_| Error::none()).code,
            ffi::ErrorCode::NoError
        );
        assert_eq!(quietly(|| held.ask(0, |_| panic!("here"))), 0);
        let report = held.report("f", |_| Error::none());
        assert_eq!(report.code, ffi::ErrorCode::UnknownError);
        assert_eq!(report.function, "f");
    }

    #[test]
    #[allow(clippy::panic)]
    fn what_could_not_be_made_answers_nothing() {
        let held: Held<i32> = quietly(|| Held::new(|| panic!("here")));
        assert_eq!(held.ask(0, |value| *value), 0);
        assert_eq!(
            held.report("f", |_| Error::none()).code,
            ffi::ErrorCode::UnknownError
        );
    }
}
