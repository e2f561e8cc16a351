//! A world for one test: no IPC objects but its own, and a temp directory of
//! its own that everybody may write to, as `/tmp` is.

use super::namespace::Namespace;
use super::process::{DEADLINE, Launch, User};
use super::programs::{Build, program};
use super::sysvipc::{self, Segment, Semaphore};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

/// Where POSIX objects are.
const SHM: &str = "/dev/shm";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Held for reading by every world, for writing by one whose test changes a
/// setting of the machine.
static MACHINE: RwLock<()> = RwLock::new(());

/// A world's share of the machine.
enum Share {
    WithOthers(#[allow(dead_code)] RwLockReadGuard<'static, ()>),
    Alone(#[allow(dead_code)] RwLockWriteGuard<'static, ()>),
}

/// Removes its files when dropped; its IPC objects go with the last process
/// of the namespace. A thread can have one at a time.
pub struct World {
    base: PathBuf,
    temp: PathBuf,
    // Last, so that the namespace is left when the rest is gone.
    _namespace: Namespace,
    _share: Share,
}

impl World {
    /// `None`, after saying so, where it can't be had: a test that gets
    /// `None` returns.
    pub fn new() -> Option<Self> {
        let share = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        Self::with(Share::WithOthers(share))
    }

    /// One whose test may change settings of the machine: no other test has a
    /// world meanwhile.
    pub fn new_alone() -> Option<Self> {
        let share = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
        Self::with(Share::Alone(share))
    }

    fn with(share: Share) -> Option<Self> {
        if !needs_root() {
            return None;
        }
        let namespace = match Namespace::enter() {
            Ok(namespace) => namespace,
            Err(error) => {
                skipped(&format!("no private IPC namespace: {error}"));
                return None;
            }
        };
        // Canonical, since Qt makes it so, and short of symbolic links then.
        let base = std::env::temp_dir()
            .canonicalize()
            .expect("a temp directory")
            .join(format!(
                "qshm-test-{}-{}",
                std::process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            ));
        let temp = base.join("tmp");
        fs::create_dir_all(&temp).expect("a folder in the temp directory");
        set_mode(&base, 0o755);
        set_mode(&temp, 0o1777);
        Some(Self {
            base,
            temp,
            _namespace: namespace,
            _share: share,
        })
    }

    /// What programs have as `TMPDIR`.
    pub fn temp(&self) -> &Path {
        &self.temp
    }

    /// A folder beside the temp directory, for what is no part of the test's
    /// subject.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The runtime directory of whoever a user's programs run as, as `XDG_RUNTIME_DIR` names one.
    pub fn runtime(&self, user: User) -> PathBuf {
        let uid = match user {
            User::Uid(uid) => uid,
            User::Root | User::Sudo(_) => 0,
        };
        let runtime = self.base.join("run").join(uid.to_string());
        fs::create_dir_all(&runtime).expect("a folder");
        set_mode(&runtime, 0o700);
        chown(&runtime, Some(uid), Some(uid)).expect("theirs");
        runtime
    }

    /// The files in the runtime directories, as `UID/NAME`, sorted. (The folder that stepping aside
    /// makes may stay, empty.)
    pub fn runtime_files(&self) -> Vec<String> {
        let directories = self.base.join("run");
        if !directories.is_dir() {
            return Vec::new();
        }
        let mut files = below(&directories);
        files.retain(|name| !directories.join(name).is_dir());
        files
    }

    /// A program of `tests/programs`, to be run as root.
    pub fn launch(&self, name: &str, build: Build) -> Launch {
        Launch::new(&program(name, build), &self.temp).under(build)
    }

    /// The same, as somebody.
    pub fn launch_as(&self, name: &str, build: Build, user: User) -> Launch {
        self.launch(name, build).user(user)
    }

    /// They are those of the thread's namespace, hence of this world.
    #[allow(clippy::unused_self)]
    pub fn segments(&self) -> Vec<Segment> {
        sysvipc::segments()
    }

    /// As [`segments`](Self::segments).
    #[allow(clippy::unused_self)]
    pub fn semaphores(&self) -> Vec<Semaphore> {
        sysvipc::semaphores()
    }

    /// The names of the files in `/dev/shm` and in its folders, sorted: POSIX objects.
    #[allow(clippy::unused_self)]
    pub fn objects(&self) -> Vec<String> {
        below(Path::new(SHM))
    }

    /// The POSIX objects that should not be there when all is over: all but the folders that
    /// stepping aside makes.
    pub fn left_objects(&self) -> Vec<String> {
        let mut objects = self.objects();
        objects.retain(|name| !is_aside(name));
        objects
    }

    /// Every file and folder below the temp directory, by its path in it,
    /// sorted.
    pub fn files(&self) -> Vec<String> {
        below(&self.temp)
    }

    /// What is there now, for messages.
    pub fn state(&self) -> String {
        let files: Vec<String> = self
            .files()
            .iter()
            .map(|name| match self.temp.join(name).symlink_metadata() {
                Ok(data) => format!("{name} (mode {:o}, uid {})", data.mode(), data.uid()),
                Err(error) => format!("{name} ({error})"),
            })
            .collect();
        format!(
            "segments: {:#?}\nsemaphores: {:#?}\nfiles: {files:#?}\nPOSIX objects: {:#?}\nfiles in runtime \
             directories: {:#?}",
            self.segments(),
            self.semaphores(),
            self.objects(),
            self.runtime_files()
        )
    }

    /// The files that should not be there when all is over: all but the
    /// folders that stepping aside makes (`qshm-UID`), which may stay, empty.
    pub fn left_files(&self) -> Vec<String> {
        self.files()
            .into_iter()
            .filter(|name| !(is_aside(name) && self.temp.join(name).is_dir()))
            .collect()
    }

    /// Nothing is left: no IPC object and no file; what is, in words.
    ///
    /// Who reads a process's `/proc/PID/maps`, as other tests do, holds its memory for that long,
    /// attachments included, even after the process has ended: removed segments may have a moment.
    pub fn clean(&self) -> Result<(), String> {
        let end = Instant::now() + DEADLINE;
        loop {
            let segments = self.segments();
            let settled = segments.iter().all(|segment| segment.key != 0);
            if segments.is_empty()
                && self.semaphores().is_empty()
                && self.left_files().is_empty()
                && self.runtime_files().is_empty()
                && self.left_objects().is_empty()
            {
                return Ok(());
            }
            if settled || Instant::now() > end {
                return Err(format!("left behind: {}", self.state()));
            }
            std::thread::yield_now();
        }
    }

    /// As [`clean`](Self::clean).
    pub fn assert_clean(&self) {
        if let Err(left) = self.clean() {
            panic!("{left}");
        }
    }

    /// Removes all IPC objects and files, as a restart of the machine does.
    pub fn restart(&self) {
        for (option, ids) in [
            (
                "-m",
                self.segments().iter().map(|s| s.id).collect::<Vec<_>>(),
            ),
            ("-s", self.semaphores().iter().map(|s| s.id).collect()),
        ] {
            for id in ids {
                let done = std::process::Command::new("ipcrm")
                    .args([option, &id.to_string()])
                    .status();
                assert!(done.is_ok_and(|status| status.success()), "ipcrm {option}");
            }
        }
        for name in self.objects() {
            let _ = fs::remove_file(Path::new(SHM).join(&name));
            let _ = fs::remove_dir_all(Path::new(SHM).join(name));
        }
        for name in self.runtime_files() {
            let _ = fs::remove_file(self.base.join("run").join(name));
        }
        // Not the directory itself, which may be mounted elsewhere too.
        for entry in fs::read_dir(&self.temp).expect("the temp directory") {
            let path = entry.expect("an entry").path();
            let is_folder = path.is_dir() && !path.is_symlink();
            let removed = if is_folder {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// Every file and folder below a folder, by its path in it, sorted.
fn below(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![top.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_dir() {
                folders.push(entry.path());
            }
            let path = entry.path();
            let inside = path.strip_prefix(top).expect("it is inside");
            found.push(inside.to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

/// Whether this is a folder that stepping aside makes.
fn is_aside(name: &str) -> bool {
    name.starts_with("qshm-") && !name.contains('/')
}

/// Whether the test may go on: without root it says why not.
pub fn needs_root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0);
    if !root {
        skipped("not root: no private IPC namespace, no other users");
    }
    root
}

/// Says that a test, or a part of it, did not run. The test's own name is
/// that of its thread.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    say(&format!(
        "SKIPPED: {}: {why}",
        thread.name().unwrap_or("a test")
    ));
}

/// Says something that is to be read though the test succeeds: the test
/// harness holds back what goes through `println!`.
pub fn say(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes());
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode can be set");
}
