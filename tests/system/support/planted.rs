//! System V objects and identities, straight from the kernel: for planting
//! what an attacker, a crash or a cleaner may leave.

// System V calls are in no safe crate that is used here.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The `key_t` that Qt's of today makes of a key file, as ftok(3) with `'Q'`.
pub fn key_of(file: &Path) -> u32 {
    let data = file.metadata().expect("the key file is there");
    let device = (data.dev() & 0xff) as u32;
    let inode = (data.ino() & 0xffff) as u32;
    u32::from(b'Q') << 24 | device << 16 | inode
}

/// Runs `act` with the calling thread's effective user and group changed.
pub fn as_user<T>(uid: u32, act: impl FnOnce() -> T) -> T {
    set_ids(uid);
    let result = act();
    set_ids(0);
    result
}

/// The raw calls, since those of libc change all threads. Group first on the
/// way down, user first on the way up; each order works when root is left or
/// entered by the user id last.
fn set_ids(uid: u32) {
    let keep = -1_i64;
    let user = i64::from(uid);
    // SAFETY: numbers only, and of the calling thread alone.
    let results = unsafe {
        if uid == 0 {
            [
                libc::syscall(libc::SYS_setresuid, keep, user, keep),
                libc::syscall(libc::SYS_setresgid, keep, user, keep),
            ]
        } else {
            [
                libc::syscall(libc::SYS_setresgid, keep, user, keep),
                libc::syscall(libc::SYS_setresuid, keep, user, keep),
            ]
        }
    };
    assert_eq!(results, [0, 0], "{}", io::Error::last_os_error());
}

/// Makes a segment, all bytes `fill`.
pub fn make_segment(key: u32, size: usize, mode: u32, fill: u8) -> i32 {
    // SAFETY: the segment is new, mapped at a free address, `size` bytes
    // long, and unmapped again.
    unsafe {
        let id = checked(libc::shmget(
            key as i32,
            size,
            libc::IPC_CREAT | libc::IPC_EXCL | mode as i32,
        ));
        let address = libc::shmat(id, std::ptr::null(), 0);
        assert_ne!(address.addr(), usize::MAX, "{}", io::Error::last_os_error());
        address.cast::<u8>().write_bytes(fill, size);
        checked(libc::shmdt(address));
        id
    }
}

/// Maps a segment and keeps it mapped until dropped.
pub struct Mapped(*mut libc::c_void);

impl Mapped {
    pub fn new(id: i32) -> Self {
        // SAFETY: mapped at a free address that the kernel chooses.
        let address = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert_ne!(address.addr(), usize::MAX, "{}", io::Error::last_os_error());
        Self(address)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` and nobody has a reference into it.
        unsafe { libc::shmdt(self.0) };
    }
}

/// Whether all of a segment's first bytes are still `fill`.
pub fn segment_has(id: i32, size: usize, fill: u8) -> bool {
    let mapped = Mapped::new(id);
    // SAFETY: the segment was made with this size; nobody writes to it now.
    let bytes = unsafe { std::slice::from_raw_parts(mapped.0.cast::<u8>(), size) };
    bytes.iter().all(|byte| *byte == fill)
}

/// Gives a segment to somebody (`IPC_SET`).
pub fn give_segment(id: i32, uid: u32, mode: u32) {
    // SAFETY: the structure is filled by the kernel and lives through both calls.
    unsafe {
        let mut data: libc::shmid_ds = std::mem::zeroed();
        checked(libc::shmctl(id, libc::IPC_STAT, &raw mut data));
        data.shm_perm.uid = uid;
        data.shm_perm.gid = uid;
        data.shm_perm.mode = mode as _;
        checked(libc::shmctl(id, libc::IPC_SET, &raw mut data));
    }
}

/// Makes a set of `count` semaphores, the first with this value. Without one
/// it is a set that nobody has used yet.
pub fn make_semaphore(key: u32, count: i32, mode: u32, value: Option<i32>) -> i32 {
    // SAFETY: numbers only.
    unsafe {
        let id = checked(libc::semget(
            key as i32,
            count,
            libc::IPC_CREAT | libc::IPC_EXCL | mode as i32,
        ));
        if let Some(value) = value {
            checked(libc::semctl(id, 0, libc::SETVAL, value));
        }
        id
    }
}

/// Gives a semaphore to somebody (`IPC_SET`).
pub fn give_semaphore(id: i32, uid: u32, mode: u32) {
    // SAFETY: the structure is filled by the kernel and lives through both calls.
    unsafe {
        let mut data: libc::semid_ds = std::mem::zeroed();
        checked(libc::semctl(id, 0, libc::IPC_STAT, &raw mut data));
        data.sem_perm.uid = uid;
        data.sem_perm.gid = uid;
        data.sem_perm.mode = mode as _;
        checked(libc::semctl(id, 0, libc::IPC_SET, &raw mut data));
    }
}

pub fn semaphore_value(id: i32) -> i32 {
    // SAFETY: numbers only.
    checked(unsafe { libc::semctl(id, 0, libc::GETVAL) })
}

pub fn remove_segment(id: i32) {
    // SAFETY: no structure is read or written by this command.
    checked(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) });
}

pub fn remove_semaphore(id: i32) {
    // SAFETY: numbers only.
    checked(unsafe { libc::semctl(id, 0, libc::IPC_RMID) });
}

fn checked(result: i32) -> i32 {
    assert!(result >= 0, "{}", io::Error::last_os_error());
    result
}
