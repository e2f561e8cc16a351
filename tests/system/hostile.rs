//! Somebody else was in the temp directory first, or took the keys: what they
//! planted is neither used nor harmed, and who starts has a world of their own.

use crate::support::planted::{self, as_user};
use crate::support::under_test;
use crate::support::{Build, Finished, Flavour, User, World};
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

const BOB: u32 = 2;
const ALICE: u32 = 1;
const VICTIMS: [User; 3] = [User::ALICE, User::SUDO_ALICE, User::Root];

/// Nobody waits for what was planted.
const PATIENCE: Duration = Duration::from_secs(8);

/// A world in which the key files' names are known.
pub struct Scene {
    pub world: World,
    pub build: Build,
    pub segment_file: PathBuf,
    pub semaphore_file: PathBuf,
}

impl Scene {
    pub fn new(build: Build) -> Option<Self> {
        let world = World::new()?;
        let mut holder = world.launch("holder", build).start();
        let segment_file = PathBuf::from(holder.ask("key hostile"));
        holder.finish(PATIENCE).ok();
        let semaphore_file = PathBuf::from(
            segment_file
                .to_string_lossy()
                .replace("qipc_sharedmemory_", "qipc_systemsem_"),
        );
        assert_eq!(segment_file.parent(), Some(world.temp()));
        Some(Self {
            world,
            build,
            segment_file,
            semaphore_file,
        })
    }

    pub fn start(&self, user: User) -> Finished {
        self.world
            .launch_as("start_stop", self.build, user)
            .args(["hostile", "once"])
            .start()
            .finish(PATIENCE)
    }

    /// Starts and ends with number 0.
    pub fn starts(&self, user: User) -> Result<(), String> {
        let finished = self.start(user);
        if finished.lines == ["number 0", "ended"] && finished.status.success() {
            return Ok(());
        }
        Err(format!("{user:?}: {finished:?}"))
    }
}

fn both(case: fn(&Scene) -> Vec<String>) {
    for build in [under_test::qt5(), under_test::qt6()] {
        let Some(scene) = Scene::new(build) else {
            return;
        };
        let failures = case(&scene);
        assert!(failures.is_empty(), "{build:?}:\n{}", failures.join("\n"));
    }
}

// What is planted where a key file should be.

struct Plant {
    name: &'static str,
    plant: fn(&Path, &Path),
}

/// Each with the path to plant at, and bob's own folder beside.
const PLANTS: &[Plant] = &[
    Plant {
        name: "a symbolic link to nothing",
        plant: |at, own| link(&own.join("nothing"), at),
    },
    Plant {
        name: "a symbolic link to a file",
        plant: |at, own| link(&own.join("file"), at),
    },
    Plant {
        name: "a symbolic link to the victim's file",
        plant: |at, own| link(&own.join("../alice's"), at),
    },
    Plant {
        name: "a symbolic link to a directory",
        plant: |at, own| link(own, at),
    },
    Plant {
        name: "a hard link",
        plant: |at, own| as_bob(|| fs::hard_link(own.join("file"), at).expect("a hard link")),
    },
    Plant {
        name: "a hard link to the victim's file",
        // Linux forbids it by fs.protected_hardlinks; where it does not:
        plant: |at, own| fs::hard_link(own.join("../alice's"), at).expect("a hard link"),
    },
    Plant {
        name: "a directory",
        plant: |at, _| as_bob(|| fs::create_dir(at).expect("a directory")),
    },
    Plant {
        name: "a FIFO",
        plant: |at, _| as_bob(|| node(at, libc::S_IFIFO | 0o666)),
    },
    Plant {
        name: "a device",
        plant: |at, _| node(at, libc::S_IFCHR | 0o666),
    },
    Plant {
        name: "a file of mode 600",
        plant: |at, _| file_of_bob(at, 0o600),
    },
    Plant {
        name: "a file of mode 644",
        plant: |at, _| file_of_bob(at, 0o644),
    },
    Plant {
        name: "a file of mode 666",
        plant: |at, _| file_of_bob(at, 0o666),
    },
];

