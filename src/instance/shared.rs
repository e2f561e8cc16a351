//! What all instances of one name in a process have in common, kept once.

use std::sync::{Arc, Mutex, Weak};

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
        // Only to save memory: whoever finds it locked does without, as a forked child may for good.
        let mut last = LAST.try_lock().ok();
        let same = |shared: &Arc<Self>| {
            *shared.name == *name
                && (shared.identity, shared.scope) == (identity, scope)
                && std::ptr::eq(shared.surroundings, surroundings)
        };
        let before = last.as_ref().and_then(|last| last.upgrade());
        if let Some(shared) = before.filter(same) {
            return shared;
        }
        let shared = Arc::new(Self {
            name: name.into(),
            identity,
            surroundings,
            scope,
        });
        if let Some(last) = &mut last {
            **last = Arc::downgrade(&shared);
        }
        shared
    }
}
