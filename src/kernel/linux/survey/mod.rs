//! A look around the machine: tables, processes, directories, settings.

mod files;
mod processes;
mod settings;
mod tables;

pub use files::{PosixLock, directory, lock_posix, posix_value};
pub use processes::{own_namespaces, processes};
pub use settings::{limits, remove_ipc};
pub use tables::{file_locks, segments, semaphores};
