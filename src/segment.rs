//! A segment's life: made, attached, detached and removed under the lifecycle lock.
//!
//! The lock is an exclusive flock(2) on the segment's key file, held for the length of one call
//! and never while the application is between lock() and unlock(). A segment without attached
//! processes is what a crash left; the last one to detach removes everything.

mod attached;
mod enter;
mod look;
mod room;
mod settle;
mod sweep;

pub(crate) use attached::{Attached, Created, Found};
