//! The process's own pid without a system call.
//!
//! lock() and unlock() need it, to tell a forked child (which must not release its parent's
//! lock) from the process itself, and a system call would cost them a tenth of their time. The
//! pid is remembered on a page that the kernel wipes in a forked child (`MADV_WIPEONFORK`,
//! Linux 4.14); where it can't, each call asks.

use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use once_cell::sync::Lazy;

static REMEMBERED: Lazy<Option<&'static AtomicI32>> = Lazy::new(wiped_on_fork);

/// getpid(2).
pub fn current() -> i32 {
    let Some(remembered) = *REMEMBERED else {
        return std::process::id() as i32;
    };
    match remembered.load(Ordering::Relaxed) {
        0 => {
            let pid = std::process::id() as i32;
            remembered.store(pid, Ordering::Relaxed);
            pid
        }
        pid => pid,
    }
}

/// A zero on a page of its own that is zero again in every forked child.
fn wiped_on_fork() -> Option<&'static AtomicI32> {
    let length = size_of::<AtomicI32>();
    // SAFETY: a new private mapping, written by nobody else, never unmapped, aligned to a page
    // and zero; madvise gets exactly that mapping.
    unsafe {
        let page = libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, length, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, length);
            return None;
        }
        Some(&*page.cast::<AtomicI32>())
    }
}

#[cfg(test)]
mod tests {
    use super::current;

    #[test]
    fn a_forked_child_knows_that_it_is_another_process() {
        assert_eq!(current(), std::process::id() as i32);
        // SAFETY: the child only compares two numbers and ends without running destructors.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let right = current() == std::process::id() as i32;
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!right)) };
        }
        let mut status = -1;
        // SAFETY: waits for our own child and writes one int.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
    }
}
