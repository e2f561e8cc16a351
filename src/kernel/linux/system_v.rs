//! System V segments and semaphores: shmget(2), shmctl(2), shmop(2), semget(2), semctl(2),
//! semop(2).

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::{Errno, IpcId, IpcKey, IpcPerm, SemStat, ShmStat, Wait};
use super::check;

/// The segment is removed when the last process detaches: `SHM_DEST` in `shm_perm.mode`, which
/// libc does not name.
const SHM_DEST: u32 = 0o1000;

fn ipc_perm(perm: &libc::ipc_perm) -> IpcPerm {
    IpcPerm {
        uid: perm.uid,
        gid: perm.gid,
        cuid: perm.cuid,
        cgid: perm.cgid,
        // 16 bits on x86-64, 32 on other machines.
        #[allow(clippy::useless_conversion)]
        mode: u32::from(perm.mode) & 0o777,
    }
}

pub fn shm_find(key: IpcKey) -> Result<IpcId, Errno> {
    // SAFETY: numbers only.
    check(unsafe { libc::shmget(key, 0, 0) })
}

pub fn shm_create(key: IpcKey, size: usize, mode: u32) -> Result<IpcId, Errno> {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | mode as libc::c_int;
    // SAFETY: numbers only.
    check(unsafe { libc::shmget(key, size, flags) })
}

fn shm_status(id: IpcId) -> Result<libc::shmid_ds, Errno> {
    let mut status: MaybeUninit<libc::shmid_ds> = MaybeUninit::uninit();
    // SAFETY: the kernel fills `status`, which lives here, and only then is it read.
    unsafe {
        check(libc::shmctl(id, libc::IPC_STAT, status.as_mut_ptr()))?;
        Ok(status.assume_init())
    }
}

pub fn shm_stat(id: IpcId) -> Result<ShmStat, Errno> {
    let status = shm_status(id)?;
    #[allow(clippy::useless_conversion)]
    let mode = u32::from(status.shm_perm.mode);
    Ok(ShmStat {
        perm: ipc_perm(&status.shm_perm),
        size: status.shm_segsz,
        attached: status.shm_nattch,
        creator_pid: status.shm_cpid,
        last_pid: status.shm_lpid,
        removed: mode & SHM_DEST != 0,
        changed: status.shm_ctime,
    })
}

pub fn shm_set(id: IpcId, uid: u32, gid: u32, mode: u32) -> Result<(), Errno> {
    // SAFETY: a struct of numbers, of which IPC_SET reads these three alone.
    let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
    status.shm_perm.uid = uid;
    status.shm_perm.gid = gid;
    status.shm_perm.mode = mode as _;
    // SAFETY: the kernel reads `status`, which lives here.
    check(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut status) }).map(drop)
}

pub fn shm_remove(id: IpcId) -> Result<(), Errno> {
    // SAFETY: IPC_RMID takes no buffer.
    check(unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) }).map(drop)
}

pub fn shm_attach(id: IpcId, read_only: bool) -> Result<usize, Errno> {
    let flags = if read_only { libc::SHM_RDONLY } else { 0 };
    // SAFETY: with a null address the kernel chooses a free place, so nothing is overwritten.
    let address = unsafe { libc::shmat(id, ptr::null(), flags) };
    if address as isize == -1 {
        Err(Errno::last())
    } else {
        Ok(address as usize)
    }
}

pub fn shm_detach(address: usize) -> Result<(), Errno> {
    // SAFETY: the kernel refuses an address at which no segment is attached; whoever asked for
    // the address gives it up here, as QSharedMemory::detach() documents.
    check(unsafe { libc::shmdt(address as *const libc::c_void) }).map(drop)
}

pub fn shm_clear(address: usize, size: usize) {
    // SAFETY: the caller attached the segment at `address` read-write, and the kernel said that
    // it is `size` bytes long; a System V segment never shrinks.
    unsafe { ptr::write_bytes(address as *mut u8, 0, size) };
}

pub fn shm_load(address: usize) -> u64 {
    // SAFETY: the address is that of a segment that this process has attached, so a page at
    // least, aligned to one; other processes access it by whole words or under its lock.
    unsafe { AtomicU64::from_ptr(address as *mut u64) }.load(Ordering::SeqCst)
}

pub fn shm_store(address: usize, value: u64) {
    // SAFETY: as above, attached for writing.
    unsafe { AtomicU64::from_ptr(address as *mut u64) }.store(value, Ordering::SeqCst);
}

pub fn sem_find(key: IpcKey) -> Result<IpcId, Errno> {
    // SAFETY: numbers only.
    check(unsafe { libc::semget(key, 0, 0) })
}

pub fn sem_create(key: IpcKey, mode: u32) -> Result<IpcId, Errno> {
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | mode as libc::c_int;
    // SAFETY: numbers only.
    check(unsafe { libc::semget(key, 1, flags) })
}

fn sem_status(id: IpcId) -> Result<libc::semid_ds, Errno> {
    let mut status: MaybeUninit<libc::semid_ds> = MaybeUninit::uninit();
    // SAFETY: the kernel fills `status`, which lives here, and only then is it read.
    unsafe {
        check(libc::semctl(id, 0, libc::IPC_STAT, status.as_mut_ptr()))?;
        Ok(status.assume_init())
    }
}

pub fn sem_was_used(id: IpcId) -> Result<bool, Errno> {
    sem_status(id).map(|status| status.sem_otime != 0)
}

pub fn sem_stat(id: IpcId) -> Result<SemStat, Errno> {
    let status = sem_status(id)?;
    Ok(SemStat {
        perm: ipc_perm(&status.sem_perm),
        count: status.sem_nsems,
    })
}

