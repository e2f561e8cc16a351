//! A real Qt 6.8 and its `QNativeIpcKey`, from Python packages: the library for C++ programs, and
//! the module for scripts.

use super::programs::repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PACKAGES: [&str; 3] = ["PyQt6==6.8.1", "PyQt6-Qt6==6.8.2", "PyQt6-sip==13.9.1"];

/// What is taken out of the packages: `QtCore` and what it needs.
const UNPACK: &str = r"
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
for wheel in folder.glob('*.whl'):
    with zipfile.ZipFile(wheel) as package:
        for name in package.namelist():
            if name.startswith(('PyQt6/__init__.py', 'PyQt6/QtCore.', 'PyQt6/sip.',
                                'PyQt6/Qt6/lib/libQt6Core.so', 'PyQt6/Qt6/lib/libicu')):
                package.extract(name, folder)
    wheel.unlink()
";

/// The folder for `PYTHONPATH`, or why there is none. It is fetched once and then kept in
/// `target/`.
pub fn pyqt68() -> Result<PathBuf, String> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOLDER.get_or_init(fetch).clone()
}

/// The folder of its library, for `LD_LIBRARY_PATH`.
pub fn qt68() -> Result<PathBuf, String> {
    Ok(pyqt68()?.join("PyQt6/Qt6/lib"))
}

fn fetch() -> Result<PathBuf, String> {
    let folder = repository().join("target/pyqt-6.8");
    if folder.join("PyQt6").exists() {
        return Ok(folder);
    }
    // Filled under another name, so that it is either there whole or not.
    let filling = repository().join(format!("target/pyqt-6.8.{}", std::process::id()));
    fs::create_dir_all(&filling).map_err(|error| error.to_string())?;
    let done = download(&filling).and_then(|()| {
        fs::rename(&filling, &folder).map_err(|error| format!("{}: {error}", folder.display()))
    });
    let _ = fs::remove_dir_all(&filling);
    done.map(|()| folder)
}

fn download(folder: &Path) -> Result<(), String> {
    run(Command::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--quiet",
            "--only-binary=:all:",
        ])
        .args([
            "--disable-pip-version-check",
            "--retries",
            "1",
            "--timeout",
            "15",
            "--dest",
        ])
        .arg(folder)
        .args(PACKAGES))?;
    run(Command::new("python3").args(["-c", UNPACK]).arg(folder))
}

fn run(command: &mut Command) -> Result<(), String> {
    let done = command
        .output()
        .map_err(|error| format!("python3: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    let last = errors.lines().last().unwrap_or("it said nothing");
    Err(format!("Qt 6.8 was not to be had: {last}"))
}
