//! The policies, each with a name, and the one place that reads them from the environment.
//!
//! Set per object, by the environment, or per process; the first that says something counts, in
//! this order. So whoever runs a built application can decide for it, and an application that
//! needs one object to be different still gets it.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use once_cell::sync::Lazy;

use crate::access::Access;
use crate::kernel;
use crate::key::Generation;
use crate::notes;

/// What happens to a segment that no process is attached to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leftover {
    /// It is what a crash left: `create()` replaces it, `attach()` does not find it.
    #[default]
    Discard,
    /// It stays, as with Qt: `create()` says that it exists, `attach()` finds it.
    Keep,
}

/// What happens where the objects of a key belong to somebody who does not let us use them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InTheWay {
    /// Use a key of our own identity, in a private directory.
    #[default]
    StepAside,
    /// Fail with `PermissionDenied`, as Qt does.
    Fail,
}

/// Whose words to answer in: those of the Qt that is loaded. Not a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Qt up to 6.5; also without any Qt.
    #[default]
    Qt5,
    /// Qt 6.6 and later.
    Qt66,
}

/// How long `create()`, `attach()` and `detach()` of another process may be waited for.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// All policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who may use what we make. `QSHM_ACCESS`: `owner`, `invoker`, `group:NAME`, `world`.
    pub access: Access,
    /// `QSHM_LEFTOVER`: `discard`, `keep`.
    pub leftover: Leftover,
    /// `QSHM_IN_THE_WAY`: `step-aside`, `fail`.
    pub in_the_way: InTheWay,
    /// Whose keys to use. `QSHM_QT`: a version of Qt such as `5.7`.
    pub generation: Generation,
    /// How long each lock of a key file is waited for. `QSHM_LOCK_WAIT`: milliseconds.
    pub lock_wait: Duration,
}

impl Default for Options {
    fn default() -> Self {
        OptionsUpdate::default().over(None)
    }
}

/// Some policies; what is `None` is left as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptionsUpdate {
    /// See [`Options::access`].
    pub access: Option<Access>,
    /// See [`Options::leftover`].
    pub leftover: Option<Leftover>,
    /// See [`Options::in_the_way`].
    pub in_the_way: Option<InTheWay>,
    /// See [`Options::generation`].
    pub generation: Option<Generation>,
    /// See [`Options::lock_wait`].
    pub lock_wait: Option<Duration>,
}

impl OptionsUpdate {
    /// These policies, and those of `other` where these say nothing.
    pub fn or(self, other: Self) -> Self {
        Self {
            access: self.access.or(other.access),
            leftover: self.leftover.or(other.leftover),
            in_the_way: self.in_the_way.or(other.in_the_way),
            generation: self.generation.or(other.generation),
            lock_wait: self.lock_wait.or(other.lock_wait),
        }
    }

    /// These policies, and the defaults where they say nothing. `generation` is that of the Qt
    /// that is loaded, where there is one.
    fn over(self, generation: Option<Generation>) -> Options {
        Options {
            access: self.access.unwrap_or_default(),
            leftover: self.leftover.unwrap_or_default(),
            in_the_way: self.in_the_way.unwrap_or_default(),
            generation: self.generation.or(generation).unwrap_or_default(),
            lock_wait: self.lock_wait.unwrap_or(LOCK_WAIT),
        }
    }

    /// What the environment says, given a way to look a variable up. A value that is not
    /// understood is named in the log and otherwise as if it were not there.
    fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        fn read<T>(
            name: &str,
            value: Option<String>,
            parse: impl Fn(&str) -> Option<T>,
        ) -> Option<T> {
            let value = value.filter(|value| !value.is_empty())?;
            let parsed = parse(&value);
            if parsed.is_none() {
                let text = format!("{name}={value} is not understood and is ignored");
                notes::warn(notes::QSHM, text);
            }
            parsed
        }
        let of = |name: &str| variable(name);
        Self {
            access: read("QSHM_ACCESS", of("QSHM_ACCESS"), Access::from_text),
            leftover: read("QSHM_LEFTOVER", of("QSHM_LEFTOVER"), |text| match text {
                "discard" => Some(Leftover::Discard),
                "keep" => Some(Leftover::Keep),
                _ => None,
            }),
            in_the_way: read(
                "QSHM_IN_THE_WAY",
                of("QSHM_IN_THE_WAY"),
                |text| match text {
                    "step-aside" => Some(InTheWay::StepAside),
                    "fail" => Some(InTheWay::Fail),
                    _ => None,
                },
            ),
            generation: read("QSHM_QT", of("QSHM_QT"), Generation::from_version),
            lock_wait: read("QSHM_LOCK_WAIT", of("QSHM_LOCK_WAIT"), |text| {
                text.parse().ok().map(Duration::from_millis)
            }),
        }
    }
}