fn as_bob(act: impl FnOnce()) {
    as_user(BOB, act);
}

fn link(to: &Path, at: &Path) {
    as_bob(|| symlink(to, at).expect("a symbolic link"));
}

fn file_of_bob(at: &Path, mode: u32) {
    as_bob(|| {
        fs::write(at, "bob's").expect("a file");
        fs::set_permissions(at, fs::Permissions::from_mode(mode)).expect("its mode");
    });
}

#[allow(unsafe_code)]
fn node(at: &Path, mode: u32) {
    let path = CString::new(at.as_os_str().as_encoded_bytes()).expect("a path");
    // SAFETY: the path lives through the call. The device is the one of /dev/null.
    let result = unsafe { libc::mknod(path.as_ptr(), mode, libc::makedev(1, 3)) };
    assert_eq!(result, 0, "mknod: {}", std::io::Error::last_os_error());
    fs::set_permissions(at, fs::Permissions::from_mode(0o666)).expect("its mode");
}

/// All that a file is, for seeing whether somebody touched it.
fn picture(path: &Path) -> Vec<String> {
    let one = |data: std::io::Result<fs::Metadata>| match data {
        Ok(data) => format!(
            "inode {} mode {:o} owner {}:{} size {}",
            data.ino(),
            data.mode(),
            data.uid(),
            data.gid(),
            data.len()
        ),
        Err(error) => error.to_string(),
    };
    let content = path.metadata().is_ok_and(|data| data.is_file());
    vec![
        one(path.symlink_metadata()),
        one(path.metadata()),
        if content {
            fs::read_to_string(path).unwrap_or_default()
        } else {
            String::new()
        },
    ]
}

fn uproot(at: &Path) {
    let directory = at.symlink_metadata().is_ok_and(|data| data.is_dir());
    let gone = if directory {
        fs::remove_dir(at)
    } else {
        fs::remove_file(at)
    };
    gone.unwrap_or_else(|error| panic!("{}: {error}", at.display()));
}

/// Bob's folder beside the temp directory, with a file, and one of alice's.
fn bobs_folder(world: &World) -> PathBuf {
    let own = world.base().join("bob");
    fs::create_dir(&own).expect("a folder");
    fs::write(own.join("file"), "precious").expect("a file");
    for path in [own.clone(), own.join("file")] {
        std::os::unix::fs::chown(path, Some(BOB), Some(BOB)).expect("chown");
    }
    let victims = world.base().join("alice's");
    fs::write(&victims, "hers").expect("a file");
    std::os::unix::fs::chown(victims, Some(ALICE), Some(ALICE)).expect("chown");
    own
}

fn each_plant(scene: &Scene) -> Vec<String> {
    let own = bobs_folder(&scene.world);
    let hers = scene.world.base().join("alice's");
    let mut failures = Vec::new();
    for file in [&scene.segment_file, &scene.semaphore_file] {
        for plant in PLANTS {
            for victim in VICTIMS {
                (plant.plant)(file, &own);
                let before = (picture(file), picture(&own.join("file")), picture(&hers));
                let started = scene.starts(victim);
                let after = (picture(file), picture(&own.join("file")), picture(&hers));
                let same = if before == after {
                    Ok(())
                } else {
                    Err(format!("it was touched: {before:?}, then {after:?}"))
                };
                let nothing = own.join("nothing").symlink_metadata().is_err();
                if after.0 == before.0 {
                    uproot(file);
                }
                let result = started.and(same).and_then(|()| scene.world.clean());
                if let Err(why) = result.and(nothing.then_some(()).ok_or("followed".to_owned())) {
                    let which = file.file_name().unwrap_or_default().to_string_lossy();
                    failures.push(format!("{} as {which}, {victim:?}: {why}", plant.name));
                    scene.world.restart();
                }
            }
        }
    }
    failures
}

