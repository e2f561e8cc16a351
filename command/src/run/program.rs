//! What can be told of a program before it runs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

/// What a program is to ld.so.
#[derive(Debug, PartialEq, Eq)]
pub enum Nature {
    /// Set-user-ID or set-group-ID, of this user or group.
    Privileged(String),
    /// It has capabilities of its own.
    Capable,
    /// It has no dynamic linker.
    Static,
    /// Its dynamic linker takes no library of ours.
    OtherArchitecture,
    /// Linked with Qt.
    WithQt,
    /// Not linked with Qt. It may load it, or start others.
    WithoutQt,
    /// A script, or not to be told.
    Unknown,
}

/// The file that execvp(3) runs for a name.
pub fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    // As execvp(3) does without it.
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let runnable = |path: &PathBuf| {
        let found = fs::metadata(path);
        found.is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0)
    };
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(runnable)
}

/// What the program is. Runs at most its dynamic linker, which lists its libraries.
pub fn nature(path: &Path) -> Nature {
    if let Some(whose) = privileged(path) {
        return Nature::Privileged(whose);
    }
    if has_capabilities(path) {
        return Nature::Capable;
    }
    let Ok(file) = File::open(path) else {
        return Nature::Unknown;
    };
    match Elf::read(&file) {
        None => Nature::Unknown,
        Some(Elf::Other) => Nature::OtherArchitecture,
        Some(Elf::Static) => Nature::Static,
        Some(Elf::Dynamic(linker)) => libraries(&linker, path).map_or(Nature::Unknown, |list| {
            let is_qt = |line: &str| {
                let name = line
                    .trim_start()
                    .split([' ', '/'])
                    .next()
                    .unwrap_or_default();
                name.starts_with("libQt") && name.contains("Core")
            };
            if list.lines().any(is_qt) {
                Nature::WithQt
            } else {
                Nature::WithoutQt
            }
        }),
    }
}

/// Whose rights a program gets that are not those of the caller.
fn privileged(path: &Path) -> Option<String> {
    let data = fs::metadata(path).ok()?;
    let (uid, gid) = (Uid::from_raw(data.uid()), Gid::from_raw(data.gid()));
    if data.mode() & 0o4000 != 0 && uid != geteuid() {
        let user = User::from_uid(uid).ok().flatten();
        return Some(user.map_or_else(|| format!("user {uid}"), |user| user.name));
    }
    if data.mode() & 0o2010 == 0o2010 && gid != getegid() {
        let group = Group::from_gid(gid).ok().flatten();
        return Some(group.map_or_else(
            || format!("group {gid}"),
            |group| format!("group {}", group.name),
        ));
    }
    None
}

/// Whether it gets capabilities that the caller does not have, see capabilities(7).
fn has_capabilities(path: &Path) -> bool {
    let mut value = [0_u8; 64];
    !geteuid().is_root() && rustix::fs::getxattr(path, "security.capability", &mut value).is_ok()
}

/// Whether ld.so can load a library; the error says why not.
pub fn check_library(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    match Elf::read(&file) {
        None => Err("no shared library".to_owned()),
        Some(Elf::Other) => Err("built for another architecture than qshm".to_owned()),
        Some(Elf::Static | Elf::Dynamic(_)) => Ok(()),
    }
}

/// What ld.so lists, see ld.so(8), `--list`.
fn libraries(linker: &Path, program: &Path) -> Option<String> {
    let done = Command::new(linker)
        .arg("--list")
        .arg(program)
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    done.status
        .success()
        .then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

/// A program in ELF, see elf(5).
#[derive(Debug, PartialEq, Eq)]
enum Elf {
    /// Of another architecture.
    Other,
    Static,
    /// With this dynamic linker.
    Dynamic(PathBuf),
}

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const PT_INTERP: u32 = 3;

impl Elf {
    /// `None`: not ELF.
    fn read(mut file: &File) -> Option<Self> {
        let mut header = [0; HEADER];
        file.read_exact(&mut header).ok()?;
        if !header.starts_with(b"\x7fELF") {
            return None;
        }
        let machine: u16 = if cfg!(target_arch = "x86_64") {
            62
        } else {
            183
        };
        // 64 bits, the lowest byte first.
        let ours =
            header.get(4..6) == Some(&[2, 1]) && number(&header, 18, 2) == Some(machine.into());
        if !ours {
            return Some(Elf::Other);
        }
        let table = number(&header, 32, 8)?;
        let size = number(&header, 54, 2)?;
        let count = number(&header, 56, 2)?;
        for index in 0..count {
            let mut entry = [0; PROGRAM_HEADER];
            let at = table.checked_add(index.checked_mul(size)?)?;
            file.read_exact_at(&mut entry, at).ok()?;
            if number(&entry, 0, 4)? == u64::from(PT_INTERP) {
                let (at, length) = (number(&entry, 8, 8)?, number(&entry, 32, 8)?);
                let mut name = vec![0; usize::try_from(length.min(4096)).ok()?];
                file.read_exact_at(&mut name, at).ok()?;
                let end = name
                    .iter()
                    .position(|byte| *byte == 0)
                    .unwrap_or(name.len());
                name.truncate(end);
                return Some(Elf::Dynamic(OsString::from_vec(name).into()));
            }
        }
        Some(Elf::Static)
    }
}

/// A number of so many bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn programs_are_found_and_told_apart() {
        let shell = find(OsStr::new("sh")).unwrap();
        assert!(shell.is_absolute());
        assert_eq!(nature(&shell), Nature::WithoutQt);
        assert_eq!(find(OsStr::new("no-such-program-anywhere")), None);
        assert_eq!(find(OsStr::new("./x")), Some("./x".into()));
        assert_eq!(nature(Path::new("/etc/passwd")), Nature::Unknown);
        assert_eq!(nature(Path::new("/no/such/file")), Nature::Unknown);
    }

    #[test]
    fn what_is_cut_off_is_no_program() {
        let path = env::temp_dir().join(format!("qshm-elf-test-{}", std::process::id()));
        let whole = fs::read("/bin/sh").unwrap();
        for length in [0, 3, 4, 63, 64, 100] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(Elf::read(&File::open(&path).unwrap()), None, "{length}");
        }
        let mut other = whole[..64].to_vec();
        other[4] = 1;
        fs::write(&path, &other).unwrap();
        assert_eq!(Elf::read(&File::open(&path).unwrap()), Some(Elf::Other));
        fs::remove_file(&path).unwrap();
    }
}
