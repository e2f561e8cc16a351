//! POSIX objects: what shm_open(3) and sem_open(3) make, with the lifecycle rules.
//!
//! There are no key files. An object's own file has the locks: its flock(2) is the lifecycle
//! lock, and who uses it is known by a lock on a byte (`F_OFD_SETLK`, fcntl(2)). That lock belongs
//! to the open file of which the memory is mapped, so it lives for exactly as long as the mapping
//! does, in forked children as well, and the kernel drops it when the last process that has the
//! mapping is gone, however it went.
//!
//! Processes of real Qt have no such lock. Whether one of them uses a file that nobody of ours
//! does is asked of the kernel, which knows how often a file is open (`F_SETLEASE`): it counts the
//! hidden ones too, and costs the same however many processes there are. Those of ours who have a
//! file open only to look at it say so (`glance`).
//!
//! Only a file's owner and root may ask that. Where the policy shares, another user finds a file
//! that nobody of ours uses, and can't know whether somebody else does: it is kept as it is, and
//! stepped aside of.

mod accounts;
mod attached;
pub(crate) mod counter;
mod enter;
mod file;
mod glance;
mod handle;
mod inquiry;
mod links;
pub(crate) mod lock;
mod look;
mod own_slots;
mod seen;
mod semaphore;
mod slots;
mod word;

pub(crate) use attached::{Attached, Created, Found, Left};
pub(crate) use file::perm_of;
pub(crate) use handle::Handle;
pub(crate) use inquiry::Inquiry;
pub(crate) use seen::look_at;
pub use seen::{Inside, Seen};
pub(crate) use semaphore::{Role, SIZE as PAGE, Semaphore, died_inside, resolve};
