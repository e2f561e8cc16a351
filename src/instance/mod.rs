//! Instance numbers, and resources that only one instance may hold, that no crash can leak.
//!
//! [`Instance::join`] gives a running instance the lowest number that no other has. The number is
//! a lock of the kernel's on an open file (`F_OFD_SETLK`, fcntl(2)): it ends with the process,
//! however that ends, and is free in the same moment (where it dumps core, when that is written).
//! Nothing has to be counted down or cleared.
//!
//! ```
//! use qshm::instance::{Instance, Options};
//!
//! let instance = Instance::join("org.example.doc", &Options::default());
//! println!("database-{}.sqlite", instance.number());
//! if instance.claim("camera").is_mine() {
//!     // … until the instance ends, or `release("camera")`.
//! }
//! for peer in instance.peers() {
//!     println!("{} is pid {:?}, {}", peer.number, peer.pid, peer.program);
//! }
//! ```
//!
//! # How a number is held
//! A registry is a file for every 64 numbers, in the user's runtime directory. The open file
//! description that has the lock is kept by a mapping and not by a descriptor, so that a child
//! that is forked does not keep the number (`MADV_DONTFORK`), a program that is executed neither,
//! and an application that closes all descriptors does not lose it. While a descriptor is open,
//! fork(2) of other threads waits: a few microseconds, milliseconds where a file is new. A child made with vfork(2) or posix_spawn(3)
//! shares the memory until it executes its program, and for so long the number, too.
//!
//! # What is written
//! Pid, user, executable and time, for people ([`Peer`]). They are never believed: who holds a
//! number is asked of the kernel.
//!
//! # A registry that is deleted or replaced
//! The position of a lock says by itself which registry and number it stands for, so that the
//! kernel's table (`/proc/locks`) shows those who hold a number on a file that was deleted. A new
//! file is not trusted to be the only one until the table has shown no other lock. So whatever is
//! deleted or replaced while instances run, the next [`join`](Instance::join) gives no number
//! that is taken, and counts those who are there. An instance moves to the new file, with its claims,
//! at its next [`count`](Instance::count), [`peers`](Instance::peers) or
//! [`claim`](Instance::claim).
//!
//! Whoever guesses a name can lock the same bytes of a file of his own, so a lock on a file that
//! no path leads to counts only if a process of the registry's user, or of root, has it mapped, in
//! this mount namespace unless it is the user's runtime directory. So these can't be noticed: a
//! file or directory that is taken away and given back as it was; on files that are gone, instances
//! whose processes this one may not look at (root's, for an ordinary user, those of another PID
//! namespace, and those that are not dumpable); and, where `/proc` is not mounted, anything of the
//! kind. What can't be explained is not taken for settled, so it misleads nobody else.
//!
//! # Places that come and go
//! An instance in a runtime directory has the same locks in the last place, too
//! (`/tmp/qshm-instances-UID`, or `/dev/shm/qshm-instances-UID` where mappings in `/tmp` keep no
//! locks). There it meets those whose environment names no such directory, and those who come when it
//! is gone. One that had no last place when it joined is found as well:
//! - Whoever is in the last place alone trusts a file there only while there is the same in place of
//!   the user's runtime directory as when it was settled: the nearest directory that exists, and the
//!   time of its last change. If the runtime directory has been there since, the table is asked.
//! - Whoever is in a runtime directory and has no last place asks the table each time.
//! - Whoever is in a directory that only `$XDG_RUNTIME_DIR` names needs the last place if there is a file
//!   in it that others may trust, now or when it is put right; its number is a private one otherwise.

mod claim;
mod counter;
mod file;
#[cfg(fuzzing)]
pub mod fuzzing;
mod held;
mod last;
mod list;
mod live;
mod name;
mod number;
mod others;
mod place;
mod private;
mod record;
mod scope;
mod shared;
mod steps;
mod stop;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::access::Access;
use crate::identity::{self, Identity};
use crate::kernel::{Linux, RangeLocks};
use crate::key::Key;
use crate::notes::{self, Guard};
use crate::options::{self, OptionsUpdate};

