//! Why a step towards a number or a claim did not do what it should.

use std::path::Path;

use crate::kernel::Errno;

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody changed something meanwhile: begin again.
    Again,
    /// In one sentence.
    Because(String),
    /// The same, where the process or the system lacks something for now: that says nothing of
    /// what others can do.
    Lacking(String),
}

impl Stop {
    pub fn because(text: String) -> Self {
        Self::Because(text)
    }

    /// A system call that failed, what it was for, and on what.
    pub fn failed(doing: &str, path: &Path, errno: Errno) -> Self {
        let why = match errno {
            Errno::EMFILE => "this process has too many files open",
            Errno::ENFILE => "the system has too many files open",
            Errno::EACCES | Errno::EPERM => "permission denied",
            Errno::EROFS => "the file system is read-only",
            Errno::ENOSPC | Errno::EDQUOT => "no space is left",
            Errno::ENOLCK | Errno::EINVAL => "there are no locks",
            Errno::ELOOP => "a symbolic link is on the way",
            Errno::ETIME => "there are too many",
            Errno::ENOMEM => "no memory is left",
            other => other.desc(),
        };
        let text = format!("{doing} {} failed: {why}", path.display());
        match errno {
            Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ETIME => Self::Lacking(text),
            _ => Self::Because(text),
        }
    }
}
