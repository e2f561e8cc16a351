//! The C++ programs that `scripts/build-test-programs` makes: each for two
//! versions of Qt, each with Qt as it is and with the drop-in. Those with Qt as
//! it is also run under the preload library.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The major version of Qt that a program is built against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qt {
    Five,
    Six,
    /// 6.8, in a folder with Debian 13: see [`has_qt68`].
    Six8,
}

/// Whose `QSharedMemory` is in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Qt's own.
    Plain,
    /// Ours: the drop-in is linked.
    Qshm,
    /// Ours: Qt's own is linked, and the preload library comes before it.
    Preload,
}

/// One of the builds of a program, and how it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    pub qt: Qt,
    pub flavour: Flavour,
}

impl Build {
    pub const QT5: Self = Self::new(Qt::Five, Flavour::Plain);
    pub const QT6: Self = Self::new(Qt::Six, Flavour::Plain);
    pub const QSHM5: Self = Self::new(Qt::Five, Flavour::Qshm);
    pub const QSHM6: Self = Self::new(Qt::Six, Flavour::Qshm);
    pub const PRELOAD5: Self = Self::new(Qt::Five, Flavour::Preload);
    pub const PRELOAD6: Self = Self::new(Qt::Six, Flavour::Preload);
    pub const QT68: Self = Self::new(Qt::Six8, Flavour::Plain);
    pub const QSHM68: Self = Self::new(Qt::Six8, Flavour::Qshm);
    pub const PRELOAD68: Self = Self::new(Qt::Six8, Flavour::Preload);

    pub const fn new(qt: Qt, flavour: Flavour) -> Self {
        Self { qt, flavour }
    }

    /// What is preloaded when it is run.
    pub fn preload(self) -> Option<PathBuf> {
        (self.flavour == Flavour::Preload).then(preload)
    }

    /// The folder of the version: `qt5`, `qt6` or `qt68`.
    pub const fn folder(self) -> &'static str {
        match self.qt {
            Qt::Five => "qt5",
            Qt::Six => "qt6",
            Qt::Six8 => "qt68",
        }
    }

    /// The end of the file name: `qt` or `qshm`.
    pub const fn suffix(self) -> &'static str {
        match self.flavour {
            Flavour::Plain | Flavour::Preload => "qt",
            Flavour::Qshm => "qshm",
        }
    }
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    // This is shared by the tests of the command, which is a package below.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = package.ancestors();
    folders
        .find(|folder| folder.join("tests/programs").is_dir())
        .unwrap_or(package)
}

/// Whether the programs for Qt 6.8 are there; says so where not.
pub fn has_qt68() -> bool {
    let there = folder()
        .join(Build::QT68.folder())
        .join("calls-qt")
        .is_file();
    if !there {
        super::world::skipped(
            "no programs for Qt 6.8: scripts/make-trixie, then scripts/build-qt68-programs",
        );
    }
    there
}

fn folder() -> PathBuf {
    env::var_os("QSHM_TEST_BUILD").map_or_else(
        || repository().join("target/test-build"),
        |folder| repository().join(folder),
    )
}

/// Where a built program is.
pub fn program(name: &str, build: Build) -> PathBuf {
    built(&format!("{}/{name}-{}", build.folder(), build.suffix()))
}

/// A program that is built without Qt, by its path in the folder.
pub fn base_program(name: &str) -> PathBuf {
    built(name)
}

/// Where the preload library is.
pub fn preload() -> PathBuf {
    built("libqshm-preload.so")
}

/// Where a built file is.
///
/// # Panics
/// If it was not built, with the command that builds it; and if another user
/// could not reach it, since many tests run programs as one.
fn built(name: &str) -> PathBuf {
    let file = folder().join(name);
    assert!(
        file.is_file(),
        "{} is missing: run scripts/build-test-programs",
        file.display()
    );
    for part in file.ancestors() {
        let mode = part
            .metadata()
            .unwrap_or_else(|error| panic!("{}: {error}", part.display()))
            .permissions()
            .mode();
        assert!(
            mode & 0o001 != 0,
            "other users cannot reach {}: build the test programs elsewhere, with QSHM_TEST_BUILD",
            part.display()
        );
    }
    file
}
