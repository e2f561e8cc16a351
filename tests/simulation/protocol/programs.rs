//! What the simulated processes do: the ways in which applications use the classes.

use std::path::Path;
use std::sync::Arc;

use qshm::identity::Identity;
use qshm::kernel::Kernel as _;
use qshm::key::{KeyType, NativeKey};
use qshm::{AccessMode, ErrorKind, Key, OpenMode, SharedMemory, SystemSemaphore};

use crate::model::call::Cred;
use crate::sim_process::{Program, SimProcess};

pub fn identity(process: &SimProcess) -> Option<Identity> {
    let Cred { uid, gid } = process.identity();
    let acting_as_root = process.runs_as_root() && uid != 0;
    Some(Identity {
        uid,
        gid,
        acting_as_root,
    })
}

pub fn key(name: &str) -> Key {
    Key::new(name.as_bytes(), Path::new("/tmp"))
}

/// The three kinds of key, each of which leads to objects of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Two key files, two System V objects.
    SystemV,
    /// One key file for both, as with the System V keys of Qt 6.6 and later.
    OneFile,
    /// Two POSIX objects.
    Posix,
}

/// The user's runtime directory.
pub const RUNTIME: &str = "/run/user/1000";

fn native_key(keys: Keys, name: &str) -> Option<NativeKey> {
    let (kind, name) = match keys {
        Keys::SystemV => return None,
        Keys::OneFile => (KeyType::SystemV(33), format!("{RUNTIME}/{name}")),
        Keys::Posix => (KeyType::Posix, format!("/{name}")),
    };
    Some(NativeKey::new(kind, name.into(), false))
}

pub fn memory(process: &SimProcess, keys: Keys) -> SharedMemory<SimProcess> {
    let memory = SharedMemory::with_kernel(process.clone(), identity(process));
    match native_key(keys, "Logic") {
        Some(native) => memory.set_native_ipc_key(native),
        None => memory.set_key(key("Logic")),
    }
    memory
}

pub fn semaphore(process: &SimProcess, keys: Keys) -> SystemSemaphore<SimProcess> {
    let semaphore = SystemSemaphore::with_kernel(process.clone(), identity(process));
    match native_key(keys, "Guard") {
        Some(native) => semaphore.set_native_ipc_key(native, 1, OpenMode::Open),
        None => semaphore.set_key(key("Guard"), 1, OpenMode::Open),
    }
    semaphore
}

/// The application does something of its own. What a process says of itself is looked at when it
/// makes a call.
pub fn busy(process: &SimProcess) {
    let _ = process.lstat(Path::new("/"));
}

/// Ends the program, if it was not to be expected that this fails so.
pub fn failed(process: &SimProcess, memory: &SharedMemory<SimProcess>, call: &str) -> ! {
    process.wrong(format!("{call}: {}", memory.error()))
}

pub fn create(process: &SimProcess, memory: &SharedMemory<SimProcess>) -> bool {
    let done = memory.create(4, AccessMode::ReadWrite);
    if done {
        process.note(|status| status.attached = true);
    } else if memory.error().kind() != ErrorKind::AlreadyExists {
        failed(process, memory, "create");
    }
    done
}

pub fn attach(process: &SimProcess, memory: &SharedMemory<SimProcess>) -> bool {
    let done = memory.attach(AccessMode::ReadWrite);
    if done {
        process.note(|status| status.attached = true);
    } else if memory.error().kind() != ErrorKind::NotFound {
        failed(process, memory, "attach");
    }
    done
}

/// create(), else attach(); again if whoever was there went in between.
pub fn join(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    for _ in 0..6 {
        if create(process, memory) || attach(process, memory) {
            return;
        }
    }
    process.wrong("neither create nor attach, again and again");
}

/// The order of RunGuard and of many others.
pub fn join_attach_first(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    for _ in 0..6 {
        if attach(process, memory) || create(process, memory) {
            return;
        }
    }
    process.wrong("neither attach nor create, again and again");
}

pub fn locked(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    if !memory.lock() {
        failed(process, memory, "lock");
    }
    process.note(|status| status.locked = Some(0));
}

pub fn unlocked(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    process.note(|status| status.locked = None);
    if !memory.unlock() {
        failed(process, memory, "unlock");
    }
}

pub fn count(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    locked(process, memory);
    let address = memory.data() as usize;
    let number = process.peek(address);
    process.poke(address, number + 1);
    unlocked(process, memory);
}

