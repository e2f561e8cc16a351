//! What the simulated processes do: the ways in which applications use the classes.

use std::path::Path;
use std::sync::Arc;

use qshm::identity::Identity;
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

pub fn memory(process: &SimProcess) -> SharedMemory<SimProcess> {
    let memory = SharedMemory::with_kernel(process.clone(), identity(process));
    memory.set_key(key("Logic"));
    memory
}

fn posix_key(name: &str) -> NativeKey {
    NativeKey::new(KeyType::Posix, format!("/{name}").into(), false)
}

pub fn posix_memory(process: &SimProcess) -> SharedMemory<SimProcess> {
    let memory = SharedMemory::with_kernel(process.clone(), identity(process));
    memory.set_native_ipc_key(posix_key("Logic"));
    memory
}

pub fn posix_semaphore(process: &SimProcess) -> SystemSemaphore<SimProcess> {
    let semaphore = SystemSemaphore::with_kernel(process.clone(), identity(process));
    semaphore.set_native_ipc_key(posix_key("Guard"), 1, OpenMode::Open);
    semaphore
}

pub fn semaphore(process: &SimProcess) -> SystemSemaphore<SimProcess> {
    let semaphore = SystemSemaphore::with_kernel(process.clone(), identity(process));
    semaphore.set_key(key("Guard"), 1, OpenMode::Open);
    semaphore
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
pub fn visit(process: &SimProcess) {
    let memory = memory(process);
    join(process, &memory);
    left(process, &memory);
}

/// The lock alone: there is no segment.
pub fn lock_alone(process: &SimProcess) {
    let memory = memory(process);
    if attach(process, &memory) {
        process.wrong("attached to a segment that nobody made");
    }
    locked(process, &memory);
    unlocked(process, &memory);
}

/// The same beside others' segments, with a lock of its own (the others' are not excluded).
pub fn lock_if_alone(process: &SimProcess) {
    let memory = memory(process);
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
pub fn logic(process: &SimProcess) {
    let memory = memory(process);
    join(process, &memory);
    count(process, &memory);
    left(process, &memory);
}

pub fn logic_attach_first(process: &SimProcess) {
    let memory = memory(process);
    join_attach_first(process, &memory);
    count(process, &memory);
    left(process, &memory);
}

/// The lock is used before and after the segment is.
pub fn logic_lock_outlives(process: &SimProcess) {
    let memory = memory(process);
    join(process, &memory);
    left(process, &memory);
    locked(process, &memory);
    unlocked(process, &memory);
}

/// Two objects of one key in one process, the second only to look.
pub fn logic_two_objects(process: &SimProcess) {
    let (first, second) = (memory(process), memory(process));
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
pub fn run_guard(process: &SimProcess) {
    let guard = semaphore(process);
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
    let memory = memory(process);
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

/// One start that must succeed at once, and ends cleanly.
pub fn next_start() -> Program {
    Arc::new(|process: &SimProcess| {
        let memory = memory(process);
        if !memory.create(4, AccessMode::ReadWrite) {
            failed(process, &memory, "create, when nobody is there");
        }
        count(process, &memory);
        left(process, &memory);
    })
}

pub fn next_run_guard() -> Program {
    Arc::new(|process: &SimProcess| {
        run_guard(process);
        if process.status().outcome.is_none() {
            process.wrong("RunGuard does not run, though nobody else does");
        }
    })
}
