//! What `diagnosis()` and the error texts say of a key, of System V and of POSIX, asked by whoever
//! may be asking, with real Qt beside.

use std::path::{Path, PathBuf};

use qshm::diagnosis::{Inside, State, Verdict};
use qshm::key::{Key, KeyType, NativeKey};
use qshm::{AccessMode, Diagnosis, OpenMode, SharedMemory, SystemSemaphore};

use crate::support::{Build, DEADLINE, Launch, Running, User, World, has_qt68};

const SEGMENT: &str = "/dev/shm/told";
const SEMAPHORE: &str = "/dev/shm/sem.told";

/// A process that asks the crate, see [`child`].
struct Asks(Running);

impl Asks {
    fn start(world: &World, user: User) -> Self {
        let child = Launch::new(&std::env::current_exe().unwrap(), world.temp());
        let mut running = child
            .user(user)
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "--test-threads=1",
                "diagnosis::child",
            ])
            .start();
        while !running.line().ends_with("ready") {}
        Self(running)
    }

    fn ask(&mut self, line: &str) -> String {
        self.0.ask(line)
    }

    /// The verdict, and all of it in words.
    fn why(&mut self) -> (String, String) {
        let verdict = self.ask("verdict");
        (verdict, self.ask("why"))
    }
}

fn native_key(text: &str) -> Option<NativeKey> {
    let (kind, name) = text.split_once(':')?;
    let kind = match kind.strip_prefix("systemv-") {
        Some(number) => KeyType::SystemV(number.parse().unwrap()),
        None if kind == "systemv" => KeyType::SystemV(b'Q'),
        None => KeyType::Posix,
    };
    Some(NativeKey::new(kind, name.into(), false))
}

#[test]
#[ignore = "a process that the tests here start"]
fn child() {
    let memory = SharedMemory::new();
    let semaphore = SystemSemaphore::new();
    let of_semaphore = std::cell::Cell::new(false);
    let diagnosis = || -> Diagnosis {
        if of_semaphore.get() {
            semaphore.diagnosis()
        } else {
            memory.diagnosis()
        }
    };
    let told = |ok: bool| {
        if ok {
            "ok".to_owned()
        } else {
            format!("error {}", memory.error())
        }
    };
    println!("ready");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match command {
            "key" => {
                memory.set_options(qshm::OptionsUpdate {
                    lock_wait: Some(std::time::Duration::from_millis(100)),
                    ..qshm::OptionsUpdate::default()
                });
                match native_key(rest) {
                    Some(key) => memory.set_native_ipc_key(key),
                    None => memory.set_key(Key::new(rest.as_bytes(), &qshm::key::temp_dir())),
                }
                "ok".to_owned()
            }
            "sem" => {
                of_semaphore.set(true);
                if let Some(key) = native_key(rest) {
                    semaphore.set_native_ipc_key(key, 3, OpenMode::Open);
                } else {
                    let key = Key::new(rest.as_bytes(), &qshm::key::temp_dir());
                    semaphore.set_key(key, 3, OpenMode::Open);
                }
                semaphore.error().to_string()
            }
            "create" => told(memory.create(rest.parse().unwrap(), AccessMode::ReadWrite)),
            "attach" => told(memory.attach(AccessMode::ReadWrite)),
            "detach" => told(memory.detach()),
            "lock" => told(memory.lock()),
            "unlock" => told(memory.unlock()),
            "verdict" => format!("{:?}", diagnosis().verdict),
            "state" => format!("{:?}", diagnosis().machine_wide.state),
            "users" => format!("{:?}", diagnosis().machine_wide.users),
            "command" => diagnosis().command,
            "why" => diagnosis().to_string(),
            _ => "what?".to_owned(),
        };
        println!("{answer}");
    }
}

fn qt(world: &World, user: User) -> Running {
    let mut running = world.launch_as("holder", Build::QT68, user).start();
    assert_eq!(running.ask("key posix:told"), "/told");
    running
}

fn quit(mut running: Running) {
    running.say("quit");
    running.finish(DEADLINE).ok();
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}

/// Runs a command that is told, as root.
fn obey(command: &str) {
    let command = command.replace("sudo ", "");
    let done = std::process::Command::new("sh")
        .args(["-c", &command])
        .status()
        .unwrap();
    assert!(done.success(), "{command}");
}

