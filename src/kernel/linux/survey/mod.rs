//! A look around the machine: tables, processes, directories, settings.

mod files;
mod posix;
mod processes;
mod settings;

pub use super::flocks::all as file_locks;
pub use super::sysvipc::{segments, semaphores};
pub use files::{directory, follow, in_root_of, may_make_files, unlink_same};
pub use posix::{Lease, shared_files};
pub use processes::{own_namespaces, processes};
pub use settings::{limits, remove_ipc};
