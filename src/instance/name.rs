//! From a name and a scope to files and to positions of locks. Pure.
//!
//! The position of a lock says by itself which registry and which number it stands for: it starts
//! with a hash of the name, the scope and whose it is. So the kernel's table of locks
//! (`/proc/locks`) tells which numbers are taken even when the file that the locks are on has been
//! deleted, replaced, or is in another place.

use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

use super::scope::Numbering;
use crate::kernel::Range;

/// How many numbers have their locks on one file: the kernel goes through all locks of a file for
/// each that is taken, so there should not be too many.
pub const IN_FILE: u32 = 64;

/// How many numbers there are in a registry: what is free below a hash of 46 bits in an offset.
pub const NUMBERS: u32 = 1 << 16;

/// How many claims there may be at a time in a registry.
pub const SLOTS: u32 = 1 << 16;

/// How many files the numbers of a registry may need.
pub const FILES: u32 = NUMBERS / IN_FILE;

/// So much of a name, escaped, stands in file names; a hash follows where that is not all.
const SHOWN: usize = 120;

/// A registry: the numbers of one name in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    name: String,
    /// Escaped name, dot, scope.
    stem: String,
    numbers: u64,
    owner: String,
    scope: String,
}

/// What a file of a registry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The numbers from 64 times this on.
    Numbers(u32),
    /// The claims.
    Claims,
}

impl Key {
    /// The registry of this name.
    pub fn new(name: &str, numbering: &Numbering) -> Self {
        let (owner, scope) = (numbering.owner(), numbering.tag());
        Self {
            stem: format!("{}.{scope}", shown(name)),
            numbers: position(&owner, &scope, name, "numbers"),
            name: name.to_owned(),
            owner,
            scope,
        }
    }

    /// The name as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the file of a part.
    pub fn file(&self, part: Part) -> String {
        match part {
            Part::Numbers(file) => format!("{}.{file}", self.stem),
            Part::Claims => format!("{}.claims", self.stem),
        }
    }

    /// Where the lock of a number is.
    pub fn number(&self, number: u32) -> Range {
        Range::new(self.numbers + u64::from(number), 1)
    }

    /// Where the locks of a file's numbers are.
    pub fn numbers_of(&self, file: u32) -> Range {
        let first = u64::from(file) * u64::from(IN_FILE);
        Range::new(self.numbers + first, u64::from(IN_FILE))
    }

    /// Where the locks of all numbers are.
    pub fn all_numbers(&self) -> Range {
        Range::new(self.numbers, u64::from(NUMBERS))
    }

    /// Which number a lock stands for.
    pub fn number_at(&self, position: u64) -> Option<u32> {
        let number = u32::try_from(position.checked_sub(self.numbers)?).ok()?;
        (number < NUMBERS).then_some(number)
    }

    /// Where a claim's lock begins. Its length is the holder's number and one more, so who holds
    /// it can be asked of the kernel.
    pub fn claim(&self, resource: &str) -> u64 {
        position(
            &self.owner,
            &self.scope,
            &self.name,
            &format!("claim {resource}"),
        )
    }

    /// Where those with a number in the last place and in a better one have another lock in the
    /// last place.
    pub fn in_both(&self, number: u32) -> Range {
        let start = position(&self.owner, &self.scope, &self.name, "in both");
        Range::new(start + u64::from(number), 1)
    }

    /// The same for a claim's record.
    pub fn slot_in_both(&self, slot: u32) -> Range {
        let start = position(&self.owner, &self.scope, &self.name, "slots in both");
        Range::new(start + u64::from(slot), 1)
    }

    /// Where the lock of a claim's record is.
    pub fn claim_slot(&self, slot: u32) -> Range {
        Range::new(self.claim_slots().start + u64::from(slot), 1)
    }

    /// Where the locks of the claims' records are. Each claim has one.
    pub fn claim_slots(&self) -> Range {
        let slots = position(&self.owner, &self.scope, &self.name, "slots");
        Range::new(slots, u64::from(SLOTS))
    }
}

/// 46 bits of hash above 16 bits for numbers: all of it is below the largest offset of a file.
fn position(owner: &str, scope: &str, name: &str, what: &str) -> u64 {
    let mut hash = Sha1::new();
    for part in ["qshm instances", owner, scope, name, what] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut number = 0_u64;
    for byte in hash.finalize().iter().take(8) {
        number = number << 8 | u64::from(*byte);
    }
    number >> 18 << 16
}

