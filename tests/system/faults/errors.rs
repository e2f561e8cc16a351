//! Which errors a system call may return on some machine at some time.

use crate::support::trace::Call;

/// The errors of a call, as strace names them; none where none is possible.
pub fn of(call: &Call) -> &'static [&'static str] {
    if cannot_fail(call) {
        return &[];
    }
    match call.name.as_str() {
        // Not on every file system.
        "openat" if call.text.contains("O_TMPFILE") => {
            &["EACCES", "EMFILE", "ENOSPC", "EROFS", "EOPNOTSUPP"]
        }
        "open" | "openat" | "openat2" => &["EACCES", "EMFILE", "ENOSPC", "EINTR", "EROFS"],
        "flock" => &["EINTR", "ENOLCK", "ENOSYS"],
        "fstat" | "newfstatat" | "stat" | "lstat" | "statx" => &["ENOMEM", "EACCES"],
        "readlink" | "readlinkat" | "access" | "faccessat" | "faccessat2" => &["EACCES"],
        "unlink" | "unlinkat" | "rmdir" => &["EACCES", "EROFS", "EBUSY"],
        "mkdir" | "mkdirat" => &["EACCES", "ENOSPC", "EROFS"],
        "linkat" => &["EACCES", "ENOSPC", "EPERM"],
        "fchmod" | "fchown" => &["EPERM", "EIO"],
        "ftruncate" => &["EFBIG", "EINTR", "ENOSPC"],
        "fallocate" => &["ENOSPC", "EOPNOTSUPP", "EINTR"],
        "write" => &["ENOSPC", "EINTR", "EIO"],
        "mmap" => &["ENOMEM", "EACCES", "ENODEV"],
        "munmap" => &["ENOMEM"],
        "madvise" => &["ENOMEM", "EINVAL"],
        "fcntl" => of_fcntl(&call.text),
        "shmget" => &["EACCES", "ENOSPC", "ENOMEM", "EINVAL", "ENOSYS"],
        "shmat" => &["EACCES", "ENOMEM", "EINVAL", "EIDRM"],
        "semget" => &["EACCES", "ENOSPC", "ENOMEM", "ENOSYS"],
        "shmctl" | "semctl" => &["EACCES", "EINVAL", "EIDRM", "EPERM"],
        "semop" | "semtimedop" => &["EACCES", "EIDRM", "EINTR", "EINVAL", "ENOSPC", "ENOMEM"],
        "setresuid" | "setresgid" => &["EPERM", "EAGAIN"],
        "close" => &["EINTR", "EIO"],
        "shmdt" | "prctl" => &["EINVAL"],
        "clock_nanosleep" | "nanosleep" => &["EINTR"],
        other => panic!("which errors may {other} return?"),
    }
}

fn of_fcntl(text: &str) -> &'static [&'static str] {
    let is = |command: &str| text.contains(command);
    if is("F_OFD_SETLK") && is("F_UNLCK") {
        &[]
    } else if is("F_OFD_SETLK") {
        &["ENOLCK", "EAGAIN", "EINVAL"]
    } else if is("F_OFD_GETLK") {
        &["EINVAL", "ENOLCK"]
    } else if is("F_SETLEASE") && !is("F_UNLCK") {
        &["EAGAIN", "EACCES", "EINVAL"]
    } else if is("F_DUPFD") {
        &["EMFILE"]
    } else {
        &["EINVAL"]
    }
}

/// Giving a semaphore back fails for one reason alone, that the semaphore is
/// gone. An error without that leaves it taken for good, which no kernel does.
/// (Semaphores that are really gone: hostile.rs.)
///
/// And what the C library does for itself, and the program's own output, is not the subject.
fn cannot_fail(call: &Call) -> bool {
    let text = &call.text;
    let gives_back = text.contains("sem_op=1,");
    let allocates = call.name == "mmap"
        && (text.contains("MAP_ANONYMOUS") && !text.contains("MAP_FIXED")
            || text.contains("MAP_DENYWRITE"));
    let speaks = ["write(1,", "write(2,"]
        .iter()
        .any(|to| text.starts_with(to));
    gives_back || allocates || speaks
}

/// "It is gone", in answer to removing it: whoever hears that is done, and an
/// injected one would leave the object for good.
pub fn says_gone(call: &Call, error: &str, ever_after: bool) -> bool {
    ["shmctl", "semctl"].contains(&call.name.as_str())
        && ["EINVAL", "EIDRM"].contains(&error)
        && (ever_after || call.text.contains("IPC_RMID"))
}

/// Whether a call may fail like this again and again. One that is always interrupted is no
/// kernel's; who has a lock for long is waited for; not every file system has files without a name, but
/// each has files; and the program itself writes, too.
pub fn may_last(call: &Call, error: &str) -> bool {
    let opens = call.name == "openat" && error == "EOPNOTSUPP";
    error != "EINTR" && error != "EAGAIN" && call.name != "write" && !opens
}

/// Whether the program must go on as if nothing had happened: there is another way, or the call is
/// made again. (Before Linux 6.12 any signal interrupts fallocate(2) on tmpfs.)
pub fn is_borne(call: &Call, error: &str) -> bool {
    error == "EOPNOTSUPP"
        || error == "EINTR" && ["fallocate", "write"].contains(&call.name.as_str())
}

/// Whether an error that an object of Qt's class reports (its code, its text) is Qt's own for a
/// system call's error: the words of the code, and the code of the error. What is only known more is
/// in parentheses.
pub fn is_qts(call: &Call, error: &str, semaphore: bool, code: u32, text: &str) -> bool {
    // QSystemSemaphore has no InvalidSize and no LockError, but the same order.
    let kind = match code {
        2..=4 if semaphore => code + 1,
        5.. if semaphore => code + 2,
        code => code,
    };
    let own = match error {
        "EACCES" | "EPERM" => 1,
        "EAGAIN" | "ENOMEM" | "ENOSPC" | "EMFILE" => 7,
        // What shmget(2) says of a size.
        "EINVAL" if kind == 2 => 2,
        _ => 8,
    };
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    let of_lock = says(&["::initKey: unable to set key on lock"]);
    let words = match kind {
        1 => says(&[": permission denied"]),
        2 => says(&[": system-imposed size restrictions"]),
        3 => says(&[": unable to make key"]),
        6 => says(&[": unable to lock", ": unable to unlock"]),
        7 => says(&[": out of resources"]),
        8 => says(&[": unknown error"]),
        _ => false,
    };
    // A key file that can't be had, or a lock, whatever the reason; and calls around another one,
    // which is what the error is about.
    let around = ["statx", "setresuid", "setresgid"].contains(&call.name.as_str());
    let whatever = kind == 3 || kind == 6 || around;
    let begin = if semaphore {
        "QSystemSemaphore::"
    } else {
        "QSharedMemory"
    };
    text.starts_with(begin) && (words || of_lock) && (whatever || kind == own)
}

/// Calls whose failure keeps a start from clearing up after itself; the next
/// clean run does it then.
pub const NEEDED_TO_CLEAR_UP: &[&str] = &[
    "unlink",
    "unlinkat",
    "shmctl",
    "semctl",
    "openat",
    "flock",
    "shmdt",
    "setresuid",
    "setresgid",
    "newfstatat",
    "fstat",
    "close",
    "shmget",
    "semget",
    // What is mapped, or locked by a mapping that stays, is in use.
    "munmap",
    "mmap",
    "fcntl",
];

/// The same where there is a key file beside the object.
pub const NEEDED_FOR_KEY_FILES: &[&str] = &["statx"];
