//! What an [`Instance`] does at its registry: each step with the rights of whose it is, while
//! nobody forks, and again where somebody changes something meanwhile.

use super::claim::{self, Attempt, Claim};
use super::counter::{Counter, Uncounted};
use super::file::{At, File};
use super::held::{self, Held};
use super::live;
use super::name::{self, NUMBERS};
use super::number;
use super::others::StillThere;
use super::place::{self, Choice, Place};
use super::private;
use super::record::{Record, presentable};
use super::scope::{Numbering, Scope};
use super::stop::Stop;
use super::{Instance, State};
use crate::identity::Identity;
use crate::kernel::RangeLocks;
use crate::key::Key;
use crate::notes::{self, Guard};

/// How often an attempt is made again when somebody changes the registry meanwhile.
const ATTEMPTS: usize = 32;

impl<K: RangeLocks> Instance<K> {
    pub(super) fn take_number(&mut self, state: &mut State<K>, key: Option<&Key>) {
        let mut lowest = 0;
        let counter = match key.map(|key| self.counter(key)) {
            None => None,
            Some(Ok(counter)) => Some(counter),
            Some(Err(uncounted)) => {
                state.more().reason = uncounted.reason;
                lowest = uncounted.lowest;
                None
            }
        };
        let taken = match &counter {
            None => self.take_from(state, lowest),
            Some(counter) => counter
                .update(|count| {
                    let live = self.numbers_now();
                    let ours = live.unwrap_or(count.ours);
                    let taken = self.take_from(state, count.lowest(ours));
                    // Where they could not be counted, one is added at least, as old builds do.
                    let joined = taken.is_ok().then(|| ours.saturating_add(1));
                    (joined.or(live), taken)
                })
                .unwrap_or_else(|| {
                    state.more().reason = counter.trouble();
                    self.take_from(state, counter.sum())
                }),
        };
        match taken {
            Ok((number, held)) => {
                self.number = number;
                state.held = Some(held);
                if counter.is_some() {
                    state.more().counter = counter;
                }
            }
            Err(reason) => {
                self.number = private::take(self.kernel.getpid());
                let text = format!(
                    "instances of {}: {reason}; its number is private",
                    self.shared.name
                );
                notes::warn(notes::QSHM, presentable(&text));
                state.more().reason = reason;
            }
        }
    }

    fn counter(&self, key: &Key) -> Result<Counter<K>, Uncounted> {
        match self.shared.scope {
            Scope::User => Counter::attach(&self.kernel, self.shared.identity, key),
            _ => Err(Uncounted {
                reason: "only the scope of a user goes with an old counter".to_owned(),
                lowest: 0,
            }),
        }
    }

    /// Takes a number behind those of old builds, unless they count more than there can be.
    fn take_from(&self, state: &mut State<K>, lowest: u32) -> Result<(u32, Held), String> {
        if lowest < NUMBERS {
            return self.try_take(lowest);
        }
        state.more().reason = format!("the old counter says {lowest}, which can't be");
        self.try_take(0)
    }

    fn try_take(&self, lowest: u32) -> Result<(u32, Held), String> {
        let record = self.record();
        self.attempt(true, |at, still_there| {
            number::take(at, lowest, &record, still_there)
        })
    }

    /// How many there are; puts the old counter right, if there is one.
    pub(super) fn count_all(&self) -> usize {
        let count = || self.look(live::numbers).map_or(0, |numbers| numbers.len());
        if !self.is_ours() {
            return count();
        }
        let counted = count();
        let state = Guard::of(&self.state);
        let counter = state.more.as_ref().and_then(|more| more.counter.as_ref());
        let put_right = counter.and_then(|counter| {
            counter.update(|_| {
                let live = self.numbers_now();
                (live, live.map(|live| live as usize))
            })
        });
        put_right.flatten().unwrap_or(counted)
    }

    /// How many numbers are held; `None` if that could not be found out, which is no reason to
    /// write anything into the old counter.
    pub(super) fn numbers_now(&self) -> Option<u32> {
        let numbers = self.attempt(false, |at, _| live::numbers(at));
        numbers.ok().map(|numbers| numbers.len() as u32)
    }

