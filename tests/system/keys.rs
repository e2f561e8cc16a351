//! Odd keys, sizes and temp directories: the same answers, key files, project
//! ids and sizes as Qt's.

use crate::support::{Build, User, World, has_qt68, say};
use std::os::unix::fs::MetadataExt;

/// By the names of `tests/programs/calls_keys.h`.
const KEYS: [&str; 19] = [
    "null",
    "empty",
    "one",
    "two",
    "letter",
    "digits",
    "letters180",
    "letters195",
    "letters196",
    "letters200",
    "toolong",
    "nul",
    "high",
    "low",
    "accents",
    "kanji",
    "emoji",
    "slashes",
    "newline",
];

const SIZES: [i64; 10] = [
    0,
    -1,
    1,
    4095,
    4096,
    4097,
    1 << 20,
    1 << 30,
    i32::MAX as i64,
    i32::MIN as i64,
];

/// What only Qt 6 can be asked for.
const LARGE_SIZES: [i64; 5] = [1 << 31, 1 << 40, 1 << 62, i64::MAX, i64::MIN];

const PAIRS: [(Build, Build); 4] = [
    (Build::QT5, Build::QSHM5),
    (Build::QT6, Build::QSHM6),
    (Build::QT5, Build::PRELOAD5),
    (Build::QT6, Build::PRELOAD6),
];

/// Both builds give the same account of `calls`, made in a fresh world.
fn same(subject: &str, account: impl Fn(&World, Build, User) -> Vec<String>) {
    let Some(world) = World::new() else { return };
    let mut lines = 0;
    for (oracle, ours) in PAIRS {
        for user in [User::Root, User::ALICE] {
            let accounts = [oracle, ours].map(|build| {
                world.restart();
                account(&world, build, user)
            });
            lines += accounts[0].len();
            for (wanted, found) in accounts[0].iter().zip(&accounts[1]) {
                assert_eq!(found, wanted, "{subject}, {ours:?}, {user:?}");
            }
            assert_eq!(accounts[0].len(), accounts[1].len());
            world.assert_clean();
        }
    }
    say(&format!("{subject}: {lines} lines compared"));
}

#[test]
fn odd_keys_of_shared_memory() {
    same("keys of shared memory", |world, build, user| {
        let mut account = Vec::new();
        for key in KEYS {
            let calls = [
                &format!("new m0 {key}"),
                "attach m0 rw",
                "create m0 8 rw",
                "lock m0",
                "unlock m0",
                "new m1 none",
                &format!("setKey m1 {key}"),
                "attach m1 ro",
            ];
            account.extend(told(world, build, user, &calls));
        }
        account
    });
}

#[test]
fn odd_keys_of_semaphores() {
    same("keys of semaphores", |world, build, user| {
        let mut account = Vec::new();
        for key in KEYS {
            let calls = [
                &format!("new s0 {key} 2 create"),
                "acquire s0",
                &format!("new s1 {key} 5 open"),
                "acquire s1",
                "release s1 1",
            ];
            account.extend(told(world, build, user, &calls));
        }
        account
    });
}

#[test]
fn odd_sizes() {
    same("sizes", |world, build, user| {
        let mut account = Vec::new();
        let large = if build.folder() == "qt6" {
            &LARGE_SIZES[..]
        } else {
            &[]
        };
        for size in SIZES.iter().chain(large) {
            let create = format!("create m0 {size} rw");
            let calls = [
                "new m0 sizes",
                create.as_str(),
                "lock m0",
                "unlock m0",
                "attach m0 rw",
            ];
            account.extend(told(world, build, user, &calls));
        }
        account
    });
}

/// TEMP as Qt finds it: with a slash at its end, doubled ones, through a
/// symbolic link, relative, and not there at all, which only the root
/// directory's owner can use.
#[test]
fn odd_temp_directories() {
    same("temp directories", |world, build, user| {
        let temp = world.temp().display().to_string();
        let link = world.base().join("link");
        if !link.exists() {
            std::os::unix::fs::symlink(world.temp(), &link).expect("a link");
        }
        let mut account = Vec::new();
        for variable in [
            format!("{temp}/"),
            format!("/{temp}//."),
            link.display().to_string(),
            temp[1..].to_owned(),
        ] {
            let calls = [
                "new m0 temp",
                "create m0 8 rw",
                "lock m0",
                "new s0 temp2 1 open",
            ];
            let launch = world
                .launch_as("calls", build, user)
                .env("TMPDIR", variable);
            account.extend(told_by(world, launch, &calls));
        }
        if user != User::Root {
            // attach() would tell Qt's that nothing can be made there, and ours
            // that there is nothing.
            let calls = ["new m0 temp", "create m0 8 rw", "lock m0"];
            let launch = world
                .launch_as("calls", build, user)
                .env("TMPDIR", format!("{temp}/missing"));
            account.extend(told_by(world, launch, &calls));
        }
        account
    });
}

