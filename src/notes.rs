//! What is to be said in the log, said when nothing is held any more.
//!
//! A message handler of the application may use the very object that has something to say, or
//! another of the same key: it must find neither a mutex nor a lifecycle lock taken. So messages
//! that come up inside are kept, by thread, until the call is over.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Qt's own warnings, word for word.
pub(crate) const QT: &str = "qt";
/// Ours.
pub(crate) const QSHM: &str = "qshm";

thread_local! {
    static KEPT: RefCell<Vec<(&'static str, String)>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a warning for the log until the next [`flush`].
pub(crate) fn warn(target: &'static str, text: String) {
    // While the thread ends there is nobody to tell.
    let _ = KEPT.try_with(|kept| {
        if let Ok(mut kept) = kept.try_borrow_mut() {
            kept.push((target, text));
        }
    });
}

/// Says what was kept.
pub(crate) fn flush() {
    let kept = KEPT.try_with(|kept| {
        kept.try_borrow_mut()
            .map(|mut kept| std::mem::take(&mut *kept))
    });
    for (target, text) in kept.into_iter().flatten().flatten() {
        log::warn!(target: target, "{text}");
    }
}

/// A mutex's content, after whose release [`flush`] says what came up meanwhile.
#[derive(Debug)]
pub(crate) struct Guard<'a, T> {
    // Fields are dropped in this order.
    content: MutexGuard<'a, T>,
    _then: Flush,
}

#[derive(Debug)]
struct Flush;

impl Drop for Flush {
    fn drop(&mut self) {
        flush();
    }
}

impl<'a, T> Guard<'a, T> {
    /// Waits for the mutex. One that a panic left is taken as it is: the bridge has given up the
    /// object by then.
    pub fn of(mutex: &'a Mutex<T>) -> Self {
        Guard {
            content: mutex.lock().unwrap_or_else(PoisonError::into_inner),
            _then: Flush,
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.content
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.content
    }
}
