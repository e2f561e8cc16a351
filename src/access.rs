//! Who may use the objects of a key: one policy, and what follows from it.
//!
//! Everything here is decided from what was looked at already. Objects are never trusted because
//! they have the right name: in a temp directory everybody can make files of any name, and any
//! process can make System V objects of any key.

use nix::unistd::Group;

use crate::identity::Identity;
use crate::kernel::{FileKind, FileStat, IpcPerm};

/// The policy for files and System V objects that qshm makes or finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// Only the user that the process runs as, as Qt does it.
    Owner,
    /// As [`Access::Owner`], but what root makes on behalf of a user (sudo, pkexec, doas, su)
    /// belongs to that user, so that both share.
    #[default]
    Invoker,
    /// Also everybody in the group with this gid.
    Group(u32),
    /// Every local user reads and alters the contents. Qt up to 4.8.4 did that, which was
    /// CVE-2013-0254.
    World,
}

impl Access {
    /// The policy of this name: `owner`, `invoker`, `group:` and a group's name or gid, `world`.
    /// `None`: no such policy or no such group.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::parse(text, |name| {
            let group = Group::from_name(name).ok()??;
            Some(group.gid.as_raw())
        })
    }

    /// [`Access::from_text`] with groups looked up by `gid_of`.
    fn parse(text: &str, gid_of: impl Fn(&str) -> Option<u32>) -> Option<Self> {
        match text {
            "owner" => Some(Self::Owner),
            "invoker" => Some(Self::Invoker),
            "world" => Some(Self::World),
            _ => {
                let group = text.strip_prefix("group:")?;
                // A name first, as chown(1) has it: names may consist of digits.
                gid_of(group)
                    .or_else(|| crate::identity::numeric_id(group))
                    .map(Self::Group)
            }
        }
    }

    /// Permission bits for segments and semaphores.
    pub fn object_mode(self) -> u32 {
        match self {
            Self::Owner | Self::Invoker => 0o600,
            Self::Group(_) => 0o660,
            Self::World => 0o666,
        }
    }

    /// Permission bits for key files. Reading is enough to lock them.
    pub fn key_file_mode(self) -> u32 {
        match self {
            Self::Owner | Self::Invoker => 0o600,
            Self::Group(_) => 0o640,
            Self::World => 0o644,
        }
    }

    /// Whether a file may serve as key file: a plain file with one link, from someone whom the
    /// policy names.
    ///
    /// A second link could be in the hands of someone who makes it outlive our unlink, or lead
    /// to a file that is none of ours.
    pub fn trusts_file(self, identity: &Identity, file: &FileStat) -> bool {
        let plain = file.kind == FileKind::Regular && file.links == 1;
        plain
            && match self {
                Self::Owner | Self::Invoker => is_own(identity, file.uid),
                // Only members (and root) can give a file to a group.
                Self::Group(gid) => is_own(identity, file.uid) || file.gid == gid,
                Self::World => true,
            }
    }

    /// Whether a segment or semaphore comes from someone whom the policy names.
    ///
    /// The creator counts as much as the owner: `IPC_SET` can give an object to anybody, but its
    /// creator keeps the owner's rights for as long as it exists. A group says less than with
    /// files, since `IPC_SET` takes any: it is to be used with a key file that is trusted.
    pub fn trusts_object(self, identity: &Identity, perm: &IpcPerm) -> bool {
        let own = is_own(identity, perm.uid) && is_own(identity, perm.cuid);
        match self {
            Self::Owner | Self::Invoker => own,
            Self::Group(gid) => own || perm.gid == gid,
            Self::World => true,
        }
    }
}

/// Root's things are as good as one's own: root could do anything with those as well.
fn is_own(identity: &Identity, uid: u32) -> bool {
    uid == identity.uid || uid == 0
}

/// Whether a System V object's mode lets a user and group do what `want` says, one digit of an
/// octal mode: `0o4` read, `0o2` alter, `0o6` both. As the kernel decides it, but without
/// capabilities (root needs no permission) and for this one group.
///
/// Where a user is owner or creator, only the owner's bits count, also if they allow less than
/// the others; see sysvipc(7).
pub fn grants(perm: &IpcPerm, uid: u32, gid: u32, want: u32) -> bool {
    let granted = if uid == perm.uid || uid == perm.cuid {
        perm.mode >> 6
    } else if gid == perm.gid || gid == perm.cgid {
        perm.mode >> 3
    } else {
        perm.mode
    };
    let want = want & 0o7;
    granted & want == want
}

/// Whether a user may remove an object or change its owner and mode, as `IPC_RMID` and `IPC_SET`
/// ask for.
pub fn may_remove(perm: &IpcPerm, uid: u32) -> bool {
    uid == 0 || [perm.uid, perm.cuid].contains(&uid)
}

#[cfg(test)]
mod tests;
