//! What all instances of one name in a process have in common, kept once.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::scope::{Scope, Surroundings};
use crate::identity::Identity;

/// The name, and who counts together.
#[derive(Debug, PartialEq, Eq)]
pub struct Shared {
    pub name: Box<str>,
    pub identity: Identity,
    pub surroundings: &'static Surroundings,
    pub scope: Scope,
}

/// Of the instance that joined last: whoever makes many of one name makes them in a row.
static LAST: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

impl Shared {
    /// That of the last one, if it is the same.
    pub fn new(
        name: &str,
        identity: Identity,
        surroundings: &'static Surroundings,
        scope: Scope,
    ) -> Arc<Self> {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |shared: &Arc<Self>| {
            *shared.name == *name
                && (shared.identity, shared.scope) == (identity, scope)
                && std::ptr::eq(shared.surroundings, surroundings)
        };
        if let Some(shared) = last.upgrade().filter(same) {
            return shared;
        }
        let shared = Arc::new(Self {
            name: name.into(),
            identity,
            surroundings,
            scope,
        });
        *last = Arc::downgrade(&shared);
        shared
    }
}
