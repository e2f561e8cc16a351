//! How a call fails: Qt's error, and what is known more behind it.

use std::path::Path;

use crate::actor::Actor;
use crate::diagnosis::{self, Subject};
use crate::error::Error;
use crate::kernel::Kernel;
use crate::place::Places;
use crate::texts::{self, Call};
use crate::trouble::Trouble;

use super::State;
use super::lock::LockKey;

/// What Qt would say of this trouble, with what is known more behind it.
pub(super) fn fail_by<K: Kernel>(
    state: &mut State<K>,
    actor: &Actor<K>,
    trouble: &Trouble,
    call: Call,
) -> bool {
    let places = state.places(actor.identity.uid);
    let error = state.chosen.error_of(trouble, call).with_detail(detail(
        actor,
        &places,
        Subject::Memory,
        trouble,
    ));
    if texts::is_of_lock_key(&error) && state.semaphore.is_none() {
        state.lock = LockKey::Failed;
    }
    fail(state, error)
}

pub(super) fn fail<K: Kernel>(state: &mut State<K>, error: Error) -> bool {
    state.error = error;
    false
}

/// What is known more of some trouble, for behind Qt's text.
pub(crate) fn detail<K: Kernel>(
    actor: &Actor<K>,
    places: &Places,
    subject: Subject,
    trouble: &Trouble,
) -> String {
    let name = |path: &Path| path.display().to_string();
    match trouble {
        Trouble::InTheWay(obstacle) => diagnosis::explain(actor, places, subject, obstacle),
        Trouble::Busy(path) => {
            let wait = actor.options.lock_wait.as_millis();
            let text = format!(
                "another process keeps {} locked for longer than {wait} ms",
                name(path)
            );
            text + &diagnosis::who_keeps(&actor.kernel, path)
        }
        Trouble::System { errno, what, .. } => format!("{what}: {}", errno.desc()),
        Trouble::Changed => String::new(),
    }
}