/// The case of the field: root ran a program with Qt 6.8 once, which leaves its segment even when
/// it ends well. Then the user's application, with qshm, asks why.
#[test]
fn what_qt_as_root_left_is_explained_to_the_user() {
    let Some(world) = has_qt68().then(World::new).flatten() else {
        return;
    };
    for crash in [false, true] {
        let mut root = qt(&world, User::Root);
        assert_eq!(root.ask("create 4"), "ok");
        if crash {
            root.kill_and_wait();
        } else {
            quit(root);
        }
        let clear = if crash {
            "sudo rm -f '/dev/shm/told' '/dev/shm/sem.told'"
        } else {
            "sudo rm -f '/dev/shm/told'"
        };
        let whose = [
            "segment /dev/shm/told, 4 bytes, belongs to root, mode 600, made ",
            " ago: no process that can be seen from here has it",
            "only root can see whether one has it",
            // Of what ended well it leaves the segment alone.
            if crash {
                "semaphore /dev/shm/sem.told, belongs to root, mode 600"
            } else {
                ""
            },
            &format!("if no program uses it: {clear}"),
        ];
        let mut user = Asks::start(&world, User::ALICE);
        user.ask("key posix:/told");
        let (verdict, why) = user.why();
        assert_eq!(verdict, "InTheWay", "{why}");
        says(&why, &whose);
        assert_eq!(user.ask("command"), clear);

        // The drop-in says so itself, in the error's text, where it is not to step aside.
        let launch = world.launch_as("holder", Build::QSHM68, User::ALICE);
        let mut app = launch.env("QSHM_IN_THE_WAY", "fail").start();
        app.ask("key posix:told");
        for call in ["create 4", "attach"] {
            let error = app.ask(call);
            assert!(error.starts_with("error 1 "), "{error}");
            says(&error, &whose);
            // Qt opens the semaphore first.
            let first = if crash {
                "sem.told is not ours"
            } else {
                "told may not be opened"
            };
            says(&error, &[&format!("(/dev/shm/{first}; segment")]);
        }

        // It steps aside, and says where it is then.
        assert_eq!(user.ask("create 4"), "ok");
        let (verdict, why) = user.why();
        assert_eq!(verdict, "Aside", "{why}");
        let pid = user.0.pid();
        says(&why, &whose);
        says(
            &why,
            &[
                "in our own place: segment /dev/shm/qshm-1/told, 4 bytes",
                &format!("(pid {pid}, "),
            ],
        );
        drop(user);

        // Root sees that nobody has it, and so does who was called by the user.
        for other in [User::Root, User::SUDO_ALICE] {
            let mut other = Asks::start(&world, other);
            other.ask("key posix:/told");
            let (verdict, why) = other.why();
            assert_eq!(verdict, "Leftover", "{why}");
            says(&why, &["no process is attached, left behind by a crash"]);
            assert_eq!(other.ask("command"), "");
        }

        // What it says to do helps.
        obey(clear);
        let mut user = Asks::start(&world, User::ALICE);
        user.ask("key posix:/told");
        assert_eq!(user.why().0, "Free");
        assert_eq!(user.ask("create 4"), "ok");
        assert_eq!(user.why().0, "Live");
        drop(user);
        world.restart();
    }
}

/// Who has it is named to whoever may see it, and nobody is told to remove what is in use.
#[test]
fn a_live_application_is_named_and_not_to_be_cleared() {
    let Some(world) = has_qt68().then(World::new).flatten() else {
        return;
    };
    for owner in [User::ALICE, User::BOB, User::Root] {
        let mut app = qt(&world, owner);
        assert_eq!(app.ask("create 4"), "ok");
        let pid = format!("(pid {}, ", app.pid());
        for asker in [User::ALICE, User::Root] {
            let mut asks = Asks::start(&world, asker);
            asks.ask("key posix:/told");
            let (verdict, why) = asks.why();
            if asker == owner {
                assert_eq!(verdict, "Live", "{owner:?} {asker:?} {why}");
            } else {
                assert_eq!(verdict, "InTheWay", "{owner:?} {asker:?} {why}");
            }
            if asker == owner || asker == User::Root {
                says(&why, &["in use by ", "holder-qt", &pid]);
                assert_eq!(asks.ask("command"), "");
                assert!(!why.contains("rm -f"), "{why}");
            } else {
                says(&why, &["only root can see", "if no program uses it"]);
            }
        }
        app.kill_and_wait();
        world.restart();
    }
}

