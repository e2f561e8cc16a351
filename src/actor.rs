//! Who acts: a kernel, the identity whose objects are made, and the policies in force.

use std::path::Path;

use nix::unistd::{Gid, Uid, User, getgrouplist};

use crate::access::{self, Access};
use crate::identity::{self, Identity};
use crate::kernel::{Errno, Fd, FileStat, IpcId, IpcKey, IpcPerm, Kernel, Open};
use crate::key::{self, KeyType, NativeKey};
use crate::options::{self, Options, OptionsUpdate};

/// One call's view of who acts and how.
#[derive(Clone, Debug)]
pub(crate) struct Actor<K> {
    pub kernel: K,
    pub identity: Identity,
    pub options: Options,
    /// The project id of the keys, where it is not that of the generation.
    project: Option<u8>,
    /// Whether one key file leads to the segment and to the semaphore, as with the System V keys
    /// of Qt 6.6 and later.
    pub one_file: bool,
}

impl<K: Kernel> Actor<K> {
    /// Who acts now, by an object's own policies. `identity` overrides what
    /// [`identity::current`] finds.
    pub fn new(kernel: &K, identity: Option<Identity>, update: OptionsUpdate) -> Self {
        let options = options::in_force(update);
        let identity = identity.unwrap_or_else(|| identity::current(options.access));
        Actor::with_options(kernel.clone(), identity, options)
    }

    /// Who acts by these options and no others.
    pub fn with_options(kernel: K, identity: Identity, options: Options) -> Self {
        Actor {
            kernel,
            identity,
            options,
            project: None,
            one_file: false,
        }
    }

    /// The same, for the objects of a `QNativeIpcKey`.
    pub fn with_native_key(mut self, key: &NativeKey) -> Self {
        if let KeyType::SystemV(project) = key.kind() {
            self.project = Some(project);
            self.one_file = key.segment() == key.semaphore();
        }
        self
    }

    /// The project id that ftok(3) gets for this key file.
    pub fn project_id(&self, path: &Path) -> u8 {
        self.project
            .unwrap_or_else(|| self.options.generation.project_id(path))
    }

    /// The `key_t` of a key file.
    pub fn ipc_key(&self, path: &Path, file: &FileStat) -> IpcKey {
        key::ftok(self.project_id(path), file.dev, file.ino)
    }

    /// The same, for objects in this directory: root on behalf of a user who may make nothing
    /// there (root's own temp directory) is just root.
    pub fn in_directory(mut self, directory: &Path) -> Self {
        let Identity {
            uid,
            gid,
            acting_as_root,
        } = self.identity;
        if acting_as_root {
            let may = self
                .kernel
                .as_user(uid, gid, || self.kernel.may_write(directory));
            if may != Ok(true) {
                self.identity = Identity {
                    uid: 0,
                    gid: self.kernel.getegid(),
                    acting_as_root: false,
                };
            }
        }
        self
    }

    /// Makes something that is to belong to our identity: as root on a user's behalf with that
    /// user's rights, so that there is no moment at which it belongs to root.
    pub fn make<T>(&self, make: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let Identity {
            uid,
            gid,
            acting_as_root,
        } = self.identity;
        if acting_as_root {
            self.kernel
                .as_user(uid, gid, make)
                .and_then(|result| result)
        } else {
            make()
        }
    }

    /// Permission bits for key files.
    pub fn key_file_mode(&self) -> u32 {
        if self.one_file {
            // The users of the semaphore lock it for writing, and the object's rights are its.
            self.options.access.object_mode()
        } else {
            self.options.access.key_file_mode()
        }
    }

    /// Makes an empty key file.
    pub fn make_key_file(&self, path: &Path) -> Result<Fd, Errno> {
        let mode = self.key_file_mode();
        let group = match self.options.access {
            Access::Group(gid) => Some(gid),
            _ => None,
        };
        self.make(|| {
            if mode == 0o600 {
                self.kernel.open(path, Open::New(mode))
            } else {
                self.kernel.open_new_shared(path, mode, group)
            }
        })
    }

    /// Makes a private directory.
    pub fn make_directory(&self, path: &Path) -> Result<(), Errno> {
        self.make(|| {
            self.kernel.mkdir(path, 0o700)?;
            // A umask may take the owner's rights too.
            let _ = self.kernel.chmod(path, 0o700);
            Ok(())
        })
    }

    /// Makes a segment or a semaphore: `create` gets the mode, and `set` is called where the
    /// owner's group has to change afterwards.
    pub fn make_object(
        &self,
        create: impl Fn(u32) -> Result<IpcId, Errno>,
        set: impl Fn(IpcId, u32, u32, u32) -> Result<(), Errno>,
    ) -> Result<IpcId, Errno> {
        let mode = self.options.access.object_mode();
        let Access::Group(gid) = self.options.access else {
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
        access::may_remove(perm, self.kernel.geteuid())
    }

    /// Whether our identity, not just this process, may use an object, and trusts who made it;
    /// `want` as in [`access::grants`].
    pub fn may_use(&self, perm: &IpcPerm, want: u32) -> bool {
        let Identity { uid, .. } = self.identity;
        let known = [uid, 0].contains(&perm.cuid);
        match self.options.access {
            // Anyone may give an object to a group, so its maker must be a member.
            Access::Group(gid) if !known && !is_member(perm.cuid, gid) => return false,
            _ => {}
        }
        self.options.access.trusts_object(&self.identity, perm)
            && (uid == 0 || access::grants(perm, uid, self.group(), want))
    }

    /// Whether our identity, not just this process, may open a key file.
    pub fn may_open(&self, file: &FileStat) -> bool {
        let Identity { uid, .. } = self.identity;
        let bits = if file.uid == uid {
            0o400
        } else if file.gid == self.group() {
            0o040
        } else {
            0o004
        };
        uid == 0 || file.mode & bits != 0
    }

    /// The group whose rights count: that of the policy, which is for its members.
    fn group(&self) -> u32 {
        match self.options.access {
            Access::Group(gid) => gid,
            _ => self.identity.gid,
        }
    }
}

/// Whether a user is a member of a group.
fn is_member(uid: u32, gid: u32) -> bool {
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else {
        return false;
    };
    let Ok(name) = std::ffi::CString::new(user.name) else {
        return false;
    };
    getgrouplist(&name, user.gid).is_ok_and(|groups| groups.contains(&Gid::from_raw(gid)))
}
