//! Which builds the tests of behaviour run: the drop-in's, or others by
//! `QSHM_TEST_FLAVOUR`. `qt`: the programs with Qt as it is, which shows that
//! the tests can fail. `preload`: the same under the preload library.

use super::programs::{Build, Flavour, Qt};
use std::env;

/// What `QSHM_TEST_FLAVOUR` asks for.
fn wanted() -> Option<Flavour> {
    let text = env::var("QSHM_TEST_FLAVOUR").ok()?;
    match text.as_str() {
        "qt" => Some(Flavour::Plain),
        "preload" => Some(Flavour::Preload),
        _ => panic!("QSHM_TEST_FLAVOUR={text}: it can be qt or preload"),
    }
}

/// The build of Qt 5 that is under test.
pub fn qt5() -> Build {
    Build::new(Qt::Five, wanted().unwrap_or(Flavour::Qshm))
}

/// The build of Qt 6 that is under test.
pub fn qt6() -> Build {
    Build::new(Qt::Six, wanted().unwrap_or(Flavour::Qshm))
}

/// Both, and under the preload library as well: for what is quickly done.
pub fn all() -> Vec<Build> {
    let mut builds = vec![qt5(), qt6()];
    if wanted().is_none() {
        builds.extend([Build::PRELOAD5, Build::PRELOAD6]);
    }
    builds
}

/// The build of Qt 6.8 that is under test.
pub fn qt68() -> Build {
    Build::new(Qt::Six8, wanted().unwrap_or(Flavour::Qshm))
}

/// How many seconds a test that can go on for long should: from
/// `QSHM_SOAK`, in minutes. `None`: its usual size.
pub fn soak_seconds() -> Option<u64> {
    let minutes: f64 = env::var("QSHM_SOAK").ok()?.parse().ok()?;
    Some((minutes * 60.0) as u64)
}

/// A number for a test's random choices: `QSHM_SEED`, or another each time.
pub fn seed() -> u32 {
    env::var("QSHM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(1, |time| time.subsec_nanos() ^ std::process::id())
        })
}
