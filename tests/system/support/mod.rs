//! What every driver needs: the built programs, a world of their own to run
//! in, and running programs whose lines can be waited for.

#![allow(dead_code, unused_imports)]

pub mod mounts;
mod namespace;
pub mod old_qt;
pub mod planted;
mod process;
mod programs;
mod sysvipc;
pub mod trace;
pub mod under_test;
mod world;

pub use process::{DEADLINE, Finished, Launch, Running, User};
pub use programs::{Build, Flavour, Qt, base_program, has_qt68, preload, program, repository};
pub use sysvipc::{Segment, Semaphore};
pub use world::{World, needs_root, say, skipped};