/// The same of System V: what another user's application has is not to be removed.
#[test]
fn a_live_application_of_system_v_is_not_to_be_cleared_either() {
    let Some(world) = World::new() else { return };
    let mut app = world.launch_as("holder", Build::QT5, User::BOB).start();
    app.ask("key told");
    assert_eq!(app.ask("create 4"), "ok");
    let mut asks = Asks::start(&world, User::ALICE);
    asks.ask("key told");
    let (verdict, why) = asks.why();
    assert_eq!(verdict, "InTheWay", "{why}");
    says(
        &why,
        &[
            "4 bytes, belongs to ",
            " ago: in use by 1 process that can't be seen from here",
            "end that application",
        ],
    );
    assert_eq!(asks.ask("command"), "");
    let launch = world.launch_as("holder", Build::QSHM5, User::ALICE);
    let mut ours = launch.env("QSHM_IN_THE_WAY", "fail").start();
    ours.ask("key told");
    let error = ours.ask("create 4");
    says(
        &error,
        &["may not be opened, belongs to", "end that application"],
    );
    assert!(!error.contains("ipcrm"), "{error}");
    app.kill_and_wait();
    let (_, why) = asks.why();
    says(
        &why,
        &[
            "no process is attached, left behind by a crash; pid ",
            "to clear it: sudo ipcrm -m ",
        ],
    );
    let command = asks.ask("command");
    obey(&command);
    assert_eq!(asks.why().0, "Free");
    world.assert_clean();
}

/// Who is inside the lock, alive, stopped or dead, with qshm and with Qt alone.
#[test]
fn who_is_inside_a_posix_lock_is_told() {
    let Some(world) = has_qt68().then(World::new).flatten() else {
        return;
    };
    let mut asks = Asks::start(&world, User::ALICE);
    asks.ask("key posix:/told");
    assert_eq!(asks.ask("create 4"), "ok");
    let mut holder = world
        .launch_as("holder", Build::QSHM68, User::ALICE)
        .start();
    holder.ask("key posix:told");
    assert_eq!(holder.ask("attach"), "ok");
    assert!(!asks.ask("why").contains("held by"));
    assert_eq!(holder.ask("lock"), "ok");
    let pid = format!("(pid {}, ", holder.pid());
    let why = asks.ask("why");
    says(&why, &["held by ", "holder-qshm"]);
    assert!(
        why.rsplit_once("held by").unwrap().1.contains(&pid),
        "{why}"
    );
    holder.stop();
    says(&asks.ask("why"), &["which is stopped, not dead"]);
    holder.go_on();
    holder.kill_and_wait();
    says(
        &asks.ask("why"),
        &["taken by a process that died inside: a program with qshm gets it all the same"],
    );
    assert_eq!(asks.ask("lock"), "ok");
    assert_eq!(asks.ask("unlock"), "ok");

    let mut holder = qt(&world, User::ALICE);
    assert_eq!(holder.ask("attach"), "ok");
    assert_eq!(holder.ask("lock"), "ok");
    says(
        &asks.ask("why"),
        &["taken by one of these, or by a process"],
    );
    holder.kill_and_wait();
    drop(asks);
    world.restart();
}

/// One that stopped between two steps keeps those with qshm out, who say which.
#[test]
fn who_stopped_in_the_middle_is_told() {
    let Some(world) = World::new() else { return };
    let script = "import fcntl, sys\nfile = open(sys.argv[1])\n\
                  fcntl.flock(file, fcntl.LOCK_EX)\nprint('locked', flush=True)\ninput()";
    let files = [
        ("posix:/told", PathBuf::from(SEGMENT)),
        ("told", Key::new(b"told", world.temp()).segment_file()),
    ];
    for (key, file) in files {
        let mut asks = Asks::start(&world, User::ALICE);
        asks.ask(&format!("key {key}"));
        assert_eq!(asks.ask("create 4"), "ok");
        let mut stopped = Launch::new(Path::new("/usr/bin/python3"), world.temp())
            .user(User::ALICE)
            .args(["-c", script])
            .arg(&file)
            .start();
        assert_eq!(stopped.line(), "locked");
        assert!(!asks.ask("why").contains("stopped"));
        stopped.stop();
        let says_it = [
            "python3",
            &format!("kill -CONT {}", stopped.pid()),
            &file.display().to_string(),
            "stopped, not dead",
        ];
        says(&asks.ask("why"), &says_it);
        let mut other = Asks::start(&world, User::ALICE);
        other.ask(&format!("key {key}"));
        let busy = other.ask("attach");
        says(&busy, &says_it);
        says(&busy, &["another process keeps "]);
        drop((asks, other));
        world.restart();
    }
}

