//! A look around the machine: tables, processes, directories, settings.

mod files;
mod posix;
mod processes;
mod settings;
mod tables;

pub use files::{directory, follow, in_root_of, may_make_files, unlink_same};
pub use posix::{Lease, posix_files};
pub use processes::{own_namespaces, processes};
pub use settings::{limits, remove_ipc};
pub use tables::{file_locks, segments, semaphores};
