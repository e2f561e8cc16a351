//! What every driver needs: the built programs, a world of their own to run
//! in, and running programs whose lines can be waited for.

#![allow(dead_code)]

mod namespace;
mod process;
mod programs;
mod sysvipc;
mod world;

pub use process::{DEADLINE, Finished, Launch, Running, User};
pub use programs::{Build, Flavour, Qt, program, repository};
pub use sysvipc::{Segment, Semaphore};
pub use world::{World, needs_root, skipped};