/// A System V key that is none of `setKey()`: one file leads to both objects, with whatever
/// project id.
#[test]
fn native_keys_of_system_v_are_told_of() {
    let Some(world) = World::new() else { return };
    let folder = world.base().join("files");
    std::fs::create_dir(&folder).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    std::fs::set_permissions(&folder, mode).unwrap();
    for (kind, number) in [("systemv", "0x51"), ("systemv-33", "0x21")] {
        let file = folder.join(kind);
        let key = format!("key {kind}:{}", file.display());
        let mut root = Asks::start(&world, User::Root);
        root.ask(&key);
        assert_eq!(root.ask("create 4"), "ok");
        assert_eq!(root.ask("lock"), "ok");
        let (verdict, why) = root.why();
        assert_eq!(verdict, "Live");
        let pid = format!("(pid {}, root)", root.0.pid());
        assert_eq!(why.matches(&pid).count(), 2, "{why}");
        let mut user = Asks::start(&world, User::ALICE);
        user.ask(&key);
        let live = user.why();
        assert_eq!(live.0, "InTheWay");
        says(&live.1, &["in use by ", "end that application"]);
        root.0.kill_and_wait();
        let (verdict, why) = user.why();
        assert_eq!(verdict, "InTheWay");
        says(&why, &["left behind by a crash", number]);
        let command = user.ask("command");
        let path = format!("'{}'", file.display());
        assert_eq!(command.matches(&path).count(), 1, "{command}");
        obey(&command);
        world.assert_clean();
        assert!(!file.exists());
    }
}

/// The same of a file that real Qt made.
#[test]
fn native_keys_of_system_v_that_qt_made_are_told_of() {
    let Some(world) = has_qt68().then(World::new).flatten() else {
        return;
    };
    let launch = world.launch_as("holder", Build::QT68, User::Root);
    let mut root = launch
        .env("XDG_RUNTIME_DIR", world.runtime(User::Root))
        .start();
    let native = root.ask("key systemv:told");
    assert_eq!(root.ask("create 4"), "ok");
    assert_eq!(root.ask("lock"), "ok");
    let mut asks = Asks::start(&world, User::Root);
    asks.ask(&format!("key systemv:{native}"));
    let (verdict, why) = asks.why();
    assert_eq!(verdict, "Live", "{why}");
    let pid = format!("(pid {}, root)", root.pid());
    says(&why, &["in use by ", "held by ", "holder-qt"]);
    assert_eq!(why.matches(&pid).count(), 2, "{why}");
    root.kill_and_wait();
    let (verdict, why) = asks.why();
    assert_eq!(verdict, "Leftover", "{why}");
    says(&why, &["left behind by a crash; pid "]);
    assert_eq!(asks.ask("create 4"), "ok");
    drop(asks);
    world.restart();
}

/// A `QSystemSemaphore` alone: of POSIX it is known who has it, of System V it is not.
#[test]
fn a_semaphore_that_stands_alone_is_told_of() {
    let Some(world) = has_qt68().then(World::new).flatten() else {
        return;
    };
    let mut root = world.launch_as("holder", Build::QT68, User::Root).start();
    assert_eq!(root.ask("sem posix:told 1 open"), "ok");
    let mut user = Asks::start(&world, User::ALICE);
    let error = user.ask("sem posix:/told");
    // Stepped aside.
    assert_eq!(error, "");
    let (verdict, why) = user.why();
    assert_eq!(verdict, "Aside", "{why}");
    says(
        &why,
        &[
            "semaphore /dev/shm/sem.told, belongs to root, mode 600, made ",
            "if no program uses it: sudo rm -f '/dev/shm/sem.told'",
            "in our own place: semaphore /dev/shm/qshm-1/sem.told",
            ", value 3: in use by ",
        ],
    );
    let mut asks = Asks::start(&world, User::Root);
    asks.ask("sem posix:/told");
    let why = asks.ask("why");
    says(&why, &["value 1", "in use by "]);
    says(&why, &[&format!("(pid {}, root)", root.pid())]);
    drop(asks);

    let mut one = Asks::start(&world, User::ALICE);
    one.ask("sem signal");
    assert_eq!(one.ask("verdict"), "Live");
    says(&one.ask("why"), &["semaphore 0x51", "value 3"]);
    let mut other = Asks::start(&world, User::BOB);
    other.ask("sem signal");
    let (verdict, why) = other.why();
    assert_eq!(verdict, "Aside", "{why}");
    says(&why, &["if no program uses it: sudo ipcrm -s "]);
    drop((user, root, one, other));
    world.restart();
}

