//! Directories of one test's own in place of those that have one name on the whole machine.

// The calls are not in the standard library, and nix would need a feature more for the sake of
// the tests alone.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::programs::repository;

/// The calling thread has a mount namespace of its own until this is dropped, with empty
/// directories at `/run/user`, `/dev/shm` and `/tmp`. Children that it starts are born into it.
pub struct Mounts {
    before: File,
}

impl Mounts {
    pub fn enter() -> io::Result<Self> {
        let before = File::open("/proc/thread-self/ns/mnt")?;
        // SAFETY: changes nothing but the calling thread's mount namespace, root and directory.
        checked(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        let mounts = Self { before };
        mount(None, "/", libc::MS_REC | libc::MS_PRIVATE, "")?;
        // The programs must stay where they are, also if that is in /tmp.
        let programs = repository();
        let kept = File::open(programs)?;
        fs::create_dir_all("/run/user")?;
        empty(Path::new("/run/user"), 0o755)?;
        empty(Path::new("/dev/shm"), 0o1777)?;
        empty(Path::new("/tmp"), 0o1777)?;
        if programs.starts_with("/tmp") {
            let open = format!("/proc/thread-self/fd/{}", kept.as_raw_fd());
            bind(Path::new(&open), programs)?;
        }
        Ok(mounts)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        // SAFETY: the descriptor is open, and the kernel checks what it is.
        unsafe { libc::setns(self.before.as_raw_fd(), libc::CLONE_NEWNS) };
    }
}

/// Mounts an empty file system at a directory.
pub fn empty(at: &Path, mode: u32) -> io::Result<()> {
    mount(
        Some("tmpfs"),
        &at.to_string_lossy(),
        0,
        &format!("mode={mode:o}"),
    )
}

/// Makes a directory be found at another path too, which is made.
pub fn bind(what: &Path, at: &Path) -> io::Result<()> {
    fs::create_dir_all(at)?;
    let what = what.to_string_lossy();
    mount(Some(&what), &at.to_string_lossy(), libc::MS_BIND, "")
}

/// Takes it away again, also while it is in use: as at the end of a login session.
pub fn gone(at: &Path) {
    let at = CString::new(at.to_string_lossy().as_bytes()).expect("no NUL");
    // SAFETY: the path ends with a NUL.
    checked(unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) }).expect("it is a mount");
}

/// Lays an overlay over a directory, as a container has it at its root. What is new in it goes to a
/// directory for that, which is made.
pub fn overlay(at: &Path, upper: &Path) -> io::Result<()> {
    let (new, work) = (upper.join("new"), upper.join("work"));
    fs::create_dir_all(&new)?;
    fs::create_dir_all(&work)?;
    fs::set_permissions(&new, fs::metadata(at)?.permissions())?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        at.display(),
        new.display(),
        work.display()
    );
    mount(Some("overlay"), &at.to_string_lossy(), 0, &options)
}

/// Makes the file system at a directory read-only.
pub fn read_only(at: &Path) {
    let flags = libc::MS_REMOUNT | libc::MS_RDONLY;
    mount(None, &at.to_string_lossy(), flags, "").expect("it is a mount");
}

/// Makes it writable again.
pub fn writable(at: &Path) {
    mount(None, &at.to_string_lossy(), libc::MS_REMOUNT, "").expect("it is a mount");
}

/// Makes a directory for somebody.
pub fn directory(path: &Path, uid: u32, mode: u32) {
    fs::create_dir_all(path).expect("a directory");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
    chown(path, Some(uid), Some(uid)).expect("its owner");
}

fn mount(kind: Option<&str>, at: &str, flags: libc::c_ulong, options: &str) -> io::Result<()> {
    let text = |text: &str| CString::new(text).expect("no NUL");
    let (kind, at, options) = (text(kind.unwrap_or("none")), text(at), text(options));
    // SAFETY: four texts that end with NULs and live through the call.
    checked(unsafe {
        libc::mount(
            kind.as_ptr(),
            at.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    })
}

fn checked(answer: libc::c_int) -> io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Leaves room on the file system at a directory for files without contents.
pub fn full(at: &Path) {
    let text = at.to_string_lossy();
    mount(None, &text, libc::MS_REMOUNT, "size=4k").expect("it is a mount");
    let file = File::create(at.join("fills")).expect("a file");
    let filled = io::Write::write_all(&mut &file, &[0; 8192]);
    assert!(filled.is_err(), "there is still room");
}