use counter::Counter;
use held::Held;
use shared::Shared;

pub use claim::{Claim, HeldClaim};
pub use list::{Registry, list, list_named};
pub use live::Peer;
pub use private::PRIVATE;
pub use scope::{Audience, Scope, Surroundings};

/// How an instance joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Who shares the numbers.
    pub scope: Scope,
    /// The key of the `QSharedMemory` in which older builds count their instances: its first
    /// four bytes are kept at the number of instances that run, of theirs and of ours, and
    /// numbers are given as they give them. For [`Scope::User`] alone. With it, joining may wait
    /// for the segment's lock, some seconds at most; without it, for nobody. So may
    /// [`count`](Instance::count), which puts right what a killed instance is still counted for,
    /// and the end.
    ///
    /// What an older build does that is killed, or whose number is given back out of order, is as
    /// it ever was: the count is too high until the last of them has ended, or a number is given
    /// twice. An older build takes the count for its number, which may be one of ours when one with a
    /// lower number has ended. A segment that is larger than a count is read and left alone.
    pub counter: Option<Key>,
}

/// Pauses between attempts at a claim that is waited for: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// One of the running instances of an application.
///
/// The number is this process's until the value is dropped; a process may have many. All calls may
/// be made from any thread. In a forked child the value is the parent's: [`exclusive`] is false
/// there, and dropping it changes nothing.
///
/// [`exclusive`]: Self::exclusive
pub struct Instance<K: RangeLocks = Linux> {
    kernel: K,
    shared: Arc<Shared>,
    number: u32,
    /// Of the process that joined.
    fork_mark: u32,
    /// When it joined, in seconds since 1970.
    since: u64,
    state: Mutex<State<K>>,
}

/// What may change, or is rarely there.
struct State<K: RangeLocks> {
    held: Option<Held>,
    more: Option<Box<More<K>>>,
}

struct More<K: RangeLocks> {
    /// Why there is no number in the registry, or no counter.
    reason: String,
    claims: Vec<(Box<str>, Held)>,
    counter: Option<Counter<K>>,
}

impl<K: RangeLocks> State<K> {
    fn more(&mut self) -> &mut More<K> {
        self.more.get_or_insert_with(|| {
            Box::new(More {
                reason: String::new(),
                claims: Vec::new(),
                counter: None,
            })
        })
    }
}

impl Instance<Linux> {
    /// Takes the lowest number that is free among the instances of this name.
    ///
    /// The name is any text; best one that is the application's own, such as a domain of its
    /// maker turned round. There is always an instance: where no number can be had (a read-only
    /// file system, no descriptors, somebody in the way), [`exclusive`](Self::exclusive) is false,
    /// [`reason`](Self::reason) says why, and the number is a private one from [`PRIVATE`] on.
    pub fn join(name: &str, options: &Options) -> Self {
        Self::with_kernel(Linux, None, Surroundings::current(), name, options)
    }
}

impl<K: RangeLocks> Instance<K> {
    /// [`join`](Instance::join) over this kernel. `identity` says on whose behalf; `None`: as
    /// [`crate::identity::current`] finds.
    pub fn with_kernel(
        kernel: K,
        identity: Option<Identity>,
        surroundings: &'static Surroundings,
        name: &str,
        options: &Options,
    ) -> Self {
        let identity = identity.unwrap_or_else(|| {
            identity::current(match options::in_force(OptionsUpdate::default()).access {
                Access::Owner => Access::Owner,
                _ => Access::Invoker,
            })
        });
        let fork_mark = kernel.fork_mark();
        let since = kernel.now().max(0) as u64;
        let mut instance = Self {
            kernel,
            shared: Shared::new(name, identity, surroundings, options.scope),
            number: 0,
            fork_mark,
            since,
            state: Mutex::new(State {
                held: None,
                more: None,
            }),
        };
        let mut state = State {
            held: None,
            more: None,
        };
        instance.take_number(&mut state, options.counter.as_ref());
        instance.state = Mutex::new(state);
        notes::flush();
        instance
    }

