//! The process's own pid without a system call.
//!
//! lock() and unlock() need it, to tell a forked child (which must not release its parent's
//! lock) from the process itself, and a system call would cost them a tenth of their time. The
//! pid is remembered on a page that the kernel wipes in a forked child (`MADV_WIPEONFORK`,
//! Linux 4.14); where it can't, each call asks.

use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use once_cell::sync::Lazy;

/// What is zero again in every forked child.
#[derive(Debug)]
struct Wiped {
    pid: AtomicI32,
    generation: AtomicU32,
}

static REMEMBERED: Lazy<Option<&'static Wiped>> = Lazy::new(wiped_on_fork);

/// getpid(2).
pub fn current() -> i32 {
    let Some(remembered) = *REMEMBERED else {
        return std::process::id() as i32;
    };
    match remembered.pid.load(Ordering::Relaxed) {
        0 => {
            let pid = std::process::id() as i32;
            remembered.pid.store(pid, Ordering::Relaxed);
            pid
        }
        pid => pid,
    }
}

/// How many generations of forked children this process is from the first that asked, and one more:
/// another number than that of any process that it comes from. Where no page is wiped, the pid.
pub fn generation() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let Some(remembered) = *REMEMBERED else {
        return std::process::id();
    };
    match remembered.generation.load(Ordering::Relaxed) {
        0 => {
            let new = LAST.load(Ordering::Relaxed) + 1;
            let first = remembered.generation.compare_exchange(
                0,
                new,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            // Of several threads that ask at once all get the same.
            LAST.store(new, Ordering::Relaxed);
            first.map_or_else(|first| first, |_| new)
        }
        generation => generation,
    }
}

/// Zeros on a page of its own.
fn wiped_on_fork() -> Option<&'static Wiped> {
    let length = size_of::<Wiped>();
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
        Some(&*page.cast::<Wiped>())
    }
}

#[cfg(test)]
mod tests {
    use super::{current, generation};

    #[test]
    fn a_forked_child_knows_that_it_is_another_process() {
        assert_eq!(current(), std::process::id() as i32);
        let own = generation();
        assert_eq!(generation(), own);
        // SAFETY: the child only compares two numbers and ends without running destructors.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let right = current() == std::process::id() as i32 && generation() != own;
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!right)) };
        }
        let mut status = -1;
        // SAFETY: waits for our own child and writes one int.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
    }
}
