//! A stretch of time in which no thread of the process forks.
//!
//! Between the open(2) of a registry and the moment when a mapping has taken the descriptor's
//! place, a child that another thread forks would get the descriptor, and with it the number:
//! both have the same open file description. So fork(2) waits for the end of that stretch, some
//! microseconds. vfork(2) and posix_spawn(3) do not, but such a child executes a program at once,
//! which closes the descriptor (`O_CLOEXEC`).

use std::cell::{Cell, UnsafeCell};

use once_cell::sync::Lazy;

/// A mutex of libc's, since it has to be unlocked on both sides of a fork, which std's can't be.
struct Window(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: libc's mutex is made to be used by all threads; the cell is only ever handed to it.
unsafe impl Sync for Window {}

static WINDOW: Window = Window(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

thread_local! {
    /// Whether this thread is inside: a signal handler may fork there, and must not wait for
    /// itself.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn inside() -> bool {
    INSIDE.try_with(Cell::get).unwrap_or(false)
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

/// Runs `act` while no other thread forks.
pub fn without_fork<T>(act: impl FnOnce() -> T) -> T {
    struct Out;
    impl Drop for Out {
        fn drop(&mut self) {
            let _ = INSIDE.try_with(|inside| inside.set(false));
            unlock();
        }
    }
    if inside() {
        return act();
    }
    Lazy::force(&HANDLERS);
    lock();
    let _ = INSIDE.try_with(|inside| inside.set(true));
    let _out = Out;
    act()
}
