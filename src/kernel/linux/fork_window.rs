//! A stretch of time in which no thread of the process forks.
//!
//! Between the open(2) of a registry and the moment when a mapping has taken the descriptor's
//! place, a child that another thread forks would get the descriptor, and with it the number:
//! both have the same open file description. So fork(2) waits for the end of that stretch, some
//! microseconds. vfork(2) and posix_spawn(3) do not, but such a child executes a program at once,
//! which closes the descriptor (`O_CLOEXEC`).
//!
//! A thread that acts [for another user](super::as_user) is such a stretch as well.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;

use once_cell::sync::Lazy;

/// A mutex of libc's, since it has to be unlocked on both sides of a fork, which std's can't be.
struct Mutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: libc's mutex is made to be used by all threads; the cell is only ever handed to it.
unsafe impl Sync for Mutex {}

static WINDOW: Mutex = Mutex(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

thread_local! {
    /// Whether this thread is inside: a signal handler may fork there, and must not wait for
    /// itself.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn inside() -> bool {
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

fn set_inside(is: bool) {
    let _ = INSIDE.try_with(|inside| inside.set(is));
}

fn lock() {
    // SAFETY: a valid mutex, not locked by this thread: see `inside`.
    unsafe { libc::pthread_mutex_lock(WINDOW.0.get()) };
}

fn unlock() {
    // SAFETY: locked by this thread, or by the one that it is the copy of.
    unsafe { libc::pthread_mutex_unlock(WINDOW.0.get()) };
}

extern "C" fn before_fork() {
    if !inside() {
        lock();
    }
}

extern "C" fn after_fork() {
    if !inside() {
        unlock();
    }
}

/// The handlers are there from the first use on. Where there is no memory for them, forks are
/// not held up.
static HANDLERS: Lazy<()> = Lazy::new(|| {
    // SAFETY: three functions that live as long as the process, or until libc takes them out
    // when the library that they are in is unloaded.
    unsafe {
        libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork));
    }
});

/// No other thread forks until this is dropped.
pub(super) struct Window {
    /// False where this thread was inside before.
    outermost: bool,
    /// The mutex is the thread's to unlock.
    _thread: PhantomData<*const ()>,
}

impl Window {
    pub(super) fn enter() -> Self {
        let outermost = !inside();
        if outermost {
            Lazy::force(&HANDLERS);
            // A signal handler that forks just before or just after finds nothing to wait for,
            // rather than this thread itself.
            set_inside(true);
            lock();
        }
        Self {
            outermost,
            _thread: PhantomData,
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if self.outermost {
            unlock();
            set_inside(false);
        }
    }
}

/// Runs `act` while no other thread forks.
pub fn without_fork<T>(act: impl FnOnce() -> T) -> T {
    let _window = Window::enter();
    act()
}
