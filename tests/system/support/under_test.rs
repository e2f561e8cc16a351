//! Which builds the tests of behaviour run: the drop-in's, or Qt's own.

use super::programs::Build;
use std::env;

/// Whether `QSHM_TEST_FLAVOUR=qt` asks for the programs with Qt as it is, which
/// shows that the tests can fail.
pub fn plain() -> bool {
    env::var_os("QSHM_TEST_FLAVOUR").is_some_and(|value| value == "qt")
}

/// The build of Qt 5 that is under test.
pub fn qt5() -> Build {
    if plain() { Build::QT5 } else { Build::QSHM5 }
}

/// The build of Qt 6 that is under test.
pub fn qt6() -> Build {
    if plain() { Build::QT6 } else { Build::QSHM6 }
}

/// The build of Qt 6.8 that is under test.
pub fn qt68() -> Build {
    if plain() { Build::QT68 } else { Build::QSHM68 }
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
