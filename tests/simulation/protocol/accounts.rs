//! Who has taken how much from a POSIX semaphore: after each step the sum is what it was, and
//! nobody takes anything from the living, whichever slots the processes have.

use std::path::Path;
use std::sync::Arc;

use qshm::kernel::{Kernel, Open};
use qshm::key::{KeyType, NativeKey};
use qshm::{OpenMode, SystemSemaphore};

use super::judge::clean;
use super::posix::{FEW, SEMAPHORE};
use super::programs::*;
use super::{everybody, roll, search_some, user};
use crate::model::memory::Memory;
use crate::scenario::{Member, Scenario, exclusion_and_one_place, member};
use crate::sim_process::{SimProcess, User};

/// How the page of a semaphore is laid out.
const NAMED: u32 = 46;
const PARITY: u32 = 45;
const JOURNAL: usize = 72;
const JOURNAL_COUNTS: usize = 80;
const TABLE: usize = 96;
const PAGE: usize = 4096;

/// What would be there if everybody were dead: the value, the one that the word names somebody to
/// have, and what the table has; the last with the journal carried out, if the parity says so.
fn sum(page: &Memory) -> i64 {
    let own = page.word(0);
    let (entry, counts) = (page.word(JOURNAL), page.word(JOURNAL_COUNTS));
    let made = counts != 0 && own >> PARITY & 1 == counts & 1;
    let mut sum = i64::from(own as u32) + i64::from(own >> NAMED != 0);
    for (offset, pair) in page.stored().filter(|(offset, _)| *offset >= TABLE) {
        for half in 0..2 {
            let slot = 2 * (offset - TABLE) / 8 + half;
            if !made || entry as u32 as usize != slot {
                sum += i64::from((pair >> (32 * half)) as u32 as i32);
            }
        }
    }
    if made {
        sum += i64::from((entry >> 32) as u32 as i32);
    }
    sum
}

/// Beside the guarantees: the sum of each semaphore.
pub fn with_sum(scenario: &mut Scenario, expected: i64) {
    scenario.invariant = Arc::new(move |world, members, statuses| {
        exclusion_and_one_place(world, members, statuses)?;
        for (path, ino) in &world.names {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let page = &world.inodes[ino].memory;
            if name.starts_with("sem.") && sum(page) != expected {
                let (path, sum) = (path.display(), sum(page));
                return Err(format!("the sum of {path} is {sum}, not {expected}"));
            }
        }
        Ok(())
    });
}

/// In the user's own PID namespace, where it has the first pid. So have others in theirs, and all
/// want the same slot.
fn contained() -> User {
    User {
        pid: Some(1),
        ..user()
    }
}

fn lock_alone(process: &SimProcess) {
    let memory = memory(process, Keys::Posix);
    attach(process, &memory);
    locked(process, &memory);
    unlocked(process, &memory);
}

fn acquired(process: &SimProcess, semaphore: &SystemSemaphore<SimProcess>) {
    if !semaphore.acquire() {
        process.wrong(format!("acquire: {}", semaphore.error()));
    }
}

fn released(process: &SimProcess, semaphore: &SystemSemaphore<SimProcess>) {
    if !semaphore.release(1) {
        process.wrong(format!("release: {}", semaphore.error()));
    }
}

fn semaphore_of(process: &SimProcess, name: &str, initial: i32) -> SystemSemaphore<SimProcess> {
    let semaphore = SystemSemaphore::with_kernel(process.clone(), identity(process));
    let key = NativeKey::new(KeyType::Posix, name.into(), false);
    semaphore.set_native_ipc_key(key, initial, OpenMode::Open);
    semaphore
}

/// The semaphore of the segment's key is the segment's lock.
fn guard_of_the_segment(process: &SimProcess) {
    let semaphore = semaphore_of(process, "/Logic", 1);
    acquired(process, &semaphore);
    process.note(|status| status.locked = Some(0));
    process.note(|status| status.locked = None);
    released(process, &semaphore);
}

/// More than the word can name.
fn take_two(process: &SimProcess) {
    let semaphore = semaphore_of(process, "/Three", 3);
    acquired(process, &semaphore);
    acquired(process, &semaphore);
    released(process, &semaphore);
    released(process, &semaphore);
}