/// What was said for the whole process, and the generation of the Qt that is loaded.
static PROCESS: RwLock<(OptionsUpdate, Option<Generation>)> = RwLock::new((
    OptionsUpdate {
        access: None,
        leftover: None,
        in_the_way: None,
        generation: None,
        lock_wait: None,
    },
    None,
));

/// What the environment said when it was first asked for; nothing in a process that has more
/// rights than its caller.
static ENVIRONMENT: Lazy<OptionsUpdate> = Lazy::new(|| {
    if kernel::at_secure() {
        OptionsUpdate::default()
    } else {
        OptionsUpdate::from_environment(|name| std::env::var(name).ok())
    }
});

/// The variables of the environment whose values are not understood, each as `NAME=VALUE`.
pub fn not_understood() -> Vec<String> {
    let names = [
        "QSHM_ACCESS",
        "QSHM_LEFTOVER",
        "QSHM_IN_THE_WAY",
        "QSHM_QT",
        "QSHM_LOCK_WAIT",
    ];
    let wrong = names.into_iter().filter_map(|name| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        let value = value.to_string_lossy().into_owned();
        let alone = |other: &str| (other == name).then(|| value.clone());
        let update = OptionsUpdate::from_environment(alone);
        (update == OptionsUpdate::default()).then(|| format!("{name}={value}"))
    });
    wrong.collect()
}

/// Sets policies for all objects of this process; those that `update` leaves out stay.
pub fn set_process_options(update: OptionsUpdate) {
    let mut process = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
    process.0 = update.or(process.0);
}

/// Tells which Qt is loaded (`qVersion()`), whose keys are then used unless another policy says
/// otherwise. A text that is no version changes nothing.
pub fn set_qt_version(version: &str) {
    if let Some(generation) = Generation::from_version(version) {
        let mut process = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
        process.1 = Some(generation);
    }
}

/// Whose words to answer in.
pub(crate) fn dialect() -> Dialect {
    let (_, generation) = *PROCESS.read().unwrap_or_else(PoisonError::into_inner);
    match generation {
        Some(Generation::Qt66) => Dialect::Qt66,
        _ => Dialect::Qt5,
    }
}

/// The policies in force for an object that has `object` of its own.
pub fn in_force(object: OptionsUpdate) -> Options {
    let (process, generation) = *PROCESS.read().unwrap_or_else(PoisonError::into_inner);
    object.or(*ENVIRONMENT).or(process).over(generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &'static [(&str, &str)]) -> OptionsUpdate {
        OptionsUpdate::from_environment(|name| {
            let pair = pairs.iter().find(|pair| pair.0 == name)?;
            Some(pair.1.to_owned())
        })
    }

    #[test]
    fn the_environment_names_every_policy() {
        let update = environment(&[
            ("QSHM_ACCESS", "world"),
            ("QSHM_LEFTOVER", "keep"),
            ("QSHM_IN_THE_WAY", "fail"),
            ("QSHM_QT", "5.7.1"),
            ("QSHM_LOCK_WAIT", "250"),
        ]);
        assert_eq!(
            update.over(None),
            Options {
                access: Access::World,
                leftover: Leftover::Keep,
                in_the_way: InTheWay::Fail,
                generation: Generation::Qt50,
                lock_wait: Duration::from_millis(250),
            }
        );
    }

    #[test]
    fn what_is_not_understood_is_as_if_it_were_not_there() {
        let update = environment(&[
            ("QSHM_ACCESS", "everybody"),
            ("QSHM_LEFTOVER", ""),
            ("QSHM_IN_THE_WAY", "FAIL"),
            ("QSHM_QT", "new"),
            ("QSHM_LOCK_WAIT", "-1"),
        ]);
        assert_eq!(update, OptionsUpdate::default());
    }

    #[test]
    fn the_first_that_says_something_counts() {
        let object = OptionsUpdate {
            leftover: Some(Leftover::Keep),
            ..OptionsUpdate::default()
        };
        let process = OptionsUpdate {
            leftover: Some(Leftover::Discard),
            access: Some(Access::Owner),
            ..OptionsUpdate::default()
        };
        let options = object.or(process).over(Some(Generation::Qt50));
        assert_eq!(options.leftover, Leftover::Keep);
        assert_eq!(options.access, Access::Owner);
        assert_eq!(options.generation, Generation::Qt50);
        assert_eq!(options.in_the_way, InTheWay::StepAside);
    }
}
