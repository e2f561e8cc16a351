//! Who asks whether a holder is dead, and is stopped when the answer has come.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use qshm::AccessMode;
use qshm::key::NativeKey;

use crate::processes::{child, ends_well, hear, kill_and_wait, say};
use crate::support::{alone, assert_gone, files, key, memory};

/// Where the slots' bytes are, and where the word says whose the lock is.
const SLOTS: std::ops::Range<i64> = (1 << 32) + 1..(1 << 32) + 1000;
const NAMED: u32 = 46;

/// The exit code of a child that may not be traced.
const UNTRACED: i32 = 77;

fn semaphore_file(key: &NativeKey) -> File {
    let [_, path] = files(key);
    File::options().read(true).write(true).open(path).unwrap()
}

/// The slot of whoever has the lock.
fn holder(file: &File) -> i64 {
    use std::os::unix::fs::FileExt as _;
    let mut word = [0; 8];
    file.read_exact_at(&mut word, 0).unwrap();
    i64::try_from(u64::from_ne_bytes(word) >> NAMED).unwrap()
}

/// Takes all slots that are free, but this one: whoever comes gets this.
fn leave_only(file: &File, slot: i64) {
    for byte in SLOTS.filter(|byte| *byte != SLOTS.start - 1 + slot) {
        // SAFETY: all zeros is such a record.
        let mut record: libc::flock = unsafe { std::mem::zeroed() };
        record.l_type = libc::F_WRLCK as libc::c_short;
        (record.l_start, record.l_len) = (byte, 1);
        // SAFETY: the kernel reads a record that lives here.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const record) };
    }
}

fn trace(request: libc::c_uint, pid: Pid, address: usize, data: usize) -> bool {
    // SAFETY: of a child of ours that is stopped; what is written is as large as is said.
    unsafe { libc::ptrace(request, pid.as_raw(), address, data) >= 0 }
}

/// Whether a traced process has just been answered by this fcntl(2).
fn is_answered(pid: Pid, command: i32, asked: &mut bool) -> bool {
    // SAFETY: all zeros is such a record.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    assert!(trace(
        libc::PTRACE_GET_SYSCALL_INFO,
        pid,
        size,
        &raw mut info as usize
    ));
    if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
        // SAFETY: this is what it holds then.
        let entry = unsafe { info.u.entry };
        *asked =
            entry.nr == u64::try_from(libc::SYS_fcntl).unwrap() && entry.args[1] as i32 == command;
        return false;
    }
    std::mem::take(asked)
}

/// Lets a traced process go on until it has been answered; says whether it was, or ended before.
fn run_until_answered(pid: Pid, command: i32) -> bool {
    let mut asked = false;
    let good = libc::PTRACE_O_TRACESYSGOOD as usize;
    assert!(trace(libc::PTRACE_SETOPTIONS, pid, 0, good));
    loop {
        assert!(trace(libc::PTRACE_SYSCALL, pid, 0, 0));
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) if is_answered(pid, command, &mut asked) => return true,
            WaitStatus::PtraceSyscall(_) | WaitStatus::Stopped(..) => {}
            _ => return false,
        }
    }
}

/// Meanwhile somebody else starts, has the dead one's slot and takes the lock: the word is bit for
/// bit what it was.
#[test]
fn the_lock_is_not_taken_from_who_got_the_dead_ones_slot() {
    let _alone = alone();
    let key = key("heir");
    let mine = memory(&key);
    assert!(mine.create(4, AccessMode::ReadWrite));
    let (here, there) = UnixStream::pair().unwrap();
    let dead = child(|| {
        let segment = memory(&key);
        assert!(segment.attach(AccessMode::ReadWrite) && segment.lock());
        say(&there);
        std::thread::park();
    });
    hear(&here);
    let waiter = child(|| {
        let segment = memory(&key);
        assert!(segment.attach(AccessMode::ReadWrite) && !segment.try_lock(Duration::ZERO));
        if !trace(libc::PTRACE_TRACEME, Pid::from_raw(0), 0, 0) {
            // SAFETY: ends this child.
            unsafe { libc::_exit(UNTRACED) };
        }
        // SAFETY: stops this child, until it is traced on.
        unsafe { libc::raise(libc::SIGSTOP) };
        let stolen = segment.try_lock(Duration::from_millis(1));
        // The other has it.
        assert!(!stolen, "the lock of somebody who lives");
        say(&there);
        assert!(segment.lock() && segment.unlock());
    });
    // So that the waiter's end is heard as well.
    drop(there);
    let stopped = waitpid(waiter, None).unwrap();
    kill_and_wait(dead);
    if stopped == WaitStatus::Exited(waiter, UNTRACED) {
        eprintln!("SKIPPED: no child may be traced here");
        return;
    }
    let file = semaphore_file(&key);
    leave_only(&file, holder(&file));
    assert!(
        run_until_answered(waiter, libc::F_OFD_GETLK),
        "it never asked"
    );

    let (heir_here, heir_there) = UnixStream::pair().unwrap();
    let slot = holder(&file);
    let heir = child(|| {
        let segment = memory(&key);
        assert!(segment.attach(AccessMode::ReadWrite) && segment.lock());
        say(&heir_there);
        hear(&heir_there);
        assert!(segment.unlock());
    });
    hear(&heir_here);
    assert_eq!(holder(&file), slot, "the heir has another slot");
    drop(file);
    assert!(trace(libc::PTRACE_DETACH, waiter, 0, 0));
    hear(&here);
    say(&heir_here);
    ends_well(heir);
    ends_well(waiter);
    drop(mine);
    assert_gone(&key);
}
