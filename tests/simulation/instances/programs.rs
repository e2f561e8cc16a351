//! What simulated instances do.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use qshm::instance::{Claim, Instance, Options, Scope, Surroundings};
use qshm::kernel::Kernel as _;

use crate::protocol::{USER, identity};
use crate::sim_process::{Program, SimProcess};

/// The name that all use.
pub const NAME: &str = "Logic";

/// The first file of the user's registry.
pub const REGISTRY: &str = "/run/user/1000/qshm/Logic.user.0";

/// Its claims.
pub const CLAIMS: &str = "/run/user/1000/qshm/Logic.user.claims";

/// The one in the last place of all.
pub const LAST_REGISTRY: &str = "/tmp/qshm-instances-1000/Logic.user.0";

/// A directory that only some have in their environment.
pub const NAMED: &str = "/tmp/named";

/// Nothing is known of the surroundings, and there is a session like everybody's.
static PLAIN: LazyLock<Surroundings> = LazyLock::new(|| surroundings(None));

/// `XDG_RUNTIME_DIR` is set.
static WITH_NAMED: LazyLock<Surroundings> = LazyLock::new(|| surroundings(Some(NAMED)));

fn surroundings(named: Option<&str>) -> Surroundings {
    Surroundings {
        runtime_directory: named.map(PathBuf::from),
        session: "a1".to_owned(),
    }
}

pub fn options(scope: Scope) -> Options {
    Options {
        scope,
        counter: None,
    }
}

/// Joins; a number of the registry is to be had.
pub fn joined(
    process: &SimProcess,
    surroundings: &'static Surroundings,
    options: &Options,
) -> Instance<SimProcess> {
    let who = identity(process);
    let instance = Instance::with_kernel(process.clone(), who, surroundings, NAME, options);
    if !instance.exclusive() {
        process.wrong(format!("no number: {}", instance.reason()));
    }
    process.note(|status| status.number = Some(instance.number()));
    instance
}

/// Joins where that may be impossible just then.
fn tries(process: &SimProcess, surroundings: &'static Surroundings) -> Instance<SimProcess> {
    let (who, options) = (identity(process), options(Scope::User));
    let instance = Instance::with_kernel(process.clone(), who, surroundings, NAME, &options);
    if instance.exclusive() {
        process.note(|status| status.number = Some(instance.number()));
    }
    instance
}

/// Joins and ends, if it can.
pub fn tries_to_visit(process: &SimProcess) {
    let instance = tries(process, &PLAIN);
    ends(process, instance);
}

/// The same for one whose environment names a directory.
pub fn tries_to_visit_named(process: &SimProcess) {
    let instance = tries(process, &WITH_NAMED);
    ends(process, instance);
}

/// Joins, claims, looks and ends, as far as it can.
pub fn tries_to_live(process: &SimProcess) {
    let instance = tries(process, &PLAIN);
    if instance.claim("camera").is_mine() {
        process.note(|status| status.claims = true);
    }
    counts(process, &instance);
    ends(process, instance);
}

pub fn ends(process: &SimProcess, instance: Instance<SimProcess>) {
    // What a process says of itself is looked at when it makes a call.
    let _ = process.lstat(Path::new("/"));
    process.note(|status| {
        status.number = None;
        status.claims = false;
    });
    drop(instance);
}

fn claims(process: &SimProcess, instance: &Instance<SimProcess>) {
    match instance.claim("camera") {
        Claim::Mine => process.note(|status| status.claims = true),
        Claim::Taken(_) => {}
        Claim::Unavailable(why) => process.wrong(format!("claim: {why}")),
    }
}

fn counts(process: &SimProcess, instance: &Instance<SimProcess>) {
    if instance.count() == 0 {
        process.wrong("not even itself is counted");
    }
}

/// Joins and ends.
pub fn visit(process: &SimProcess) {
    let instance = joined(process, &PLAIN, &options(Scope::User));
    ends(process, instance);
}

/// Joins, claims and ends.
pub fn claim(process: &SimProcess) {
    let instance = joined(process, &PLAIN, &options(Scope::User));
    claims(process, &instance);
    ends(process, instance);
}

/// Claims something else.
pub fn claim_another(process: &SimProcess) {
    let instance = joined(process, &PLAIN, &options(Scope::User));
    if !instance.claim("printer").is_mine() {
        process.wrong("the printer is nobody's");
    }
    ends(process, instance);
}

/// Claims, gives back, and claims again.
pub fn claim_twice(process: &SimProcess) {
    let instance = joined(process, &PLAIN, &options(Scope::User));
    claims(process, &instance);
    let _ = process.lstat(Path::new("/"));
    process.note(|status| status.claims = false);
    instance.release("camera");
    claims(process, &instance);
    ends(process, instance);
}

/// Joins, looks, which moves it to the file that is there now, and ends.
pub fn look(process: &SimProcess) {
    let instance = joined(process, &PLAIN, &options(Scope::User));
    counts(process, &instance);
    ends(process, instance);
}

/// All of it.
pub fn live(process: &SimProcess) {
    let instance = joined(process, &PLAIN, &options(Scope::User));
    claims(process, &instance);
    counts(process, &instance);
    ends(process, instance);
}

