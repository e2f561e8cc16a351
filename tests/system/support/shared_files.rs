//! A private `/dev/shm` and `/tmp` for the calling thread and what it starts.

// The calls are not in the standard library, and nix would need a feature more for the sake of the
// tests alone.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The calling thread's `/dev/shm`, `/tmp` and `/var/tmp` are new, empty ones until this is
/// dropped, as for all that the thread starts.
pub struct SharedFiles {
    before: File,
}

impl SharedFiles {
    /// `keep`: folders that stay where they are, also if that is in `/tmp`. `temp` is found at
    /// [`TEMP`] as well.
    pub fn enter(keep: &[&Path], temp: &Path) -> io::Result<Self> {
        let before = File::open("/proc/thread-self/ns/mnt")?;
        // SAFETY: changes the calling thread's mount namespace alone.
        checked(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        let entered = Self { before };
        // Opened in the new namespace: a mount of another one can't be bound here.
        let kept: Vec<(&Path, File)> = keep
            .iter()
            .filter(|path| path.starts_with("/tmp") || path.starts_with("/var/tmp"))
            .map(|path| Ok((*path, File::open(path)?)))
            .collect::<io::Result<_>>()?;
        mount(
            Path::new("none"),
            Path::new("/"),
            libc::MS_REC | libc::MS_PRIVATE,
        )?;
        for folder in ["/dev/shm", "/tmp", "/var/tmp"] {
            mount(Path::new("tmpfs"), Path::new(folder), 0)?;
        }
        for (path, file) in &kept {
            fs::create_dir_all(path)?;
            let open = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
            mount(Path::new(&open), path, libc::MS_BIND)?;
        }
        fs::create_dir(TEMP)?;
        mount(temp, Path::new(TEMP), libc::MS_BIND)?;
        Ok(entered)
    }
}

/// A path that is the same in every run: of it Qt 5.0 to 5.8 make project ids.
pub const TEMP: &str = "/tmp/world";

fn checked(result: i32) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Mounts a directory over another, or a new file system that everybody may write to.
fn mount(what: &Path, here: &Path, flags: u64) -> io::Result<()> {
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let (what, here) = (text(what)?, text(here)?);
    let mode = if flags == 0 {
        c"mode=1777".as_ptr().cast()
    } else {
        std::ptr::null()
    };
    // SAFETY: the texts end with a NUL and live through the call.
    checked(unsafe { libc::mount(what.as_ptr(), here.as_ptr(), what.as_ptr(), flags, mode) })
}

impl Drop for SharedFiles {
    fn drop(&mut self) {
        // SAFETY: the descriptor is open, and the kernel checks what it is.
        unsafe { libc::setns(self.before.as_raw_fd(), libc::CLONE_NEWNS) };
    }
}
