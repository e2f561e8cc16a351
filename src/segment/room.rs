//! A place under its lifecycle lock, and what one goes there for.

use crate::kernel::{IpcId, IpcKey, Kernel, ShmStat};
use crate::key_file::{KeyFile, Make};
use crate::place::Place;
use crate::trouble::Obstacle;

/// What the place is entered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To make a segment: a key file is made where there is none.
    Create,
    /// To attach to one, with these rights as in [`crate::access::grants`].
    Attach { want: u32 },
}

impl Purpose {
    pub(super) fn make(self) -> Make {
        match self {
            Purpose::Create => Make::First,
            Purpose::Attach { .. } => Make::No,
        }
    }

    pub(super) fn want(self) -> u32 {
        match self {
            Purpose::Create => 0o6,
            Purpose::Attach { want } => want,
        }
    }
}

/// A place under its lifecycle lock.
#[derive(Debug)]
pub(crate) struct Room<K: Kernel> {
    pub place: Place,
    pub file: KeyFile<K>,
    pub key: IpcKey,
    pub segment: Content,
    /// What is in the way of the machine-wide place, if this is the one aside.
    pub obstacle: Option<Obstacle>,
}

/// What is in a [`Room`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// No segment.
    Nothing,
    /// A segment in use.
    Live(IpcId),
    /// One that nobody uses and that we can't remove, but may use: of another user under a
    /// policy that shares.
    Abandoned(IpcId, ShmStat),
}

/// Where entering led.
#[derive(Debug)]
pub(crate) enum Entered<K: Kernel> {
    /// Into a place.
    Room(Room<K>),
    /// Nowhere: there is no segment to attach to.
    Nowhere {
        /// Whether there was a key file.
        key_file: bool,
        /// What is in the way of a segment that we may not use.
        obstacle: Option<Obstacle>,
    },
}

pub(super) fn nowhere<K: Kernel>(key_file: bool) -> Entered<K> {
    Entered::Nowhere {
        key_file,
        obstacle: None,
    }
}
