//! Threads that others end: pthread_cancel(3), which is `QThread::terminate()`.

use std::marker::PhantomData;
use std::ptr;

use libc::c_int;

unsafe extern "C" {
    // Not in the libc crate.
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// `PTHREAD_CANCEL_DISABLE`, the same in glibc and musl.
const DISABLE: c_int = 1;

/// This thread is not cancelled until this is dropped; a cancellation that comes meanwhile waits for
/// the thread's next cancellation point.
///
/// glibc unwinds the stack of the thread from within open(2) or nanosleep(2). Rust does not let that
/// pass, and the process would end.
pub struct Uncancelled {
    before: c_int,
    /// The state is a thread's.
    _thread: PhantomData<*const ()>,
}

impl Uncancelled {
    /// From now on.
    pub fn begin() -> Self {
        let mut before = 0;
        // SAFETY: a constant, and an int that lives here.
        unsafe { pthread_setcancelstate(DISABLE, &raw mut before) };
        Self {
            before,
            _thread: PhantomData,
        }
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: the state of before; glibc allows a null pointer, musl checks for one.
        unsafe { pthread_setcancelstate(self.before, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::Uncancelled;
    use std::io::{Read, Write};
    use std::mem::MaybeUninit;
    use std::os::unix::net::UnixStream;
    use std::ptr;

    /// Waits for a byte, in a cancellation point; says that it does so.
    extern "C" fn waits(end: *mut libc::c_void) -> *mut libc::c_void {
        let uncancelled = Uncancelled::begin();
        // SAFETY: the test's own, which waits for this thread before it goes.
        let mut end = unsafe { &*end.cast::<UnixStream>() };
        let heard = end.write_all(b".").and_then(|()| end.read_exact(&mut [0]));
        drop(uncancelled);
        // No cancellation point any more: it ends as it would have.
        ptr::without_provenance_mut(usize::from(heard.is_ok()))
    }

    #[test]
    #[allow(clippy::unwrap_used)]
    fn a_thread_that_is_cancelled_inside_goes_on() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let mut thread = MaybeUninit::uninit();
        let mut result = ptr::null_mut();
        // SAFETY: `there` lives until the thread has been joined, which happens once, after
        // pthread_create has written which it is.
        unsafe {
            let argument = (&raw const there).cast_mut().cast();
            let made = libc::pthread_create(thread.as_mut_ptr(), ptr::null(), waits, argument);
            assert_eq!(made, 0);
            let thread = thread.assume_init();
            here.read_exact(&mut [0]).unwrap();
            assert_eq!(libc::pthread_cancel(thread), 0);
            here.write_all(b".").unwrap();
            assert_eq!(libc::pthread_join(thread, &raw mut result), 0);
        }
        assert_eq!(result.addr(), 1);
    }
}