#[test]
fn what_is_planted_as_a_key_file_is_not_used_and_not_harmed() {
    both(each_plant);
}

// The place aside, planted as well.

fn aside_planted(scene: &Scene) -> Vec<String> {
    let own = bobs_folder(&scene.world);
    let aside = scene.world.temp().join(format!("qshm-{ALICE}"));
    let plants: &[(&str, &dyn Fn())] = &[
        ("bob's directory, open to all", &|| {
            as_bob(|| {
                fs::create_dir(&aside).expect("a directory");
                fs::set_permissions(&aside, fs::Permissions::from_mode(0o777)).expect("its mode");
            });
        }),
        ("bob's directory", &|| {
            as_bob(|| fs::create_dir(&aside).expect("a directory"));
        }),
        ("a link to bob's directory", &|| link(&own, &aside)),
        ("a file", &|| file_of_bob(&aside, 0o666)),
    ];
    let mut failures = Vec::new();
    for (name, plant) in plants {
        for victim in [User::ALICE, User::SUDO_ALICE] {
            // Nobody needs to step aside: it does not matter.
            plant();
            let free = scene.starts(victim);
            // They would need to: a clear error, or another way out.
            file_of_bob(&scene.segment_file, 0o600);
            let finished = scene.start(victim);
            let taken = if clear(&finished) {
                Ok(())
            } else {
                Err(format!("with both in the way: {finished:?}"))
            };
            let inside: Vec<String> = scene
                .world
                .files()
                .into_iter()
                .filter(|file| file.contains(&format!("qshm-{ALICE}/")))
                .collect();
            let kept_out = if inside.is_empty() {
                Ok(())
            } else {
                Err(format!("used bob's directory: {inside:?}"))
            };
            uproot(&scene.segment_file);
            uproot(&aside);
            if let Err(why) = free
                .and(taken)
                .and(kept_out)
                .and_then(|()| scene.world.clean())
            {
                failures.push(format!("{name}, {victim:?}: {why}"));
            }
            scene.world.restart();
        }
    }
    failures
}

/// It started and ended, or said with a code and a text why not.
pub fn clear(finished: &Finished) -> bool {
    let code = finished.status.code();
    code == Some(0)
        || code == Some(2)
            && finished
                .lines
                .iter()
                .any(|line| line.starts_with("failed: ") && !line.contains("error 0"))
}

#[test]
fn a_planted_place_aside_is_not_used() {
    both(aside_planted);
}

// A System V object at the key of a key file that is the victim's own.

/// The victim's own key files, as an earlier crash leaves them.
fn own_key_files(scene: &Scene) {
    for file in [&scene.segment_file, &scene.semaphore_file] {
        fs::write(file, "").expect("a file");
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("its mode");
        std::os::unix::fs::chown(file, Some(ALICE), Some(ALICE)).expect("chown");
    }
}

fn segments_planted(scene: &Scene) -> Vec<String> {
    let mut failures = Vec::new();
    for size in [1, 4, 4096] {
        for mode in [0o600, 0o666] {
            for (given, mapped) in [(false, false), (true, false), (false, true), (true, true)] {
                for victim in [User::ALICE, User::SUDO_ALICE] {
                    own_key_files(scene);
                    let key = planted::key_of(&scene.segment_file);
                    let id = as_user(BOB, || {
                        let id = planted::make_segment(key, size, mode, 0x5a);
                        if given {
                            planted::give_segment(id, ALICE, mode);
                        }
                        id
                    });
                    let keep = mapped.then(|| planted::Mapped::new(id));
                    let started = scene.starts(victim);
                    let there = scene.world.segments().iter().any(|one| one.id == id);
                    let touched = there && !planted::segment_has(id, size, 0x5a);
                    if let Err(why) = started {
                        failures.push(format!(
                            "size {size} mode {mode:o} given {given} mapped {mapped}: {why}"
                        ));
                    } else if touched {
                        failures.push(format!(
                            "size {size} mode {mode:o} given {given} mapped {mapped}: written to"
                        ));
                    }
                    drop(keep);
                    if scene.world.segments().iter().any(|one| one.id == id) {
                        planted::remove_segment(id);
                    }
                    // With it gone, all else goes with the next clean end.
                    if let Err(why) = scene.starts(victim).and_then(|()| scene.world.clean()) {
                        failures.push(format!("size {size} mode {mode:o}, afterwards: {why}"));
                    }
                    scene.world.restart();
                }
            }
        }
    }
    failures
}

