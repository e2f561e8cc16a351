//! 200 processes of three users, and of root by sudo, that join, claim and end all the time and
//! are killed at random, while a program that has nothing of the library watches: no number and no
//! claim twice at any moment, as many locks and as high a count as there are alive, and nothing
//! held afterwards. Once more while the registries are deleted all the time.
//!
//! `QSHM_SOAK=MINUTES` makes each go on for that long.

use super::{Stage, runtime};
use crate::support::under_test::{seed, soak_seconds};
use crate::support::{Launch, base_program, mounts};
use std::time::Duration;

fn storm(deletes: bool) {
    let Some(stage) = Stage::new() else { return };
    mounts::directory(&runtime(3), 3, 0o700);
    let seconds = soak_seconds().unwrap_or(3);
    let finished = Launch::new(&base_program("face_instance_storm"), stage.world.temp())
        .arg(base_program("instance_observer"))
        .arg(stage.world.base().join("board"))
        .arg(seconds.to_string())
        .arg(seed().to_string())
        .arg(u8::from(deletes).to_string())
        .start()
        .finish(Duration::from_secs(seconds + 180));
    println!("{}", finished.lines.join(", "));
    let last = finished.lines.last().map(String::as_str);
    assert!(
        finished.status.success() && last == Some("ok"),
        "{finished:#?}"
    );
}

#[test]
fn a_storm_with_kills() {
    storm(false);
}

#[test]
fn a_storm_while_the_registries_are_deleted() {
    storm(true);
}
