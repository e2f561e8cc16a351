//! What is in the way of a POSIX object, in words.

use std::fmt::Write as _;

use nix::unistd::{Uid, User};

use crate::actor::Actor;
use crate::kernel::Kernel;
use crate::place::Place;
use crate::trouble::{FileFault, Obstacle};

use super::glance::Glance;
use super::look::ATTACHED;

/// What is in the way, whose it is and what clears it: the text behind an error's own.
pub(crate) fn explain<K: Kernel>(actor: &Actor<K>, place: &Place, obstacle: &Obstacle) -> String {
    let Obstacle::File { path, fault, stat } = obstacle else {
        return obstacle.to_string();
    };
    let what = match fault {
        FileFault::Link => "is a symbolic link",
        FileFault::NotPlain => "is not what belongs there",
        FileFault::HardLinks => "has other hard links",
        FileFault::Foreign => "is not ours",
        FileFault::Unreadable => "may not be opened",
        FileFault::InDoubt => "may be in use, which only its owner and root can tell",
    };
    let mut text = format!("{} {what}", path.display());
    if let Some(stat) = stat {
        let user = match User::from_uid(Uid::from_raw(stat.uid)) {
            Ok(Some(user)) => user.name,
            _ => format!("uid {}", stat.uid),
        };
        let mode = stat.mode & 0o777;
        let _ = write!(text, ", belongs to {user}, mode {mode:03o}");
    }
    let in_use = Glance::at(&actor.kernel, path, false)
        .is_ok_and(|glance| actor.kernel.range_holder(glance.fd, ATTACHED) != Ok(None));
    if in_use && *path == *place.segment {
        text += ", and is in use";
    } else {
        let path = path.display();
        let _ = write!(text, "; if no program uses it: sudo rm -f '{path}'");
    }
    text
}