/// What platformSafeKey() makes of keys that are paths and of keys that are not.
#[test]
fn platform_safe_keys() {
    let Some(world) = has_qt68().then(World::new).flatten() else {
        return;
    };
    let [wanted, found] = [Build::QT68, Build::QSHM68].map(|build| {
        let runtime = world.runtime(User::Root);
        let launch = world.launch("holder", build);
        let mut holder = launch.env("XDG_RUNTIME_DIR", runtime).start();
        ["plain", "/plain", "/", "//a/b", "a/b", "./a"]
            .iter()
            .flat_map(|key| [format!("posix:{key}"), format!("systemv:{key}")])
            .map(|key| format!("{key}: {}", holder.ask(&format!("key {key}"))))
            .collect::<Vec<_>>()
    });
    assert_eq!(found, wanted);
    world.assert_clean();
}

/// A key that remembers what setKey() was given has that one's lock, whatever its own name.
#[test]
fn the_lock_of_a_remembered_key() {
    let Some(world) = has_qt68().then(World::new).flatten() else {
        return;
    };
    let file = world.temp().join("file");
    for key in [
        "posix:/named?legacyKey=remembered".to_owned(),
        "posix:/qipc_sharedmemory_named?legacyKey=remembered".to_owned(),
        "posix:/named?legacyKey=".to_owned(),
        format!("systemv:{}?legacyKey=remembered", file.display()),
    ] {
        let [wanted, found] = [Build::QT68, Build::QSHM68].map(|build| {
            world.restart();
            let mut holder = world.launch("holder", build).start();
            holder.ask(&format!("key text:{key}"));
            assert_eq!(holder.ask("create 4"), "ok", "{build:?} {key}");
            assert_eq!(holder.ask("lock"), "ok", "{build:?} {key}");
            (world.objects(), world.files())
        });
        assert_eq!(found, wanted, "{key}");
    }
    world.restart();
}

fn told(world: &World, build: Build, user: User, calls: &[&str]) -> Vec<String> {
    told_by(world, world.launch_as("calls", build, user), calls)
}

/// The answer to each call and what there is while it lasts; and nothing after the
/// last, when the objects are gone.
fn told_by(world: &World, launch: crate::support::Launch, calls: &[&str]) -> Vec<String> {
    let mut account = Vec::new();
    let mut running = launch.arg("-").start();
    for (call, next) in calls.iter().zip(calls.iter().skip(1).chain(&[""])) {
        running.say(call);
        let mut answer = running.line();
        while answer.starts_with("# ") {
            answer = running.line();
        }
        // After create() and after a failed attach() Qt already has a semaphore, and ours has
        // not: the first lock() makes it.
        let locks_next = next.starts_with("lock");
        let there = answer.contains("| attached ") && !locks_next || call.contains(" s");
        account.push(answer);
        if there {
            account.extend(made(world));
        }
    }
    running.finish(crate::support::DEADLINE).ok();
    world.assert_clean();
    account
}

/// The objects, each with the key file and the project id that its System V
/// key is made of, and the key files, in an order that is always the same.
fn made(world: &World) -> Vec<String> {
    let files: Vec<_> = world
        .files()
        .into_iter()
        .map(|name| {
            let data = world.temp().join(&name).symlink_metadata();
            (name, data.expect("the file is there"))
        })
        .collect();
    let origin = |key: u32| {
        let file = files.iter().find(|(_, data)| {
            let low = (data.dev() & 0xff) << 16 | data.ino() & 0xffff;
            low == u64::from(key) & 0xff_ffff
        });
        let name = file.map_or("no key file", |(name, _)| name);
        format!("{name}, project {:#x}", key >> 24)
    };
    let mut lines: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    for segment in world.segments() {
        lines.push(format!(
            "segment of {}: {} bytes, mode {:o}, uid {}",
            origin(segment.key),
            segment.size,
            segment.mode,
            segment.uid
        ));
    }
    for semaphore in world.semaphores() {
        lines.push(format!(
            "semaphore of {}: {} in the set, mode {:o}, uid {}",
            origin(semaphore.key),
            semaphore.count,
            semaphore.mode,
            semaphore.uid
        ));
    }
    lines.sort();
    lines
}
