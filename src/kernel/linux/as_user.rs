//! One thread under another effective user and group: setresuid(2), setresgid(2), prctl(2).

use std::cell::Cell;

use super::super::Errno;
use super::fork_window::Window;
use super::signals::HeldBack;
use crate::notes;

/// This thread under another effective user and group, until dropped.
///
/// The raw system calls change the calling thread alone, where glibc's functions of the same
/// name change every thread. Real and saved ids stay, so nobody gains the right to signal or
/// trace the process meanwhile.
///
/// No signal is handled meanwhile, with rights that its handler does not expect. Among them is
/// that with which glibc changes the ids of all threads when another one calls setuid(2): in this
/// one that would fail, and glibc aborts where threads differ. So setuid(2) waits.
///
/// Nor does another thread fork: the ids are the thread's, but the dumpable flag is the process's.
/// A child would have it cleared for good; and a second thread would take what the first one has
/// made of it for what it was before.
pub(super) struct AsUser {
    uid: u32,
    gid: u32,
    dumpable: libc::c_int,
    death_signal: libc::c_int,
    parent: libc::pid_t,
    // Dropped in this order, after the ids are back.
    _window: Window,
    _signals: HeldBack,
}

thread_local! {
    /// Whether this thread is under another user.
    static ACTING: Cell<bool> = const { Cell::new(false) };
}

/// Leaves an id as it is, see setresuid(2).
const SAME: libc::c_long = -1;

impl AsUser {
    pub(super) fn become_user(uid: u32, gid: u32) -> Result<Self, Errno> {
        let signals = HeldBack::all();
        let window = Window::enter();
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
                _window: window,
                _signals: signals,
            }
        };
        let _ = ACTING.try_with(|acting| acting.set(true));
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
    // A program that has given up root's rights for a while does not want them back.
    let acting = ACTING.try_with(Cell::get).unwrap_or(false);
    // SAFETY: asks for a number.
    let uid = unsafe { libc::geteuid() };
    let root = acting && uid != 0 && set_effective(libc::SYS_setresuid, 0).is_ok();
    let _back = Back(root.then_some(uid));
    act()
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
        let _ = ACTING.try_with(|acting| acting.set(false));
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
    }
}
