//! For whom the process acts: the user that it runs as, or the one who called root.
//!
//! A program that a user starts by sudo, pkexec, doas or su runs as root, but the segments it
//! makes are the user's as well: tomorrow the same program runs without sudo.

use std::env;
use std::fs;

use nix::unistd::{Uid, User, getegid, geteuid};
use once_cell::sync::OnceCell;

use crate::access::Access;

/// What the kernel and setresuid(2) take for "no user", also in `/proc/self/loginuid`.
const NO_ID: u32 = u32::MAX;

/// Whose objects are made and trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
    /// The process runs as root (effective user 0), the identity is the user who called it.
    pub acting_as_root: bool,
}

/// What there is to know of who started the process; texts as found, not checked.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Caller {
    /// Effective user of the calling thread.
    pub euid: u32,
    /// Effective group of the calling thread.
    pub egid: u32,
    /// `$SUDO_UID`, see sudo(8).
    pub sudo_uid: Option<String>,
    /// `$SUDO_GID`, see sudo(8).
    pub sudo_gid: Option<String>,
    /// `$PKEXEC_UID`, see pkexec(1).
    pub pkexec_uid: Option<String>,
    /// `$DOAS_USER`, see doas(1).
    pub doas_user: Option<String>,
    /// `/proc/self/loginuid`: who logged in, which survives su(1). `None`: it can't be read.
    pub login_uid: Option<u32>,
}

/// A user to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRef<'a> {
    /// By number.
    Uid(u32),
    /// By name.
    Name(&'a str),
}

/// The identity for a policy. `lookup` answers a user's uid and primary gid, `None` for users
/// that do not exist.
///
/// Only [`Access::Invoker`] asks who called, and only in a process whose effective user is root:
/// everybody else can set the environment as they like, and gains nothing by it. The first that
/// names an existing user other than root is believed.
pub fn identify(
    caller: &Caller,
    access: Access,
    lookup: impl Fn(UserRef<'_>) -> Option<(u32, u32)>,
) -> Identity {
    let invoker = asks_for_invoker(caller, access).then(|| invoker(caller, lookup));
    identity(caller, invoker.flatten())
}

/// The identity of this process, and thread where threads differ.
///
/// The environment and the login uid are read once in a process, so that its objects do not
/// change hands when it changes its environment.
pub fn current(access: Access) -> Identity {
    // Looking up a user may ask servers. One that is not there now may be later.
    static INVOKER: OnceCell<(u32, u32)> = OnceCell::new();
    let effective = Caller {
        euid: geteuid().as_raw(),
        egid: getegid().as_raw(),
        ..Caller::default()
    };
    if !asks_for_invoker(&effective, access) {
        return identity(&effective, None);
    }
    let caller = Caller {
        euid: effective.euid,
        egid: effective.egid,
        ..at_start().clone()
    };
    let found = INVOKER.get_or_try_init(|| invoker(&caller, look_up).ok_or(()));
    identity(&caller, found.ok().copied())
}

/// Who started this process. Environment variables are left out where the process has more
/// rights than its caller (set-uid programs and the like).
pub fn caller() -> Caller {
    Caller {
        euid: geteuid().as_raw(),
        egid: getegid().as_raw(),
        ..at_start().clone()
    }
}

/// The part of a [`Caller`] that is read once.
fn at_start() -> &'static Caller {
    static AT_START: OnceCell<Caller> = OnceCell::new();
    AT_START.get_or_init(|| {
        let variable = |name: &str| -> Option<String> {
            if crate::kernel::at_secure() {
                return None;
            }
            env::var(name).ok()
        };
        Caller {
            euid: 0,
            egid: 0,
            sudo_uid: variable("SUDO_UID"),
            sudo_gid: variable("SUDO_GID"),
            pkexec_uid: variable("PKEXEC_UID"),
            doas_user: variable("DOAS_USER"),
            login_uid: fs::read_to_string("/proc/self/loginuid")
                .ok()
                .and_then(|text| text.trim_end().parse().ok()),
        }
    })
}

/// A uid or gid in decimal: digits only, and not the number that means none.
pub(crate) fn numeric_id(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let id = digits.then(|| text.parse().ok()).flatten()?;
    (id != NO_ID).then_some(id)
}

fn asks_for_invoker(caller: &Caller, access: Access) -> bool {
    caller.euid == 0 && access == Access::Invoker
}

fn identity(caller: &Caller, invoker: Option<(u32, u32)>) -> Identity {
    let (uid, gid) = invoker.unwrap_or((caller.euid, caller.egid));
    Identity {
        uid,
        gid,
        acting_as_root: invoker.is_some(),
    }
}

/// The user (uid, gid) who called root, if somebody did.
///
/// Root as a caller is no answer but a question: who called that one? So the search goes on, and
/// `sudo` typed into a root shell still leads to the user who opened the shell.
fn invoker(
    caller: &Caller,
    lookup: impl Fn(UserRef<'_>) -> Option<(u32, u32)>,
) -> Option<(u32, u32)> {
    let user = |user: UserRef<'_>| lookup(user).filter(|(uid, _)| *uid != 0 && *uid != NO_ID);
    let by_uid = |text: &Option<String>| {
        numeric_id(text.as_deref()?).and_then(|uid| user(UserRef::Uid(uid)))
    };

    by_uid(&caller.sudo_uid)
        .map(|(uid, gid)| {
            // The group that the user had, which may be another than the one at login.
            let had = caller.sudo_gid.as_deref().and_then(numeric_id);
            (uid, had.filter(|gid| *gid != 0).unwrap_or(gid))
        })
        .or_else(|| by_uid(&caller.pkexec_uid))
        .or_else(|| user(UserRef::Name(caller.doas_user.as_deref()?)))
        .or_else(|| {
            let uid = caller.login_uid.filter(|uid| *uid != NO_ID)?;
            user(UserRef::Uid(uid))
        })
}

fn look_up(user: UserRef<'_>) -> Option<(u32, u32)> {
    let found = match user {
        UserRef::Uid(uid) => User::from_uid(Uid::from_raw(uid)),
        UserRef::Name(name) => User::from_name(name),
    };
    let user = found.ok()??;
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

#[cfg(test)]
mod tests;
