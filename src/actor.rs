//! Who acts: a kernel, the identity whose objects are made, and the policies in force.

use std::path::Path;

use crate::access;
use crate::identity::Identity;
use crate::kernel::{Errno, Fd, FileStat, IpcId, IpcPerm, Kernel, Open};
use crate::options::Options;

/// One call's view of who acts and how.
#[derive(Clone, Debug)]
pub(crate) struct Actor<K> {
    pub kernel: K,
    pub identity: Identity,
    pub options: Options,
}

impl<K: Kernel> Actor<K> {
    /// Makes something that is to belong to our identity: as root on a user's behalf with that
    /// user's rights, so that there is no moment at which it belongs to root.
    ///
    /// Where the user may not (root's own temp directory), it is made as root: nobody but root
    /// gets there anyway.
    fn make<T>(&self, make: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
        if !self.identity.acting_as_root {
            return make();
        }
        let made = self
            .kernel
            .as_user(self.identity.uid, self.identity.gid, &make);
        match made.and_then(|result| result) {
            Err(Errno::EACCES | Errno::EPERM) => make(),
            result => result,
        }
    }

    /// Makes an empty key file.
    pub fn make_key_file(&self, path: &Path) -> Result<Fd, Errno> {
        let mode = self.options.access.key_file_mode();
        let fd = self.make(|| self.kernel.open(path, Open::New(mode)))?;
        if let access::Access::Group(gid) = self.options.access {
            // Who is not a member can't give it to the group; then it stays the maker's alone.
            let _ = self.kernel.fchgrp(fd, gid);
        }
        if mode != 0o600 {
            // The umask took away what the policy gives.
            let _ = self.kernel.fchmod(fd, mode);
        }
        Ok(fd)
    }

    /// Makes a private directory.
    pub fn make_directory(&self, path: &Path) -> Result<(), Errno> {
        self.make(|| self.kernel.mkdir(path, 0o700))
    }

    /// Makes a segment or a semaphore: `create` gets the mode, and `set` is called where the
    /// owner's group has to change afterwards.
    pub fn make_object(
        &self,
        create: impl Fn(u32) -> Result<IpcId, Errno>,
        set: impl Fn(IpcId, u32, u32, u32) -> Result<(), Errno>,
    ) -> Result<IpcId, Errno> {
        let mode = self.options.access.object_mode();
        let access::Access::Group(gid) = self.options.access else {
            return self.make(|| create(mode));
        };
        // Only IPC_SET gives an object to a group. Until then it is the maker's alone, so a kill
        // in between leaves nothing open to the wrong group.
        let id = self.make(|| create(0o600))?;
        set(id, self.identity.uid, gid, mode)?;
        Ok(id)
    }

    /// Whether this process may remove or change an object of this owner, as IPC_RMID and
    /// IPC_SET ask for.
    pub fn may_remove(&self, perm: &IpcPerm) -> bool {
        let euid = self.kernel.geteuid();
        euid == 0 || perm.uid == euid || perm.cuid == euid
    }

    /// Whether our identity, not just this process, may use an object; `want` as in
    /// [`access::grants`].
    pub fn may_use(&self, perm: &IpcPerm, want: u32) -> bool {
        self.options.access.trusts_object(&self.identity, perm)
            && access::grants(perm, self.identity.uid, self.identity.gid, want)
    }

    /// Whether our identity, not just this process, may open a key file.
    pub fn may_open(&self, file: &FileStat) -> bool {
        let (uid, gid) = (self.identity.uid, self.identity.gid);
        let bits = if uid == 0 || file.uid == uid {
            0o400
        } else if file.gid == gid {
            0o040
        } else {
            0o004
        };
        uid == 0 || file.mode & bits != 0
    }
}