/// The same for one whose environment names a directory.
pub fn live_named(process: &SimProcess) {
    let instance = joined(process, &WITH_NAMED, &options(Scope::User));
    claims(process, &instance);
    counts(process, &instance);
    ends(process, instance);
}

pub fn visit_named(process: &SimProcess) {
    let instance = joined(process, &WITH_NAMED, &options(Scope::User));
    ends(process, instance);
}

/// One number after another, of two handles.
pub fn two_handles(process: &SimProcess) {
    let first = joined(process, &PLAIN, &options(Scope::User));
    let second = joined(process, &PLAIN, &options(Scope::User));
    if first.number() == second.number() {
        process.wrong("two handles of a process have one number");
    }
    // What is said of the process is its second number.
    ends(process, second);
    drop(first);
}

/// A cleaner: deletes the registry's file, once.
pub fn cleaner(process: &SimProcess) {
    let _ = process.unlink(Path::new(REGISTRY));
}

/// Deletes the claims.
pub fn cleaner_of_claims(process: &SimProcess) {
    let _ = process.unlink(Path::new(CLAIMS));
}

/// Deletes it, and makes another one that says of itself that it is the only one, as a copy does.
pub fn copier(process: &SimProcess) {
    use qshm::kernel::{OpenDirect, RangeLocks as _};
    let path = Path::new(REGISTRY);
    let read = |fd| process.read_at(fd, 0, 64);
    let Ok(content) = process.open_direct(path, OpenDirect::Read).and_then(read) else {
        return;
    };
    let _ = process.unlink(path);
    if let Ok(fd) = process.open_new_shared(path, 0o600, None) {
        let _ = process.write_at(fd, 0, &content);
    }
}

/// Logs in: from now on there is a runtime directory.
pub fn logs_in(process: &SimProcess) {
    let uid = USER;
    let path = PathBuf::from(format!("/run/user/{uid}"));
    // What root does in two steps is one here: it comes to be there with its owner.
    let made = process.as_user(uid, uid, || process.mkdir(&path, 0o700));
    if made != Ok(Ok(())) {
        process.wrong(format!("no runtime directory: {made:?}"));
    }
}

/// The user's runtime directory, and the directory in it.
const RUNTIME: &str = "/run/user/1000";
const INSIDE: &str = "/run/user/1000/qshm";

/// The last place's directory.
const LAST: &str = "/tmp/qshm-instances-1000";

/// Logs in and out: the runtime directory is there for a time, and gone with all in it.
pub fn logs_in_and_out(process: &SimProcess) {
    logs_in(process);
    process.vanishes(RUNTIME);
}

/// Logs out.
pub fn logs_out(process: &SimProcess) {
    process.vanishes(RUNTIME);
}

/// Opens the registry in the runtime directory to others, and thinks better of it.
pub fn opens_and_closes(process: &SimProcess) {
    process.has_mode(INSIDE, 0o755);
    process.has_mode(INSIDE, 0o700);
}

/// The last place is open to others, or closed to its owner, when the user logs in; that is put right,
/// and the user logs out.
pub fn faults_one_after_the_other(process: &SimProcess, mode: u32) {
    process.has_mode(LAST, mode);
    logs_in(process);
    process.has_mode(LAST, 0o700);
    process.vanishes(RUNTIME);
}

/// Both places are of no use, one after the other.
pub fn one_place_and_then_the_other(process: &SimProcess, mode: u32) {
    process.has_mode(INSIDE, mode);
    process.has_mode(LAST, mode);
    process.has_mode(INSIDE, 0o700);
    process.has_mode(LAST, 0o700);
}

/// The last place alone is of no use for a time.
pub fn the_last_place_for_a_time(process: &SimProcess) {
    process.has_mode(LAST, 0);
    process.has_mode(LAST, 0o700);
}

/// Takes the first byte of the registry that is not locked, and asks nothing more.
pub fn locks_and_believes(process: &SimProcess) {
    use qshm::kernel::{FileLock, OpenDirect, Range, RangeLocks as _, Wait};
    let path = Path::new(REGISTRY);
    let fd = loop {
        match process.open_direct(path, OpenDirect::Write) {
            Ok(fd) => break fd,
            Err(_) => {
                if let Ok(fd) = process.open_new_shared(path, 0o600, None) {
                    break fd;
                }
            }
        }
    };
    let taken = |number: &u32| {
        let byte = Range::new(u64::from(*number), 1);
        let lock = FileLock::Exclusive;
        process.range_lock(fd, byte, lock, Wait::No).is_ok()
    };
    let number = (0..3).find(taken);
    process.note(|status| status.number = number);
    let _ = process.lstat(Path::new("/"));
    process.note(|status| status.number = None);
    process.close(fd);
}

/// When nobody else is there: the first number, the claim, and one that is counted.
pub fn alone() -> Program {
    Arc::new(|process: &SimProcess| {
        let instance = joined(process, &PLAIN, &options(Scope::User));
        if instance.number() != 0 {
            process.wrong(format!(
                "number {} though nobody is there",
                instance.number()
            ));
        }
        if !instance.claim("camera").is_mine() {
            process.wrong("the claim is not free though nobody is there");
        }
        if instance.count() != 1 {
            process.wrong(format!("{} are counted", instance.count()));
        }
        ends(process, instance);
    })
}
