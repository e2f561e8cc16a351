//! Who counts together: scopes, and what tells a login session from another.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use once_cell::sync::OnceCell;
use sha1::{Digest as _, Sha1};

use super::name::escaped;
use crate::identity::Identity;
use crate::kernel::at_secure;

/// Who shares the numbers of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One numbering for each user. Root called by a user (sudo, pkexec, doas, su) is that user.
    #[default]
    User,
    /// One for each login session of a user: the one that the kernel has
    /// (`/proc/self/sessionid`), which stays under `sudo`; else `$XDG_SESSION_ID`, else the display,
    /// which may not.
    Session,
    /// One for the whole machine, among those who are named.
    Machine(Audience),
}

/// Who takes part in [`Scope::Machine`]. They have to trust each other: each can keep numbers and
/// claims from the others and write what they like into the descriptions, and whoever made the
/// registry's file can replace or mark it so that two have the same number. Who is not named can only
/// be in the way: by making the file of a group first, or, while it is new, by locking the same bytes of
/// another file in `/dev/shm`, which nothing tells from a member's. Root called by a user takes part
/// as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Every local user.
    World,
    /// Root and the members of the group with this gid.
    Group(u32),
}

impl Audience {
    /// The mode of its registry files.
    pub(super) fn mode(self) -> u32 {
        match self {
            Self::World => 0o666,
            Self::Group(_) => 0o660,
        }
    }
}

/// A scope with what it means for one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// Of this user.
    User(u32),
    /// Of this user's session.
    Session { uid: u32, session: String },
    /// Of the machine.
    Machine(Audience),
}

impl Numbering {
    pub fn new(scope: Scope, identity: Identity, surroundings: &Surroundings) -> Self {
        match scope {
            Scope::User => Self::User(identity.uid),
            Scope::Session => Self::Session {
                uid: identity.uid,
                session: surroundings.session.clone(),
            },
            Scope::Machine(audience) => Self::Machine(audience),
        }
    }

    /// The user whose it is, if it is one user's.
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::User(uid) | Self::Session { uid, .. } => Some(*uid),
            Self::Machine(_) => None,
        }
    }

    /// Whose it is, for hashing.
    pub fn owner(&self) -> String {
        match self {
            Self::User(uid) | Self::Session { uid, .. } => format!("user {uid}"),
            Self::Machine(_) => "machine".to_owned(),
        }
    }

    /// The scope, in letters that go into a file name.
    pub fn tag(&self) -> String {
        match self {
            Self::User(_) => "user".to_owned(),
            Self::Session { session, .. } => format!("session-{}", escaped(session, b"-_")),
            Self::Machine(Audience::World) => "world".to_owned(),
            Self::Machine(Audience::Group(gid)) => format!("group-{gid}"),
        }
    }
}

/// What the surroundings say: read once in a process, so that its instances stay together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `$XDG_RUNTIME_DIR`, not checked.
    pub runtime_directory: Option<PathBuf>,
    /// A word for the login session.
    pub session: String,
}

impl Surroundings {
    /// Those of this process.
    pub fn current() -> &'static Self {
        static CURRENT: OnceCell<Surroundings> = OnceCell::new();
        CURRENT.get_or_init(|| {
            // Nothing is believed that the caller of a program with more rights may have set.
            let variable = |name: &str| {
                let value = env::var_os(name).filter(|_| !at_secure())?;
                (!value.is_empty()).then_some(value)
            };
            let text = |name: &str| variable(name)?.into_string().ok();
            let kernel = fs::read_to_string("/proc/self/sessionid").unwrap_or_default();
            let display = text("WAYLAND_DISPLAY").or_else(|| text("DISPLAY"));
            Self {
                runtime_directory: variable("XDG_RUNTIME_DIR").map(PathBuf::from),
                session: session(kernel.trim(), text("XDG_SESSION_ID"), display),
            }
        })
    }
}

/// Longer words for a session are a letter and a hash.
const LONGEST_WORD: usize = 20;

/// The word for a session. The letters in front keep kinds of numbers apart.
fn session(kernel: &str, xdg: Option<String>, display: Option<String>) -> String {
    let number: Option<u32> = kernel.parse().ok();
    // The largest number is the kernel's word for "none".
    let known = number.filter(|number| *number != u32::MAX);
    let mut word = match (known, xdg, display) {
        (Some(number), _, _) => format!("a{number}"),
        (None, Some(xdg), _) => format!("x{xdg}"),
        // A screen of a display is no session.
        (None, None, Some(display)) => {
            format!("d{}", display.strip_suffix(".0").unwrap_or(&display))
        }
        (None, None, None) => "none".to_owned(),
    };
    // What an environment variable says must not make a file name too long, and what differs at
    // the end, such as the displays of one host, must stay different.
    if word.len() > LONGEST_WORD {
        let hash = Sha1::digest(word.as_bytes());
        word.truncate(1);
        for byte in hash.iter().take(8) {
            let _ = write!(word, "{byte:02x}");
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_session_counts_first() {
        let text = |text: &str| Some(text.to_owned());
        for (kernel, xdg, display, expected) in [
            ("7", text("2"), text(":0"), "a7"),
            ("4294967295", text("2"), text(":0"), "x2"),
            ("", text("2"), text(":0"), "x2"),
            ("4294967295", None, text(":0.0"), "d:0"),
            ("4294967295", None, text("wayland-1"), "dwayland-1"),
            ("x", None, None, "none"),
        ] {
            assert_eq!(session(kernel, xdg, display), expected);
        }
    }

    #[test]
    fn long_words_are_short_and_still_different() {
        let word = |display: &str| session("", None, Some(display.to_owned()));
        let (one, two) = (
            word("workstation.example.com:1"),
            word("workstation.example.com:2"),
        );
        assert_ne!(one, two);
        assert_eq!(word("workstation.example.com:1.0"), one);
        for word in [one, two, word(&"ä".repeat(9999))] {
            assert!(
                word.len() <= LONGEST_WORD && word.starts_with('d'),
                "{word}"
            );
        }
    }
}