/// Makes a text fit into a file name; reversible, unless it is too long: then a tilde and a hash
/// stand at the end.
fn shown(name: &str) -> String {
    let whole = escaped(name, b"-_.");
    if whole.len() <= SHOWN {
        return whole;
    }
    let mut short: String = whole.chars().take(SHOWN - 41).collect();
    short.push('~');
    for byte in Sha1::digest(name.as_bytes()) {
        let _ = write!(short, "{byte:02x}");
    }
    short
}

/// Percent-encoding of all but ASCII letters, digits and `plain`.
pub fn escaped(text: &str, plain: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The text that was escaped, `None` if this is not how it was done.
pub fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// What a file name says, for those who look at all registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// The name, if all of it is there.
    pub name: Option<String>,
    /// What stands for it in the file name.
    pub shown: String,
    /// The scope, as [`Numbering::tag`] has it.
    pub tag: String,
    /// Which file it is.
    pub part: Part,
}

impl FileName {
    /// Takes a file name apart; `None` if it is not one of ours.
    pub fn parse(file: &str) -> Option<Self> {
        let (rest, part) = file.rsplit_once('.')?;
        let part = match part {
            "claims" => Part::Claims,
            number => {
                let canonical = number == "0" || !number.starts_with(['0', '+']);
                let number: u32 = number.parse().ok().filter(|file| *file < FILES)?;
                Part::Numbers(canonical.then_some(number)?)
            }
        };
        let (shown, tag) = rest.rsplit_once('.')?;
        Some(Self {
            name: (!shown.contains('~')).then(|| unescaped(shown)).flatten(),
            shown: shown.to_owned(),
            tag: tag.to_owned(),
            part,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new(name, &Numbering::User(1000))
    }

    #[test]
    fn a_file_name_leads_back_to_the_name() {
        for name in [
            "Logic",
            "org.example.Logic",
            "a/b%c d",
            "",
            ".",
            "ä\u{0}",
            "~",
        ] {
            for part in [Part::Numbers(0), Part::Numbers(1023), Part::Claims] {
                let parsed = FileName::parse(&key(name).file(part)).unwrap();
                assert_eq!(parsed.name.as_deref(), Some(name));
                assert_eq!((parsed.tag.as_str(), parsed.part), ("user", part));
            }
        }
        assert_eq!(key("a/b").file(Part::Numbers(3)), "a%2Fb.user.3");
    }

    #[test]
    fn a_long_name_is_cut_and_still_its_own() {
        let (one, two) = ("x".repeat(3000), "x".repeat(3001));
        let file = key(&one).file(Part::Claims);
        assert!(file.len() < 160, "{file}");
        assert_ne!(file, key(&two).file(Part::Claims));
        assert_eq!(FileName::parse(&file).unwrap().name, None);
    }

    #[test]
    fn other_files_are_not_ours() {
        for file in [
            "",
            "a",
            "a.user",
            "a.user.",
            "a.user.x",
            "a.user.01",
            "a.user.+1",
            "a.user.1024",
            "a.user.-1",
            "claims",
        ] {
            assert_eq!(FileName::parse(file), None, "{file}");
        }
    }

    #[test]
    fn positions_tell_names_scopes_users_and_resources_apart() {
        let other_user = Key::new("Logic", &Numbering::User(1001));
        let machine = Key::new(
            "Logic",
            &Numbering::Machine(super::super::scope::Audience::World),
        );
        let session = Key::new(
            "Logic",
            &Numbering::Session {
                uid: 1000,
                session: "a1".to_owned(),
            },
        );
        let logic = key("Logic");
        let mut all = vec![
            logic.numbers,
            key("Logic2").numbers,
            other_user.numbers,
            machine.numbers,
            session.numbers,
            logic.claim("a"),
            logic.claim("b"),
            key("Logic2").claim("a"),
            logic.claim_slots().start,
        ];
        for position in &all {
            assert_eq!(position & 0xffff, 0);
            assert!(i64::try_from(position + 0xffff).is_ok());
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 9);
        assert_eq!(logic.number_at(logic.number(65_535).start), Some(65_535));
        assert_eq!(logic.number_at(logic.number(0).start - 1), None);
        assert_eq!(logic.number_at(logic.all_numbers().end()), None);
    }
}