pub fn sem_set(id: IpcId, uid: u32, gid: u32, mode: u32) -> Result<(), Errno> {
    // SAFETY: a struct of numbers, of which IPC_SET reads these three alone.
    let mut status: libc::semid_ds = unsafe { std::mem::zeroed() };
    status.sem_perm.uid = uid;
    status.sem_perm.gid = gid;
    status.sem_perm.mode = mode as _;
    // SAFETY: the kernel reads `status`, which lives here.
    check(unsafe { libc::semctl(id, 0, libc::IPC_SET, &raw mut status) }).map(drop)
}

pub fn sem_remove(id: IpcId) -> Result<(), Errno> {
    // SAFETY: IPC_RMID takes no argument.
    check(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

pub fn sem_get(id: IpcId, what: libc::c_int) -> Result<i32, Errno> {
    // SAFETY: GETVAL, GETNCNT and GETPID take no argument.
    check(unsafe { libc::semctl(id, 0, what) })
}

pub fn sem_set_value(id: IpcId, value: i32) -> Result<(), Errno> {
    // SAFETY: SETVAL takes an int (in a union with a pointer, of which it reads the int).
    check(unsafe { libc::semctl(id, 0, libc::SETVAL, libc::c_long::from(value)) }).map(drop)
}

pub fn sem_op(id: IpcId, delta: i16, wait: Wait) -> Result<(), Errno> {
    let flags = match wait {
        Wait::No => libc::SEM_UNDO | libc::IPC_NOWAIT,
        Wait::AtMost(_) | Wait::Forever => libc::SEM_UNDO,
    };
    let mut operation = libc::sembuf {
        sem_num: 0,
        sem_op: delta,
        sem_flg: flags as libc::c_short,
    };
    let mut deadline = None;
    loop {
        let left = match (wait, deadline) {
            (Wait::AtMost(time), None) => Some(time),
            (Wait::AtMost(_), Some(end)) => {
                Some(Instant::saturating_duration_since(&end, Instant::now()))
            }
            _ => None,
        };
        let left = left.map(timespec);
        let timeout = left.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: one operation, which lives here, and a timeout that does or is null. libc has
        // no semtimedop; the system call has the same arguments.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_semtimedop,
                id,
                &raw mut operation,
                1usize,
                timeout,
            )
        };
        match Errno::result(answer) {
            Err(Errno::EINTR) => {
                if let (Wait::AtMost(time), None) = (wait, deadline) {
                    // What was waited before the first signal is not counted: it only makes the
                    // wait longer, and the usual call needs no clock.
                    deadline = Instant::now().checked_add(time);
                }
            }
            answer => return answer.map(drop),
        }
    }
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// shmctl(2) and semctl(2) commands of Linux that libc does not name: how many objects there
/// are, and the object at an index, which needs no permission (Linux 4.17).
const SHM_INFO: libc::c_int = 14;
const SHM_STAT_ANY: libc::c_int = 15;
const SEM_INFO: libc::c_int = 19;
const SEM_STAT_ANY: libc::c_int = 20;

/// With more objects than this, asking for each is too slow for a start.
const MANY: libc::c_int = 500;

/// Room for what `SHM_INFO` and `SEM_INFO` write: `struct shm_info` is 48 bytes and begins with
/// the number of segments; `struct seminfo` is ten ints, of which the second is the limit
/// (`SEMMNI`) and the eighth the number of semaphore sets.
#[repr(C, align(8))]
struct Info([libc::c_int; 32]);

pub fn shm_keys() -> Vec<IpcKey> {
    let mut info = Info([0; 32]);
    // SAFETY: the kernel writes at most 48 bytes to `info`. Its answer is the highest index.
    let last = unsafe { libc::shmctl(0, SHM_INFO, (&raw mut info).cast()) };
    let of_index = |index| {
        let mut status: MaybeUninit<libc::shmid_ds> = MaybeUninit::uninit();
        // SAFETY: the kernel fills `status`, which lives here, and only then is it read.
        let status = unsafe {
            check(libc::shmctl(index, SHM_STAT_ANY, status.as_mut_ptr())).ok()?;
            status.assume_init()
        };
        (status.shm_nattch > 0).then_some(status.shm_perm.__key)
    };
    keys(info.0[0], last, of_index)
}

pub fn sem_keys() -> Vec<IpcKey> {
    let mut info = Info([0; 32]);
    // SAFETY: the kernel writes at most 40 bytes to `info`. Its answer is the highest index.
    let last = unsafe { libc::semctl(0, 0, SEM_INFO, &raw mut info) };
    let of_index = |index| {
        let mut status: MaybeUninit<libc::semid_ds> = MaybeUninit::uninit();
        // SAFETY: the kernel fills `status`, which lives here, and only then is it read.
        unsafe {
            check(libc::semctl(index, 0, SEM_STAT_ANY, status.as_mut_ptr())).ok()?;
            Some(status.assume_init().sem_perm.__key)
        }
    };
    keys(info.0[7], last, of_index)
}

pub fn sem_limit_reached() -> bool {
    let mut info = Info([0; 32]);
    // SAFETY: the kernel writes at most 40 bytes to `info`.
    let answer = unsafe { libc::semctl(0, 0, SEM_INFO, &raw mut info) };
    answer >= 0 && info.0[7] >= info.0[1]
}

/// The keys of `count` objects at indices up to `last`.
fn keys(
    count: libc::c_int,
    last: libc::c_int,
    of_index: impl Fn(libc::c_int) -> Option<IpcKey>,
) -> Vec<IpcKey> {
    if count == 0 || count > MANY || last < 0 {
        return Vec::new();
    }
    (0..=last).filter_map(of_index).collect()
}
