//! The process's own pid without a system call, and a mark that tells it from its forked children.
//!
//! lock() and unlock() need both, and a system call would cost them a tenth of their time. They
//! are remembered on a page that the kernel wipes in a forked child (`MADV_WIPEONFORK`, Linux
//! 4.14); where it can't, each call asks for the pid.

use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

/// What is zero again in every forked child.
#[derive(Debug)]
struct Wiped {
    pid: AtomicI32,
    mark: AtomicU32,
}

/// No page is wiped here; an address that no object has.
const NONE: *mut Wiped = ptr::dangling_mut();

/// Null before the first use. Not a lock's to make: in a child that is forked meanwhile nobody would
/// give that back.
static PAGE: AtomicPtr<Wiped> = AtomicPtr::new(ptr::null_mut());

#[inline]
fn remembered() -> Option<&'static Wiped> {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        page = first_use();
    }
    if page == NONE {
        return None;
    }
    // SAFETY: neither null nor `NONE`, so the page that `wiped_on_fork` has made, which stays.
    unsafe { page.as_ref() }
}

/// getpid(2).
#[inline]
pub fn current() -> i32 {
    let Some(remembered) = remembered() else {
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
/// another number than that of any process that it comes from, and never 0. Where no page is wiped,
/// the pid.
#[inline]
pub fn fork_mark() -> u32 {
    let Some(remembered) = remembered() else {
        return std::process::id();
    };
    match remembered.mark.load(Ordering::Acquire) {
        0 => first_mark(remembered),
        mark => mark,
    }
}

#[cold]
fn first_mark(remembered: &Wiped) -> u32 {
    /// The highest that was given, here or in a process that this one comes from. It is raised
    /// before the mark can be seen, so that a child that is forked meanwhile gets another one.
    static LAST: AtomicU32 = AtomicU32::new(0);
    let new = LAST.fetch_add(1, Ordering::AcqRel) + 1;
    let first = remembered
        .mark
        .compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire);
    // Of several threads that ask at once all get the same.
    first.map_or_else(|first| first, |_| new)
}

#[cold]
fn first_use() -> *mut Wiped {
    let new = wiped_on_fork().unwrap_or(NONE);
    let first = PAGE.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire);
    let Err(first) = first else {
        return new;
    };
    if new != NONE {
        // SAFETY: the mapping made above, which nobody else knows.
        unsafe { libc::munmap(new.cast(), size_of::<Wiped>()) };
    }
    first
}

/// Zeros on a page of its own.
fn wiped_on_fork() -> Option<*mut Wiped> {
    let length = size_of::<Wiped>();
    // SAFETY: a new private mapping, written by nobody else, aligned to a page and zero; madvise
    // gets exactly that mapping.
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
        Some(page.cast())
    }
}

#[cfg(test)]
mod tests {
    use super::{current, fork_mark};

    #[test]
    fn a_forked_child_knows_that_it_is_another_process() {
        assert_eq!(current(), std::process::id() as i32);
        let own = fork_mark();
        assert_eq!(fork_mark(), own);
        // SAFETY: the child only compares two numbers and ends without running destructors.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let right = current() == std::process::id() as i32 && fork_mark() != own;
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!right)) };
        }
        let mut status = -1;
        // SAFETY: waits for our own child and writes one int.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
    }
}