fn take_one(process: &SimProcess) {
    let semaphore = semaphore_of(process, "/Three", 3);
    acquired(process, &semaphore);
    released(process, &semaphore);
}

fn members(users: &[User], program: fn(&SimProcess)) -> Vec<Member> {
    let of = |user: &User| member(user.clone(), program);
    users.iter().map(of).collect()
}

fn scenario(name: &str, users: &[User], program: fn(&SimProcess), sum: i64) -> Scenario {
    let mut scenario = Scenario::new(&format!("accounts: {name}"), members(users, program));
    scenario.at_rest = clean(everybody(), next_start(Keys::Posix), &[]);
    with_sum(&mut scenario, sum);
    scenario
}

#[test]
fn a_lock_of_processes_that_want_the_same_slot() {
    let two = [contained(), contained()];
    let name = "a lock, two of the same pid";
    search_some(&scenario(name, &two, lock_alone, 1), 1, FEW);
    let three = [contained(), contained(), contained()];
    let scenario = scenario("a lock, three of the same pid", &three, lock_alone, 1);
    search_some(&scenario, 1, FEW);
}

#[test]
fn a_lock_and_a_semaphore_of_one_key() {
    let users = [user(), user()];
    let mut scenario = scenario("a lock and a semaphore", &users, lock_alone, 1);
    scenario.members[1] = member(user(), guard_of_the_segment);
    search_some(&scenario, 1, FEW);
    scenario.members.push(member(contained(), lock_alone));
    scenario
        .members
        .push(member(contained(), guard_of_the_segment));
    roll(&scenario, 2);
}

#[test]
fn a_semaphore_of_which_some_have_more_than_one() {
    let users = [user(), user()];
    let mut scenario = scenario("more than the word can name", &users, take_two, 3);
    scenario.at_rest = clean(everybody(), Arc::new(take_two), &[]);
    search_some(&scenario, 1, FEW);
    scenario.members[1] = member(user(), take_one);
    search_some(&scenario, 1, FEW);
    let many = [user(), contained(), contained(), user()];
    scenario.members = members(&many, take_one);
    scenario.members[0] = member(user(), take_two);
    roll(&scenario, 3);
}

const DEAD_ONES_SLOT: u32 = 500;
const READY: &str = "/tmp/ready";

/// Makes it so as if somebody had died inside, and says it; then wants the lock.
fn lock_of_a_dead_one(process: &SimProcess) {
    let memory = memory(process, Keys::Posix);
    attach(process, &memory);
    if !memory.lock() || !memory.unlock() {
        failed(process, &memory, "lock and unlock");
    }
    let fd = process.named_open(Path::new(SEMAPHORE), true).unwrap();
    let address = process.map(fd, PAGE, false).unwrap();
    process.word_set(address, u64::from(DEAD_ONES_SLOT) << NAMED);
    process.unmap(address, PAGE);
    process.close(fd);
    process.close(process.open(Path::new(READY), Open::New(0o600)).unwrap());
    locked(process, &memory);
    unlocked(process, &memory);
}

/// Gets the dead one's slot.
fn lock_when_ready(process: &SimProcess) {
    if process.lstat(Path::new(READY)).is_ok() {
        lock_alone(process);
    }
}

/// Who asks whether a holder is dead may be answered yes, and then stopped, until somebody else
/// has the dead one's slot, and the lock.
#[test]
fn the_lock_is_not_taken_from_who_has_a_dead_ones_slot() {
    let heir = User {
        pid: Some(i32::try_from(DEAD_ONES_SLOT).unwrap() - 1),
        ..user()
    };
    let name = "the heir of a dead one's slot";
    let mut scenario = scenario(name, &[user(), heir], lock_of_a_dead_one, 1);
    scenario.members[1].program = Arc::new(lock_when_ready);
    scenario.at_rest = Arc::new(|rest| {
        let left = rest.world.names.contains_key(Path::new(SEMAPHORE));
        (!left)
            .then_some(())
            .ok_or_else(|| "the semaphore is left".to_owned())
    });
    search_some(&scenario, 0, FEW);
}