/// What is planted under the name of an object or of a key file is named.
#[test]
fn files_in_the_way_are_told_of() {
    let Some(world) = World::new() else { return };
    let mut user = Asks::start(&world, User::ALICE);
    user.ask("key posix:/told");
    std::os::unix::fs::symlink("/nonexistent", SEGMENT).unwrap();
    let (verdict, why) = user.why();
    assert_eq!(verdict, "InTheWay", "{why}");
    says(&why, &["/dev/shm/told is a symbolic link, belongs to root"]);
    std::fs::remove_file(SEGMENT).unwrap();
    std::fs::create_dir(SEMAPHORE).unwrap();
    says(&user.ask("why"), &["sem.told is not what belongs there"]);
    std::fs::remove_dir(SEMAPHORE).unwrap();

    user.ask("key told");
    let name = Key::new(b"told", world.temp()).segment_file();
    plant(&name);
    let (verdict, why) = user.why();
    assert_eq!(verdict, "InTheWay", "{why}");
    says(
        &why,
        &["may not be opened, belongs to root", "sudo rm -f '"],
    );
    obey(&user.ask("command"));
    assert_eq!(user.why().0, "Free");
    drop(user);
    world.restart();
}

/// An empty file of root's that nobody else may open.
fn plant(path: &Path) {
    std::fs::write(path, "").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, mode).unwrap();
}

/// What the report is made of, for programs: of POSIX as of System V.
#[test]
fn a_report_has_the_same_parts_of_both_kinds() {
    let Some(world) = World::new() else { return };
    let name = PathBuf::from("/told");
    let memory = SharedMemory::new();
    let files = Key::new(b"told", world.temp());
    let keys: [&dyn Fn(&SharedMemory); 2] = [
        &|memory| memory.set_native_ipc_key(NativeKey::new(KeyType::Posix, name.clone(), false)),
        &|memory| memory.set_key(files.clone()),
    ];
    for (posix, set) in [true, false].into_iter().zip(keys) {
        set(&memory);
        assert_eq!(memory.diagnosis().machine_wide.state, None);
        assert!(
            memory.create(100, AccessMode::ReadWrite),
            "{}",
            memory.error()
        );
        assert!(memory.lock());
        let told = memory.diagnosis();
        let place = &told.machine_wide;
        assert_eq!(told.verdict, Verdict::Live);
        assert_eq!(place.state, Some(State::Live));
        // (A thread with namespaces of its own does not see itself by them.)
        let users = place.users.seen.len() as u64;
        assert_eq!((users > 0, users + place.users.hidden), (posix, 1));
        let (segment, semaphore) = (place.segment.clone(), place.semaphore.clone());
        let (segment, semaphore) = (segment.unwrap(), semaphore.unwrap());
        assert_eq!((segment.size, segment.attached), (Some(100), Some(1)));
        assert_eq!(segment.file.is_some(), posix);
        assert_eq!(segment.id.is_none(), posix);
        let perm = segment.perm.unwrap();
        assert_eq!((perm.uid, perm.mode), (0, 0o600));
        let since = segment.changed.unwrap();
        assert!(
            (told.time - 60..=told.time + 1).contains(&since),
            "{told:?}"
        );
        assert_eq!(semaphore.value, Some(0));
        let own = std::process::id();
        assert_eq!(semaphore.holder.unwrap().pid.unsigned_abs(), own);
        assert_eq!(semaphore.last_pid.unwrap().unsigned_abs(), own);
        assert_eq!(semaphore.inside == Inside::Alive, posix);
        assert!(memory.unlock());
        assert!(memory.detach());
    }
    drop(memory);
    world.assert_clean();
}
