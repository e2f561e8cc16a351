//! A real Qt 5.7, of the generation that makes its System V keys by another
//! rule: the library inside a Python package of that time.

use super::programs::repository;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const PACKAGE: &str = "PyQt5==5.7.1";

/// What is taken out of the package: the library and what it needs.
const UNPACK: &str = r"
import sys, zipfile
wheel, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as package:
    for name in package.namelist():
        if name.startswith(('PyQt5/Qt/lib/libQt5Core.so', 'PyQt5/Qt/lib/libicu')):
            file = name.rsplit('/', 1)[1]
            with open(folder + '/' + file, 'wb') as out:
                out.write(package.read(name))
";

/// The folder of its library, for `LD_LIBRARY_PATH`, or why there is none. It
/// is fetched once and then kept in `target/`.
pub fn folder() -> Result<PathBuf, String> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOLDER.get_or_init(fetch).clone()
}

fn fetch() -> Result<PathBuf, String> {
    let folder = repository().join("target/qt-5.7.1");
    if folder.join("libQt5Core.so.5").exists() {
        return Ok(folder);
    }
    if !cfg!(target_arch = "x86_64") {
        return Err("Qt 5.7 is only to be had for x86-64".to_owned());
    }
    // Filled under another name, so that it is either there whole or not.
    let filling = repository().join(format!("target/qt-5.7.1.{}", std::process::id()));
    fs::create_dir_all(&filling).map_err(|error| error.to_string())?;
    let done = download(&filling).and_then(|()| {
        fs::rename(&filling, &folder).map_err(|error| format!("{}: {error}", folder.display()))
    });
    let _ = fs::remove_dir_all(&filling);
    done.map(|()| folder)
}

fn download(folder: &std::path::Path) -> Result<(), String> {
    run(Command::new("python3")
        .args(["-m", "pip", "download", PACKAGE, "--no-deps", "--quiet"])
        .args(["--only-binary=:all:", "--platform", "manylinux1_x86_64"])
        .args(["--python-version", "35", "--implementation", "cp"])
        .args(["--abi", "abi3", "--disable-pip-version-check"])
        .args(["--retries", "1", "--timeout", "15", "--dest"])
        .arg(folder))?;
    let wheel = fs::read_dir(folder)
        .map_err(|error| error.to_string())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"))
        .ok_or("pip left no package")?;
    run(Command::new("python3")
        .args(["-c", UNPACK])
        .arg(&wheel)
        .arg(folder))?;
    fs::remove_file(wheel).map_err(|error| error.to_string())
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
    Err(format!("{PACKAGE} was not to be had: {last}"))
}
