//! Key files that somebody deleted while their objects are in use: a cleaner of temporary files,
//! say. The key is made of the file's inode number, so a new file of that name leads elsewhere,
//! and whoever starts now would be alone. But those who use the objects still have the old file
//! open, and there it is found.
//!
//! Looking through the processes is slow, so it is done only where an object is in use that no
//! key file beside accounts for, and not on a machine with so many objects that asking for each
//! of them would be felt ([`Kernel::shm_keys`]).

use std::collections::HashSet;
use std::path::Path;

use crate::actor::Actor;
use crate::kernel::{IpcKey, Kernel};
use crate::key;
use crate::key_file::KeyFile;

/// What kind of object a key file leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    ToSegment,
    ToSemaphore,
}

/// The deleted key file of this path, if processes of our identity still have it open.
pub(crate) fn find<K: Kernel>(actor: &Actor<K>, path: &Path, leads: Leads) -> Option<KeyFile<K>> {
    let kernel = &actor.kernel;
    // In the runtime directory, where nobody cleans; and the locks need more than is found here.
    if actor.one_file {
        return None;
    }
    let keys = match leads {
        Leads::ToSegment => kernel.shm_keys(),
        Leads::ToSemaphore => kernel.sem_keys(),
    };
    if keys.is_empty() {
        return None;
    }
    let directory = path.parent()?;
    let device = kernel.lstat(directory).ok()?.dev;
    let project = actor.project_id(path);
    let files = kernel.inodes(directory, "qipc_");
    if may_be_lost(&keys, project, device, &files) {
        KeyFile::deleted(actor, path)
    } else {
        None
    }
}

/// Whether one of these keys could be made of a file of this project id and device, and of none
/// of these inode numbers.
fn may_be_lost(keys: &[IpcKey], project: u8, device: u64, inodes: &[u64]) -> bool {
    let accounted: HashSet<IpcKey> = inodes
        .iter()
        .map(|inode| key::ftok(project, device, *inode))
        .collect();
    keys.iter()
        .any(|key| key & !0xffff == key::ftok(project, device, 0) && !accounted.contains(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_no_file_accounts_for_is_worth_a_search() {
        let key = key::ftok(b'Q', 0x12, 0x3_4567);
        assert_eq!(key, 0x5112_4567);
        for (keys, inodes, lost) in [
            (&[][..], &[][..], false),
            (&[key], &[], true),
            (&[key], &[7, 0x3_4567], false),
            (&[key], &[0x3_4568], true),
            (&[key, key + 1], &[0x3_4567], true),
            // Another project id, another device.
            (&[0x5212_4567], &[], false),
            (&[0x5113_4567], &[], false),
        ] {
            assert_eq!(
                may_be_lost(keys, b'Q', 0x12, inodes),
                lost,
                "{keys:x?} {inodes:x?}"
            );
        }
    }
}
