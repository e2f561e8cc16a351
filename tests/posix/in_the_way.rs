//! Files under a POSIX key's name that others made, use, or keep locked.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use qshm::key::{KeyType, NativeKey};
use qshm::{Access, AccessMode, OpenMode, OptionsUpdate, SharedMemory, SystemSemaphore};

use crate::processes::{child, ends_well, hear, kill_and_wait, say};
use crate::support::{alone, assert_gone, files, key, memory, semaphore};

/// Two users whom every Debian system knows, and the first one's group.
const ALICE: u32 = 1;
const BOB: u32 = 2;
const TEAM: u32 = 1;

const TEAM_ONLY: (&str, &str) = ("QSHM_ACCESS", "group:1");

const STEPS: &str = "QSHM_TEST_STEPS";
const KEY: &str = "QSHM_TEST_KEY";

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("SKIPPED: only root can be several users");
    }
    root
}

/// Arguments of setpriv(1).
fn user(uid: u32, groups: &[u32]) -> Vec<String> {
    let mut all = vec![format!("--reuid={uid}"), format!("--regid={uid}")];
    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    all.push(if groups.is_empty() {
        "--clear-groups".to_owned()
    } else {
        format!("--groups={}", groups.join(","))
    });
    all
}

/// Another program of this user's goes through these steps: what one does, and what is to come of
/// it.
fn goes(user: &[String], key: &NativeKey, environment: &[(&str, &str)], steps: &str) {
    let output = Command::new("setpriv")
        .args(user)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "in_the_way::steps", "--ignored", "--nocapture"])
        .envs(environment.iter().copied())
        .env(STEPS, steps)
        .env(KEY, key.name())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{steps}: {text}");
}

