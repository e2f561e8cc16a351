//! Qt's `QSharedMemory` and `QSystemSemaphore` for Linux, as applications believe they are: they
//! work for root and for the user, survive a crash and exclude each other.
//!
//! [`SharedMemory`] and [`SystemSemaphore`] follow the Qt classes call by call, share segments
//! and locks with processes that use Qt's own, and never leave anything in the next user's way.
//! [`Instance`] is what new code uses instead of a counter in shared memory: instance numbers that
//! the kernel keeps.
//! From C++ they are used through `include/qshm/`, or by linking `qshm::dropin`, which takes the
//! place of Qt's classes in an unmodified application.
//!
//! ```
//! use qshm::{AccessMode, Key, SharedMemory};
//!
//! let memory = SharedMemory::new();
//! memory.set_key(Key::new(b"org.example.counter", &qshm::key::temp_dir()));
//! assert!(memory.create(4, AccessMode::ReadWrite) || memory.attach(AccessMode::ReadWrite));
//! assert!(memory.lock());
//! // … read and write memory.size() bytes at memory.data() …
//! assert!(memory.unlock());
//! ```
//!
//! Layers, each knowing only those above it: [`kernel`] (the system calls), [`key`],
//! [`identity`] and [`access`] (pure decisions), `place`, `segment` and `semaphore` (the
//! lifecycle rules over a kernel), [`instance`], the Qt classes, [`diagnosis`], the C++ bridge.

pub mod access;
pub mod diagnosis;
pub mod identity;
pub mod instance;
pub mod kernel;
pub mod key;

pub mod options;

mod actor;
mod bridge;
mod deleted;
mod error;
mod key_file;
mod named;
mod notes;
mod place;
mod segment;
mod semaphore;
mod shared_memory;
mod system_semaphore;
mod texts;
mod trouble;

pub use access::Access;
pub use diagnosis::Diagnosis;
pub use error::{Error, ErrorKind};
pub use instance::Instance;
pub use key::Key;
pub use options::{InTheWay, Leftover, Options, OptionsUpdate};
pub use shared_memory::{AccessMode, SharedMemory};
pub use system_semaphore::{OpenMode, SystemSemaphore};
