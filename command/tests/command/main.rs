//! The command on real leftovers of real Qt, as root, as their owner and as a stranger.
//!
//! Each test runs in an IPC namespace, a `/dev/shm` and a temp directory of its own, so it needs
//! root; without it a test says `SKIPPED` and why. `QSHM_BLESS=1` writes the snapshots anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../../tests/system/support/mod.rs"]
mod support;

mod bench;
mod explain;
mod key;
mod native;
mod output;
mod posix_report;
mod repair;
mod report;
mod run;
mod snapshot;
mod who;