#[test]
fn a_planted_segment_is_not_used() {
    both(segments_planted);
}

fn semaphores_planted(scene: &Scene) -> Vec<String> {
    let mut failures = Vec::new();
    let values = [
        (1, Some(0)),
        (1, Some(1)),
        (1, Some(32767)),
        (1, None),
        (3, Some(1)),
    ];
    for (count, value) in values {
        for mode in [0o600, 0o666] {
            for given in [false, true] {
                for victim in [User::ALICE, User::SUDO_ALICE] {
                    own_key_files(scene);
                    let key = planted::key_of(&scene.semaphore_file);
                    let id = as_user(BOB, || {
                        let id = planted::make_semaphore(key, count, mode, value);
                        if given {
                            planted::give_semaphore(id, ALICE, mode);
                        }
                        id
                    });
                    let what = format!("{count} of {value:?}, mode {mode:o}, given {given}");
                    if let Err(why) = scene.starts(victim) {
                        failures.push(format!("{what}: {why}"));
                    }
                    if scene.world.semaphores().iter().any(|one| one.id == id) {
                        let kept = planted::semaphore_value(id) == value.unwrap_or(0);
                        if !kept {
                            failures.push(format!("{what}: its value was changed"));
                        }
                        planted::remove_semaphore(id);
                    }
                    if let Err(why) = scene.starts(victim).and_then(|()| scene.world.clean()) {
                        failures.push(format!("{what}, afterwards: {why}"));
                    }
                    scene.world.restart();
                }
            }
        }
    }
    failures
}

#[test]
fn a_planted_semaphore_is_not_used() {
    both(semaphores_planted);
}

/// Alice's own, with this value, by a program with Qt that ended at once. (Not
/// by this test: a value that a live process set may be its lock.)
fn semaphore_of_qt(scene: &Scene, value: i32) {
    let plain = Build::new(scene.build.qt, Flavour::Plain);
    let mut holder = scene.world.launch_as("holder", plain, User::ALICE).start();
    assert_eq!(holder.ask(&format!("sem hostile {value} create")), "ok");
    holder.say("exit");
    holder.wait();
    assert_eq!(scene.world.semaphores().len(), 1);
}

/// The victim's own objects, but in a state that no clean end leaves.
fn own_but_odd(scene: &Scene) -> Vec<String> {
    let mut failures = Vec::new();
    let values = [None, Some(0), Some(1), Some(5), Some(32767)];
    for size in [0, 1, 4, 4096] {
        for value in values {
            for victim in [User::ALICE, User::SUDO_ALICE] {
                own_key_files(scene);
                as_user(ALICE, || {
                    if size > 0 {
                        let key = planted::key_of(&scene.segment_file);
                        planted::make_segment(key, size, 0o600, 0x5a);
                    }
                    if value.is_none() {
                        let key = planted::key_of(&scene.semaphore_file);
                        planted::make_semaphore(key, 1, 0o600, None);
                    }
                });
                if let Some(value) = value {
                    semaphore_of_qt(scene, value);
                }
                if let Err(why) = scene.starts(victim).and_then(|()| scene.world.clean()) {
                    failures.push(format!("size {size}, value {value:?}, {victim:?}: {why}"));
                }
                scene.world.restart();
            }
        }
    }
    failures
}

#[test]
fn own_objects_in_an_odd_state_are_put_right() {
    both(own_but_odd);
}