pub fn left(process: &SimProcess, memory: &SharedMemory<SimProcess>) {
    process.note(|status| status.attached = false);
    if !memory.detach() {
        failed(process, memory, "detach");
    }
}

/// Coming and going, without the lock.
pub fn visit(process: &SimProcess, keys: Keys) {
    let memory = memory(process, keys);
    join(process, &memory);
    left(process, &memory);
}

/// The lock alone: there is no segment.
pub fn lock_alone(process: &SimProcess, keys: Keys) {
    let memory = memory(process, keys);
    if attach(process, &memory) {
        process.wrong("attached to a segment that nobody made");
    }
    locked(process, &memory);
    busy(process);
    unlocked(process, &memory);
}

/// The same beside others' segments, with a lock of its own (the others' are not excluded).
pub fn lock_if_alone(process: &SimProcess, keys: Keys) {
    let memory = memory(process, keys);
    if attach(process, &memory) {
        process.wrong("attached to somebody else's segment");
    }
    if !memory.lock() {
        failed(process, &memory, "lock");
    }
    if !memory.unlock() {
        failed(process, &memory, "unlock");
    }
}

/// What the application of the report does, from start to exit.
pub fn logic(process: &SimProcess, keys: Keys) {
    let memory = memory(process, keys);
    join(process, &memory);
    count(process, &memory);
    left(process, &memory);
}

pub fn logic_attach_first(process: &SimProcess, keys: Keys) {
    let memory = memory(process, keys);
    join_attach_first(process, &memory);
    count(process, &memory);
    left(process, &memory);
}

/// The lock is used before and after the segment is.
pub fn logic_lock_outlives(process: &SimProcess, keys: Keys) {
    let memory = memory(process, keys);
    join(process, &memory);
    left(process, &memory);
    locked(process, &memory);
    busy(process);
    unlocked(process, &memory);
}

/// Two objects of one key in one process, the second only to look.
pub fn logic_two_objects(process: &SimProcess, keys: Keys) {
    let (first, second) = (memory(process, keys), memory(process, keys));
    join(process, &first);
    if !second.attach(AccessMode::ReadOnly) {
        failed(process, &second, "attach of a second object");
    }
    locked(process, &first);
    process.poke(first.data() as usize, 7);
    if process.peek(second.data() as usize) != 7 {
        process.wrong("two objects of one key have different segments");
    }
    unlocked(process, &first);
    left(process, &first);
    if !second.lock() || !second.unlock() || !second.detach() {
        failed(process, &second, "the second object, alone");
    }
}

/// RunGuard: a semaphore around looking and making.
pub fn run_guard(process: &SimProcess, keys: Keys) {
    let guard = semaphore(process, keys);
    let held = |act: &dyn Fn() -> bool| {
        if !guard.acquire() {
            process.wrong(format!("acquire: {}", guard.error()));
        }
        process.note(|status| status.locked = Some(1));
        let result = act();
        process.note(|status| status.locked = None);
        if !guard.release(1) {
            process.wrong(format!("release: {}", guard.error()));
        }
        result
    };
    let memory = memory(process, keys);
    let running = held(&|| {
        attach(process, &memory) && {
            left(process, &memory);
            true
        }
    });
    if !running && held(&|| create(process, &memory)) {
        process.note(|status| status.outcome = Some("runs"));
        left(process, &memory);
    }
}

/// A semaphore of the value 1 around something: whoever is killed inside gives it back.
pub fn guarded(process: &SimProcess, keys: Keys) {
    let guard = semaphore(process, keys);
    if !guard.acquire() {
        process.wrong(format!("acquire: {}", guard.error()));
    }
    process.note(|status| status.locked = Some(1));
    busy(process);
    process.note(|status| status.locked = None);
    if !guard.release(1) {
        process.wrong(format!("release: {}", guard.error()));
    }
}

/// One start that must succeed at once, and ends cleanly.
pub fn next_start(keys: Keys) -> Program {
    Arc::new(move |process: &SimProcess| {
        let memory = memory(process, keys);
        if !memory.create(4, AccessMode::ReadWrite) {
            failed(process, &memory, "create, when nobody is there");
        }
        count(process, &memory);
        left(process, &memory);
    })
}

pub fn next_run_guard(keys: Keys) -> Program {
    Arc::new(move |process: &SimProcess| {
        run_guard(process, keys);
        if process.status().outcome.is_none() {
            process.wrong("RunGuard does not run, though nobody else does");
        }
    })
}

pub fn next_guarded(keys: Keys) -> Program {
    Arc::new(move |process: &SimProcess| guarded(process, keys))
}
