//! Real Qt of other versions than the system's: the libraries inside Python
//! packages, and the packages themselves.

use super::programs::repository;
use super::under_test::soak_seconds;
use std::path::PathBuf;
use std::process::Command;

/// Versions of real Qt up to 6.5: usually the oldest and the newest of each
/// major version, all with `QSHM_SOAK`.
pub fn versions() -> Vec<&'static str> {
    let mut versions = vec!["5.7.1", "5.15.19", "6.0.2", "6.5.3"];
    if soak_seconds().is_some() {
        versions.extend(["5.9.3", "5.12.10", "6.2.4"]);
    }
    versions
}

/// Qt 5.7, of the generation that makes its System V keys by another rule.
pub fn folder() -> Result<PathBuf, String> {
    fetched("5.7.1")
}

/// The folder of a version of Qt, for `LD_LIBRARY_PATH`, or of a Python
/// package, for `PYTHONPATH`; or why there is none. It is fetched once and
/// then kept in `target/`: see `scripts/fetch-qt`.
pub fn fetched(name: &str) -> Result<PathBuf, String> {
    let done = Command::new(repository().join("scripts/fetch-qt"))
        .arg(name)
        .output()
        .map_err(|error| format!("scripts/fetch-qt: {error}"))?;
    if done.status.success() {
        return Ok(PathBuf::from(
            String::from_utf8_lossy(&done.stdout).trim_end(),
        ));
    }
    Err(String::from_utf8_lossy(&done.stderr).trim_end().to_owned())
}