    pub(super) fn try_claim(&self, resource: &str) -> Claim {
        if !self.exclusive() {
            return Claim::Unavailable(self.reason());
        }
        let mut state = Guard::of(&self.state);
        let claims = state.more.iter().flat_map(|more| &more.claims);
        if claims.into_iter().any(|(name, _)| &**name == resource) {
            return Claim::Mine;
        }
        self.come_along(&mut state);
        let attempt = self.attempt(true, |at, still_there| {
            match claim::take(at, self.number, resource, still_there)? {
                Attempt::Taken(held) => Ok(Ok(held)),
                Attempt::Held(number) => Ok(Err(live::peer(at, number))),
            }
        });
        match attempt {
            Ok(Ok(held)) => {
                state.more().claims.push((resource.into(), held));
                Claim::Mine
            }
            Ok(Err(peer)) => Claim::Taken(peer),
            Err(reason) => Claim::Unavailable(reason),
        }
    }

    /// Looks at the registry, after having moved to it if it is another one now.
    pub(super) fn look<T>(&self, act: impl Fn(At<'_, K>) -> Result<T, Stop>) -> Option<T> {
        if self.is_ours() {
            let mut state = Guard::of(&self.state);
            self.come_along(&mut state);
        }
        self.attempt(false, |at, _| act(at)).ok()
    }

    /// Where the paths do not lead to the files any more on which the number is held, holds the
    /// number on the new ones as well, then on those alone. Left for the next time if not possible.
    fn come_along(&self, state: &mut State<K>) {
        let Some(old) = state.held else {
            return;
        };
        let record = self.record();
        let write = |_: At<'_, K>, file: &File<'_, K>| {
            file.write(Record::offset(self.number), &record.bytes());
            Ok(())
        };
        let moved = self.attempt(true, |at, _| {
            held::come_along(at, &number::moved(at, self.number, &write), old)
        });
        if let Ok(Some(new)) = moved {
            held::give_back_old(&self.kernel, old, new);
            state.held = Some(new);
        }
        let claims = state.more.iter_mut().flat_map(|more| &mut more.claims);
        for (resource, old) in claims {
            let write = |at: At<'_, K>, file: &File<'_, K>| claim::write(at, file, resource);
            let moved = self.attempt(true, |at, _| {
                let moved = claim::moved(at, self.number, resource, &write);
                held::come_along(at, &moved, *old)
            });
            if let Ok(Some(new)) = moved {
                held::give_back_old(&self.kernel, *old, new);
                *old = new;
            }
        }
    }

    fn record(&self) -> Record {
        Record {
            pid: self.kernel.getpid(),
            pid_namespace: self.kernel.pid_namespace(),
            uid: self.kernel.geteuid(),
            since: self.since,
            program: self.kernel.program(),
        }
    }

    /// Runs `act` at the registry, with the rights of whose it is, while nobody forks; again if
    /// something changes meanwhile. Makes the directory if `make`.
    fn attempt<T>(
        &self,
        make: bool,
        act: impl Fn(At<'_, K>, StillThere<'_>) -> Result<T, Stop>,
    ) -> Result<T, String> {
        let numbering = Numbering::new(
            self.shared.scope,
            self.shared.identity,
            self.shared.surroundings,
        );
        let key = name::Key::new(&self.shared.name, &numbering);
        let kernel = &self.kernel;
        let find = |make| place::find(kernel, &numbering, self.shared.surroundings, make);
        let once = || -> Result<T, Stop> {
            let place: Place = find(make)?;
            // Nothing is better than the first one.
            let still_there =
                || place.choice == Choice::First || find(false).is_ok_and(|now| now == place);
            let at = At {
                kernel,
                key: &key,
                numbering: &numbering,
                surroundings: self.shared.surroundings,
                place: &place,
            };
            act(at, &still_there)
        };
        for _ in 0..ATTEMPTS {
            match kernel.without_fork(|| match numbering.uid() {
                Some(_) => as_whom(kernel, self.shared.identity, once),
                // Root takes part in the machine's as root, whoever has called.
                None => once(),
            }) {
                Ok(done) => return Ok(done),
                Err(Stop::Again) => {}
                Err(Stop::Because(why) | Stop::Lacking(why)) => return Err(why),
            }
        }
        Err("the registry is changed again and again".to_owned())
    }
}

/// With the rights of the user for whom root acts.
fn as_whom<K: RangeLocks, T>(
    kernel: &K,
    identity: Identity,
    act: impl FnOnce() -> Result<T, Stop>,
) -> Result<T, Stop> {
    if !identity.acting_as_root {
        return act();
    }
    kernel
        .as_user(identity.uid, identity.gid, act)
        .unwrap_or_else(|errno| {
            Err(Stop::Because(format!(
                "acting as uid {} failed: {}",
                identity.uid,
                errno.desc()
            )))
        })
}