#[test]
#[ignore = "the program that the tests below start as one user or the other"]
fn steps() {
    let name = std::env::var_os(KEY).unwrap();
    let key = NativeKey::new(KeyType::Posix, name.into(), false);
    let mine = memory(&key);
    let second = memory(&key);
    let counter = SystemSemaphore::new();
    for step in std::env::var(STEPS).unwrap().split(", ") {
        let (act, expected) = step.split_once(": ").unwrap_or((step, "yes"));
        let act_on = |memory: &SharedMemory, done: bool| {
            if done {
                "yes".to_owned()
            } else {
                memory.error().to_string()
            }
        };
        let answer = match act {
            "create" => act_on(&mine, mine.create(4, AccessMode::ReadWrite)),
            "attach" => act_on(&mine, mine.attach(AccessMode::ReadWrite)),
            "attach again" => act_on(&second, second.attach(AccessMode::ReadWrite)),
            "lock" => act_on(&mine, mine.lock()),
            "unlock" => act_on(&mine, mine.unlock()),
            "modes" => {
                let mode = |path: &std::path::PathBuf| {
                    let status = fs::metadata(path);
                    status.map(|it| format!("{:o} {}", it.mode() & 0o777, it.gid()))
                };
                files(&key)
                    .iter()
                    .flat_map(mode)
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            "semaphore" => {
                counter.set_native_ipc_key(key.clone(), 1, OpenMode::Open);
                act_on(&mine, counter.acquire() && counter.release(1))
            }
            other => format!("{other}?"),
        };
        assert!(answer.contains(expected), "{step}: {answer}");
    }
}

/// What a process of real Qt that is attached looks like to others: it has the file open, and
/// mapped, and no lock.
fn like_qt(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

/// A planted file is no reason to wait, also if its maker keeps its lock.
#[test]
fn the_lock_of_a_planted_file_is_not_waited_for() {
    let _alone = alone();
    if !is_root() {
        return;
    }
    let key = key("planted-lock");
    for path in files(&key) {
        let planted = File::create(&path).unwrap();
        chown(&path, Some(BOB), Some(BOB)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        // SAFETY: a descriptor of ours.
        assert_eq!(
            unsafe { nix::libc::flock(planted.as_raw_fd(), nix::libc::LOCK_EX) },
            0
        );
        let begin = Instant::now();
        goes(
            &user(ALICE, &[]),
            &key,
            &[],
            "create, lock, unlock, semaphore",
        );
        assert!(begin.elapsed() < Duration::from_secs(8));
        fs::remove_file(&path).unwrap();
    }
    assert_gone(&key);
}

/// sem_open(3), killed between its link(2) and its unlink(2), leaves two names for a semaphore.
#[test]
fn a_semaphore_half_made_by_qt_is_used_all_the_same() {
    let _alone = alone();
    let key = key("half-made");
    let [_, path] = files(&key);
    let making = path.with_file_name("sem.qShmT3");
    let mut image = [0; 32];
    (image[0], image[8]) = (1, 128);
    fs::write(&making, image).unwrap();
    fs::set_permissions(&making, fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&making, &path).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let mine = memory(&key);
    assert!(mine.create(4, AccessMode::ReadWrite));
    assert!(mine.lock());
    assert_eq!(fs::metadata(&path).map(|it| it.ino()).unwrap(), inode);
    assert!(!making.exists());
    assert!(mine.unlock());
    drop(mine);
    assert_gone(&key);
}

/// What nobody has open a crash has left, whoever was killed.
#[test]
fn a_semaphore_that_qt_left_begins_anew() {
    let _alone = alone();
    let key = key("left");
    let [_, path] = files(&key);
    let mut image = [0; 32];
    image[8] = 128;
    fs::write(&path, image).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let used = like_qt(&path);
    let mine = semaphore(&key, 1);
    // Somebody uses it, so its value stays.
    let file = File::open(&path).unwrap();
    let mut word = [9; 4];
    file.read_exact_at(&mut word, 0).unwrap();
    assert_eq!(word, [0; 4]);
    drop((mine, file));
    assert!(path.exists());
    drop(used);
    let mine = semaphore(&key, 1);
    assert!(mine.acquire() && mine.release(1));
    drop(mine);
    assert_gone(&key);
}

/// Who is no member can't give a file to the group that the policy names, and gives it to nobody.
#[test]
fn only_the_named_group_gets_rights() {
    let _alone = alone();
    if !is_root() {
        return;
    }
    let key = key("no-member");
    let steps = format!("create, lock, modes: 600 {BOB} 600 {BOB}, unlock");
    goes(&user(BOB, &[]), &key, &[TEAM_ONLY], &steps);
    let steps = format!("create, lock, modes: 660 {TEAM} 660 {TEAM}, unlock");
    goes(&user(BOB, &[TEAM]), &key, &[TEAM_ONLY], &steps);
    assert_gone(&key);
}

/// Another member of the group can't see who uses a file, so it is neither changed nor taken for
/// a segment in use.
#[test]
fn in_doubt_a_shared_segment_is_left_alone() {
    const WORD: [u8; 8] = *b"precious";
    let _alone = alone();
    if !is_root() {
        return;
    }
    let key = key("doubt");
    let [path, _] = files(&key);
    let [alice, bob] = [ALICE, BOB].map(|uid| user(uid, &[TEAM]));
    // What alice's crash left; she, or root, may be using it with real Qt, which nobody sees.
    fs::write(&path, WORD).unwrap();
    chown(&path, Some(ALICE), Some(TEAM)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    let used = like_qt(&path);
    let steps = "attach: only its owner and root can tell, create, attach again, lock, unlock";
    goes(&bob, &key, &[TEAM_ONLY], steps);
    assert_eq!(fs::read(&path).unwrap(), WORD);
    // Its owner can tell: in use, then not.
    goes(&alice, &key, &[TEAM_ONLY], "attach");
    drop(used);
    goes(&alice, &key, &[TEAM_ONLY], "attach: doesn't exist");
    assert_gone(&key);
}

/// A process of real Qt in another PID namespace, which no `/proc` of ours shows.
#[test]
fn who_hides_is_seen() {
    let _alone = alone();
    let key = key("hidden");
    let [path, _] = files(&key);
    fs::write(&path, [7; 4]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    // Its open file is its input, and it ends with ours.
    let hidden = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "sleep", "infinity"])
        .stdin(like_qt(&path))
        .spawn();
    let Ok(mut hidden) = hidden else {
        println!("SKIPPED: no unshare(1)");
        return;
    };
    if hidden.try_wait().unwrap().is_some() {
        println!("SKIPPED: no right to a PID namespace of its own");
    } else {
        let mine = memory(&key);
        assert!(!mine.create(4, AccessMode::ReadWrite));
        assert!(mine.attach(AccessMode::ReadWrite), "{}", mine.error());
        assert!(mine.detach());
        assert_eq!(fs::read(&path).unwrap(), [7; 4]);
        hidden.kill().unwrap();
    }
    hidden.wait().unwrap();
    // The child of unshare(1) may live a moment longer.
    while memory(&key).attach(AccessMode::ReadWrite) {
        std::thread::yield_now();
    }
    assert_gone(&key);
}

/// While somebody is attached with qshm, there is no doubt.
#[test]
fn members_of_a_group_share_what_is_in_use() {
    let _alone = alone();
    if !is_root() {
        return;
    }
    let key = key("team");
    // Root's own, which lets the team in.
    let mine = memory(&key);
    mine.set_options(OptionsUpdate {
        access: Some(Access::Group(TEAM)),
        ..OptionsUpdate::default()
    });
    assert!(mine.create(4, AccessMode::ReadWrite));
    assert!(mine.lock() && mine.unlock());
    let bob = user(BOB, &[TEAM]);
    let steps = "create: already exists, attach, lock, unlock";
    goes(&bob, &key, &[TEAM_ONLY], steps);
    assert!(mine.lock() && mine.unlock());
    drop(mine);
    assert_gone(&key);
}

/// Root of a container may not ask for a lease of others' files, but may be their owner.
#[test]
fn root_without_capabilities_sees_who_uses_a_file() {
    let _alone = alone();
    if !is_root() {
        return;
    }
    let key = key("no-lease");
    let [path, _] = files(&key);
    fs::write(&path, [7; 4]).unwrap();
    chown(&path, Some(ALICE), Some(ALICE)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    let qt = child(|| {
        let _used = like_qt(&path);
        say(&there);
        std::thread::park();
    });
    hear(&here);
    let few: Vec<String> = ["--bounding-set", "--inh-caps"]
        .map(|set| format!("{set}=-lease,-sys_ptrace,-sys_admin,-perfmon"))
        .into();
    let sudo = [("SUDO_UID", "1"), ("SUDO_GID", "1")];
    goes(&few, &key, &sudo, "attach");
    assert_eq!(fs::read(&path).unwrap(), [7; 4]);
    kill_and_wait(qt);
    goes(&few, &key, &sudo, "attach: doesn't exist");
    assert_gone(&key);
}

/// A process of root's that the user may not disturb, and root's next one on the user's behalf.
#[test]
fn what_root_uses_is_stepped_aside_of_on_the_users_behalf() {
    let _alone = alone();
    if !is_root() {
        return;
    }
    let key = key("by-sudo");
    let [path, _] = files(&key);
    fs::write(&path, [7; 4]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let used = like_qt(&path);
    let sudo = [("SUDO_UID", "1"), ("SUDO_GID", "1")];
    goes(&[], &key, &sudo, "create, lock, unlock");
    assert_eq!(fs::read(&path).unwrap(), [7; 4]);
    drop(used);
    assert!(!memory(&key).attach(AccessMode::ReadWrite));
    assert_gone(&key);
}

/// A process of Qt that is between its shm_open(3) and its ftruncate(2) keeps its semaphore, and is
/// waited for.
#[test]
fn a_segment_in_the_making_is_waited_for() {
    let _alone = alone();
    let key = key("making");
    let [path, lock] = files(&key);
    let mut image = [0; 32];
    image[8] = 128;
    fs::write(&lock, image).unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, []).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    let maker = child(|| {
        let (segment, lock) = (like_qt(&path), like_qt(&lock));
        say(&there);
        std::thread::sleep(Duration::from_millis(60));
        segment.set_len(4).unwrap();
        lock.write_all_at(&[1], 0).unwrap();
        hear(&there);
    });
    hear(&here);
    let mine = memory(&key);
    assert!(mine.attach(AccessMode::ReadWrite), "{}", mine.error());
    assert_eq!(mine.size(), 4);
    say(&here);
    ends_well(maker);
    assert!(mine.lock() && mine.unlock());
    drop(mine);
    assert_gone(&key);
}

/// A signal: whoever releases and ends has not released in vain, however often.
#[test]
fn what_a_process_released_stays_released() {
    const SIGNALS: i32 = 5;
    let _alone = alone();
    let key = key("signal");
    let mine = semaphore(&key, 0);
    for _ in 0..SIGNALS {
        ends_well(child(|| {
            let sender = SystemSemaphore::new();
            sender.set_native_ipc_key(key.clone(), 0, OpenMode::Open);
            assert!(sender.release(1));
        }));
    }
    // One that comes later looks after what the dead have left.
    ends_well(child(|| {
        let other = semaphore(&key, 0);
        assert!(other.acquire() && other.release(1));
    }));
    for _ in 0..SIGNALS {
        assert!(mine.acquire());
    }
    assert!(mine.release(SIGNALS));
    drop(mine);
    assert_gone(&key);
}