    /// The number: 0, 1, 2 and so on, the lowest that was free; from [`PRIVATE`] on if not
    /// [`exclusive`](Self::exclusive).
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether this is the instance with number 0.
    pub fn first(&self) -> bool {
        self.number == 0
    }

    /// Whether no other instance of this name has the number. Says no in a forked child, whose
    /// number is its parent's.
    pub fn exclusive(&self) -> bool {
        self.is_ours() && Guard::of(&self.state).held.is_some()
    }

    /// Why the instance has no number of the registry, or why the old counter is not kept, in one
    /// sentence. Empty if all is as it should be.
    pub fn reason(&self) -> String {
        if !self.is_ours() {
            return "the number belongs to the process that this one was forked from".to_owned();
        }
        let state = Guard::of(&self.state);
        state
            .more
            .as_ref()
            .map_or(String::new(), |more| more.reason.clone())
    }

    /// How many instances of this name are running, this one included. As few as can be, 1, where
    /// the registry can't be looked at: no descriptors, or what [`reason`](Self::reason) says.
    pub fn count(&self) -> usize {
        let counted = self.count_all();
        // In a forked child, the parent's number is counted, if it is still there.
        if self.number < PRIVATE {
            counted.max(1)
        } else {
            counted + 1
        }
    }

    /// The other instances of this name, by number. None where the registry can't be looked at.
    pub fn peers(&self) -> Vec<Peer> {
        let mut peers = self.look(|at| live::peers(at)).unwrap_or_default();
        peers.retain(|peer| peer.number != self.number);
        peers
    }

    /// Takes a resource for this instance alone, until it ends or [gives it
    /// back](Self::release); says who has it otherwise. Does not wait.
    ///
    /// Resources are told apart by their names, within the instances of this name and scope.
    pub fn claim(&self, resource: &str) -> Claim {
        self.claim_within(resource, Duration::ZERO)
    }

    /// The same, but waits so long for whoever has it.
    pub fn claim_within(&self, resource: &str, time: Duration) -> Claim {
        let begin = self.kernel.clock();
        let (mut paused, mut pause) = (Duration::ZERO, FIRST_PAUSE);
        loop {
            let claim = self.try_claim(resource);
            // An attempt takes its time, too. A clock may stand still.
            let waited = paused.max(self.kernel.clock().saturating_sub(begin));
            if !matches!(claim, Claim::Taken(_)) || waited >= time {
                notes::flush();
                return claim;
            }
            pause = pause.min(time.saturating_sub(waited));
            self.kernel.pause(pause);
            paused += pause;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives a resource back. False if it was not this instance's.
    pub fn release(&self, resource: &str) -> bool {
        if !self.is_ours() {
            return false;
        }
        let mut state = Guard::of(&self.state);
        let Some(more) = &mut state.more else {
            return false;
        };
        let found = more.claims.iter().position(|(name, _)| &**name == resource);
        let Some(index) = found else {
            return false;
        };
        let (_, claim) = more.claims.swap_remove(index);
        held::give_back(&self.kernel, claim);
        true
    }

    fn is_ours(&self) -> bool {
        self.kernel.fork_mark() == self.fork_mark
    }
}

impl<K: RangeLocks> Drop for Instance<K> {
    fn drop(&mut self) {
        // A forked child's mapping of it is not there.
        if !self.is_ours() {
            return;
        }
        let mut state = Guard::of(&self.state);
        let Some(held) = state.held.take() else {
            private::give_back(self.number);
            return;
        };
        let more = state.more.take();
        for (_, claim) in more.iter().flat_map(|more| &more.claims) {
            held::give_back(&self.kernel, *claim);
        }
        let counter = more.and_then(|more| more.counter);
        let counted = counter.as_ref().and_then(|counter| {
            counter.update(|count| {
                held::give_back(&self.kernel, held);
                let less = || count.ours.saturating_sub(1);
                (Some(self.numbers_now().unwrap_or_else(less)), ())
            })
        });
        if counted.is_none() {
            held::give_back(&self.kernel, held);
        }
    }
}

impl<K: RangeLocks> fmt::Debug for Instance<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.shared.name)
            .field("scope", &self.shared.scope)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
