//! Claims: a resource that only one instance may hold.
//!
//! A claim is a lock that begins where the resource's hash says and is as long as the holder's
//! number and one byte more. So the kernel answers who holds it. A second lock of one byte keeps
//! a record with the resource's name, for people.

use super::file::{At, File};
use super::held::{Describe, Held, Moved};
use super::live::{Peer, peer};
use super::name::{NUMBERS, Part, SLOTS};
use super::others::{Files, Others, StillThere};
use super::record::{CLAIM, ClaimRecord, HEADER};
use super::stop::Stop;
use crate::kernel::{OpenDirect, Range, RangeLocks};

/// What became of [`claim`](super::Instance::claim).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is this instance's, until it ends or gives it back.
    Mine,
    /// Another instance has it.
    Taken(Peer),
    /// It can't be told whose it is; why, in one sentence.
    Unavailable(String),
}

impl Claim {
    /// Whether it is this instance's.
    pub fn is_mine(&self) -> bool {
        *self == Claim::Mine
    }
}

/// A claim that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldClaim {
    /// The resource, or the beginning of its name if that is long.
    pub resource: String,
    /// Who holds it.
    pub holder: Peer,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Taken, until it is given back.
    Taken(Held),
    /// By whom it is held.
    Held(u32),
}

/// How many places are tried for a record, for every size that the file may have.
const TRIES: u32 = 4;

/// Tries to take a claim for a number.
pub fn take<K: RangeLocks>(
    at: At<'_, K>,
    number: u32,
    resource: &str,
    still_there: StillThere<'_>,
) -> Result<Attempt, Stop> {
    let files = Files::open(at, Part::Claims)?;
    let position = at.key.claim(resource);
    let all = Range::new(position, u64::from(NUMBERS));
    let mine = Range::new(position, u64::from(number) + 1);
    if !files.lock(mine)? {
        let holders = files.each().map(|file| file.holder(all));
        let holders: Vec<_> = holders.collect::<Result<_, Stop>>()?;
        // It may have been given back in between.
        let holder = holders.into_iter().flatten().next().ok_or(Stop::Again)?;
        if let Some(number) = number_of(position, holder) {
            return Ok(Attempt::Held(number));
        }
        let path = files.here.path.display();
        return Err(Stop::because(format!(
            "somebody has locked {path} as a whole"
        )));
    }
    // Before anybody else's is looked for: whoever has a claim has one of these as well, and
    // there they can be found without knowing of which resource.
    let slot = lock_slot(position, |slot| files.lock(at.key.claim_slot(slot)))?;
    if let Some(last) = &files.last {
        last.lock(at.key.slot_in_both(slot))?;
    }
    for file in files.each() {
        write_record(file, slot, position, resource);
    }
    if files.others(at, still_there)? == Others::Perhaps {
        let claims = files.table(at, &[mine, mine], all)?.elsewhere;
        // As with numbers.
        files.others(at, still_there)?;
        let holder = claims.iter().find_map(|lock| number_of(position, *lock));
        if let Some(holder) = holder {
            return Ok(Attempt::Held(holder));
        }
        if !claims.is_empty() {
            return Err(Stop::because(
                "somebody has locked another file of claims as a whole".to_owned(),
            ));
        }
        let slot = at.key.claim_slot(slot);
        let table = files.table(at, &[slot, slot], at.key.claim_slots())?;
        files.describe(at, &table, |last, range| {
            let slot = (range.start - at.key.claim_slots().start) as u32;
            matches!(last.holder(at.key.slot_in_both(slot)), Ok(Some(_)))
        });
    }
    Held::keep(at, files).map(Attempt::Taken)
}

/// What a claim is held by, for who moves to other files.
pub fn moved<'a, K: RangeLocks>(
    at: At<'_, K>,
    number: u32,
    resource: &str,
    write: &'a Describe<'a, K>,
) -> Moved<'a, K> {
    Moved {
        part: Part::Claims,
        range: Range::new(at.key.claim(resource), u64::from(number) + 1),
        in_both: None,
        write,
    }
}

/// Locks and writes a claim's record, for who moves to another file.
pub fn write<K: RangeLocks>(at: At<'_, K>, file: &File<'_, K>, resource: &str) -> Result<(), Stop> {
    let position = at.key.claim(resource);
    let slot = lock_slot(position, |slot| file.lock(at.key.claim_slot(slot)))?;
    write_record(file, slot, position, resource);
    Ok(())
}

/// The number of who holds a claim with this lock, if it is one.
fn number_of(position: u64, lock: Range) -> Option<u32> {
    let number = u32::try_from(lock.length).ok()?.checked_sub(1)?;
    (lock.start == position && number < NUMBERS).then_some(number)
}

/// Finds a record that is no other claim's, and locks it.
fn lock_slot(position: u64, lock: impl Fn(u32) -> Result<bool, Stop>) -> Result<u32, Stop> {
    let hash = (position >> 16) as u32;
    // Small numbers first, so that the file is not larger than it has to be.
    for size in (4..=SLOTS.ilog2()).map(|bits| 1_u32 << bits) {
        for turn in 0..TRIES {
            let slot = hash.rotate_right(turn * 7) % size;
            if lock(slot)? {
                return Ok(slot);
            }
        }
    }
    Err(Stop::because("there are too many claims".to_owned()))
}

fn write_record<K: RangeLocks>(file: &File<'_, K>, slot: u32, position: u64, resource: &str) {
    let record = ClaimRecord {
        position,
        resource: resource.to_owned(),
    };
    file.write(ClaimRecord::offset(slot), &record.bytes());
}

/// All claims that are held, as far as they are described.
pub fn all<K: RangeLocks>(at: At<'_, K>) -> Result<Vec<HeldClaim>, Stop> {
    let Some(file) = at.open(Part::Claims, OpenDirect::Read)? else {
        return Ok(Vec::new());
    };
    let most = CLAIM * SLOTS as usize;
    let length = usize::try_from(file.stat.size).map_or(most, |size| size.min(most));
    let bytes = file.read(HEADER as u64, length);
    let mut claims = Vec::new();
    for record in bytes.chunks(CLAIM).filter_map(ClaimRecord::parse) {
        let all = Range::new(record.position, u64::from(NUMBERS));
        let number = file
            .holder(all)?
            .and_then(|holder| number_of(record.position, holder));
        if let Some(number) = number {
            claims.push(HeldClaim {
                resource: record.resource,
                holder: peer(at, number),
            });
        }
    }
    claims.sort_by(|one, other| one.resource.cmp(&other.resource));
    claims.dedup();
    Ok(claims)
}
