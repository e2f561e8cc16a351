//! Real programs on the real kernel: drivers that start the programs of
//! `tests/programs` and look at what they say, what they leave and how they
//! get on with each other.
//!
//! Each test runs in an IPC namespace and a temp directory of its own, so it
//! needs root; without it a test says `SKIPPED` and why.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

mod calls;
mod demo_cases;
mod diagnosis;
mod faults;
mod field_uses;
mod hostile;
mod hostile_temp;
mod instances;
mod keys;
mod kill_points;
mod long_lock;
mod peers;
mod posix;
mod preload;
mod storm;
mod who_is_attached;
