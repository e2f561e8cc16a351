//! One thread under another effective user and group: setresuid(2), setresgid(2), prctl(2).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::Errno;
use crate::notes;

/// This thread under another effective user and group, until dropped.
///
/// The raw system calls change the calling thread alone, where glibc's functions of the same
/// name change every thread. Real and saved ids stay, so nobody gains the right to signal or
/// trace the process meanwhile.
pub(super) struct AsUser {
    uid: u32,
    gid: u32,
    dumpable: libc::c_int,
    death_signal: libc::c_int,
    parent: libc::pid_t,
    signals: u64,
    _alone: MutexGuard<'static, ()>,
}

/// The ids are the thread's, but the dumpable flag is the process's: a second thread would see
/// the first one's and not put its own back.
static ALONE: Mutex<()> = Mutex::new(());

/// Leaves an id as it is, see setresuid(2).
const SAME: libc::c_long = -1;

impl AsUser {
    pub(super) fn become_user(uid: u32, gid: u32) -> Result<Self, Errno> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // No handler is to run with the user's rights; and when another thread changes the ids of the
        // whole process, which glibc does by a signal to each thread, that waits until ours are back.
        let signals = change_signals(libc::SIG_BLOCK, u64::MAX);
        let mut death_signal = 0;
        // SAFETY: PR_GET_PDEATHSIG writes one int, which lives here; the others take numbers.
        let back = unsafe {
            libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut death_signal);
            AsUser {
                uid: libc::geteuid(),
                gid: libc::getegid(),
                dumpable: libc::prctl(libc::PR_GET_DUMPABLE),
                death_signal,
                parent: libc::getppid(),
                signals,
                _alone: alone,
            }
        };
        // The group first: a user who is not root may not change it. If the second call fails,
        // dropping `back` undoes the first.
        set_effective(libc::SYS_setresgid, gid)?;
        set_effective(libc::SYS_setresuid, uid)?;
        Ok(back)
    }
}

/// Runs `act` as root where this thread is [under another user](AsUser); as it is otherwise. Root's
/// processes may be looked into by root alone.
pub(super) fn as_root_again<T>(act: impl FnOnce() -> T) -> T {
    /// Back to the user, also if `act` panics.
    struct Back(Option<u32>);
    impl Drop for Back {
        fn drop(&mut self) {
            if let Some(uid) = self.0 {
                // Root may become anybody.
                if let Err(errno) = set_effective(libc::SYS_setresuid, uid) {
                    let text = format!("cannot go back to uid {uid}: {}", errno.desc());
                    notes::warn(notes::QSHM, text);
                }
            }
        }
    }
    // SAFETY: asks for a number.
    let uid = unsafe { libc::geteuid() };
    // For a process that is not root's this changes nothing.
    let root = uid != 0 && set_effective(libc::SYS_setresuid, 0).is_ok();
    let _back = Back(root.then_some(uid));
    act()
}

/// sigprocmask(2) of this thread, by its number: glibc leaves out the signals that it uses itself. The
/// mask before.
fn change_signals(how: libc::c_int, mask: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: the kernel reads and writes eight bytes each, as told; both live here.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            how,
            &raw const mask,
            &raw mut before,
            size_of::<u64>(),
        )
    };
    before
}

fn set_effective(call: libc::c_long, id: u32) -> Result<(), Errno> {
    // SAFETY: three numbers to setresuid or setresgid, which change this thread's credentials.
    Errno::result(unsafe { libc::syscall(call, SAME, libc::c_long::from(id), SAME) }).map(drop)
}

impl Drop for AsUser {
    fn drop(&mut self) {
        // Both succeed: the real or saved id is still the old one.
        let user = set_effective(libc::SYS_setresuid, self.uid);
        let group = set_effective(libc::SYS_setresgid, self.gid);
        if user.is_err() || group.is_err() {
            let text = format!("cannot go back to uid {}, gid {}", self.uid, self.gid);
            notes::warn(notes::QSHM, text);
        }
        // A change of ids clears both, see prctl(2). Another value than 1 can't be set and
        // needs no setting.
        // SAFETY: numbers only; raise delivers a signal that the process asked for.
        unsafe {
            if self.dumpable == 1 {
                libc::prctl(libc::PR_SET_DUMPABLE, 1);
            }
            if self.death_signal != 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, self.death_signal);
                if libc::getppid() != self.parent {
                    // The parent died in between, when nothing could tell us.
                    libc::raise(self.death_signal);
                }
            }
        }
        change_signals(libc::SIG_SETMASK, self.signals);
    }
}
