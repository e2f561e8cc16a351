//! [`crate::Instance`] as C++ has it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use super::ffi;
use super::held::Held;
use crate::instance::{Audience, Claim, Options, PRIVATE, Peer, Scope};
use crate::key::{Key, temp_dir};

pub(super) type Instance = Held<crate::Instance>;

/// What there is to say where the crate has panicked.
const FAULT: &str = "a fault in qshm, told on standard error";

// cxx has opaque types in boxes.
#[allow(clippy::unnecessary_box_returns)]
pub(super) fn join_instance(
    name: &[u8],
    options: &ffi::InstanceOptions,
    counter: &[u8],
) -> Box<Instance> {
    let join = || {
        let options = Options {
            scope: match options.scope {
                ffi::Scope::Session => Scope::Session,
                ffi::Scope::MachineGroup => Scope::Machine(Audience::Group(options.group)),
                ffi::Scope::MachineWorld => Scope::Machine(Audience::World),
                _ => Scope::User,
            },
            counter: options.has_counter.then(|| Key::new(counter, &temp_dir())),
        };
        crate::Instance::join(&text(name), &options)
    };
    Box::new(Held::new(join))
}

/// Bytes as text: a byte that is not UTF-8 becomes the replacement character and two digits, and that
/// character itself is doubled, so that what was different stays different.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            text.push(letter);
            if letter == char::REPLACEMENT_CHARACTER {
                text.push(letter);
            }
        }
        for byte in chunk.invalid() {
            text.push(char::REPLACEMENT_CHARACTER);
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

/// The names of users, each looked up once: that may ask servers.
#[derive(Default)]
struct Users(HashMap<Option<u32>, String>);

impl Users {
    fn report(&mut self, peer: Peer) -> ffi::PeerReport {
        let user = self.0.entry(peer.uid).or_insert_with(|| peer.user());
        let since = peer
            .since
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        ffi::PeerReport {
            number: peer.number,
            pid: peer.pid.unwrap_or(0),
            has_uid: peer.uid.is_some(),
            uid: peer.uid.unwrap_or(0),
            user: user.clone(),
            since: since.map_or(0, |since| since.as_secs() as i64),
            program: peer.program,
        }
    }
}

fn claim_report(claim: Claim) -> ffi::ClaimReport {
    let (state, holder, reason) = match claim {
        Claim::Mine => (ffi::ClaimState::Mine, None, String::new()),
        Claim::Taken(peer) => (ffi::ClaimState::Taken, Some(peer), String::new()),
        Claim::Unavailable(why) => (ffi::ClaimState::Unavailable, None, why),
    };
    ffi::ClaimReport {
        state,
        holder: holder.map_or_else(ffi::PeerReport::default, |peer| {
            Users::default().report(peer)
        }),
        reason,
    }
}

impl Instance {
    pub(super) fn number(&self) -> u32 {
        // Of one that could not be made: as good as any, and nobody's.
        self.glance(PRIVATE | (PRIVATE - 1), crate::Instance::number)
    }

    pub(super) fn exclusive(&self) -> bool {
        self.ask(false, crate::Instance::exclusive)
    }

    pub(super) fn reason(&self) -> String {
        self.ask(FAULT.to_owned(), crate::Instance::reason)
    }

    pub(super) fn count(&self) -> usize {
        self.ask(1, crate::Instance::count)
    }

    pub(super) fn peers(&self) -> Vec<ffi::PeerReport> {
        self.ask(Vec::new(), |instance| {
            let mut users = Users::default();
            let peers = instance.peers().into_iter();
            peers.map(|peer| users.report(peer)).collect()
        })
    }

    pub(super) fn claim(&self, resource: &[u8], milliseconds: u64) -> ffi::ClaimReport {
        let report = self.ask(None, |instance| {
            let time = Duration::from_millis(milliseconds);
            Some(claim_report(instance.claim_within(&text(resource), time)))
        });
        report.unwrap_or_else(|| ffi::ClaimReport {
            state: ffi::ClaimState::Unavailable,
            holder: ffi::PeerReport::default(),
            reason: FAULT.to_owned(),
        })
    }

    pub(super) fn release(&self, resource: &[u8]) -> bool {
        self.ask(false, |instance| instance.release(&text(resource)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_stay_different() {
        for plain in ["", "Logic", "ä\u{0}"] {
            assert_eq!(text(plain.as_bytes()), plain);
        }
        let names: [&[u8]; 5] = [b"\xe4", b"\xf6", b"a\xe4", b"\xe4\xe4", b"\xe2\x82"];
        let mut texts: Vec<String> = names.into_iter().map(text).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), names.len(), "{texts:?}");
    }
}
