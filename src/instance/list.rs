//! All registries that this process may see, for a tool that shows who runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::claim::{self, HeldClaim};
use super::file::At;
use super::live::{self, Peer};
use super::name::{FileName, Key, Part};
use super::place::{self, Choice, Place, SHARED, SHARED_PREFIX, is_private};
use super::record::presentable;
use super::scope::{Audience, Numbering, Surroundings};
use crate::kernel::{Linux, OpenDirect, RangeLocks};

/// A registry: the instances of one name in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The name that they joined by. Of a long one whose file says no more, the beginning.
    pub name: String,
    /// Whose numbers they are: a user's, or, if `None`, those of a group or of the machine.
    pub uid: Option<u32>,
    /// Who counts together, in a word or two: `user`, `session a3`, `world`, `group 27`.
    pub scope: String,
    /// The directory in which its files are; where there are several, the first.
    pub place: PathBuf,
    /// Those who run, by number.
    pub instances: Vec<Peer>,
    /// What they have claimed, by resource.
    pub claims: Vec<HeldClaim>,
}

impl Registry {
    fn key(&self) -> (&str, Option<u32>, &str) {
        (&self.name, self.uid, &self.scope)
    }

    /// Adds instances that were found in another place. The one that is described is the one
    /// whose number it is; without a description it was seen in the kernel's table alone.
    fn add(&mut self, instances: Vec<Peer>) {
        self.instances.extend(instances);
        self.instances
            .sort_by_key(|peer| (peer.number, peer.uid.is_none()));
        self.instances.dedup_by_key(|peer| peer.number);
    }
}

/// All registries, also those whose instances have ended: of this user, or for root of all users,
/// and those of the machine. By name, then by user.
///
/// ```
/// let instance = qshm::Instance::join("org.example.list", &Default::default());
/// let all = qshm::instance::list();
/// let ours = all.iter().find(|registry| registry.name == "org.example.list").unwrap();
/// assert!(ours.instances.iter().any(|peer| peer.number == instance.number()));
/// ```
pub fn list() -> Vec<Registry> {
    listed(&Linux, Surroundings::current(), &|_| true)
}

/// Those of [`list`] that have this name.
pub fn list_named(name: &str) -> Vec<Registry> {
    listed(&Linux, Surroundings::current(), &|found| found == name)
}

/// A directory in which registries may be, and whose they are.
struct Directory {
    path: PathBuf,
    uid: Option<u32>,
    prefix: &'static str,
}

fn listed<K: RangeLocks>(
    kernel: &K,
    surroundings: &Surroundings,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<Registry> {
    let mut all: Vec<Registry> = directories(kernel, surroundings)
        .iter()
        .flat_map(|directory| registries(kernel, directory, wanted))
        .collect();
    all.sort_by(|one, other| one.key().cmp(&other.key()));
    // Those who found different places count together.
    all.dedup_by(|again, first| {
        let same = again.key() == first.key();
        if same {
            first.add(std::mem::take(&mut again.instances));
            first.claims.append(&mut again.claims);
            first
                .claims
                .sort_by(|one, other| one.resource.cmp(&other.resource));
            first
                .claims
                .dedup_by(|one, other| one.resource == other.resource);
        }
        same
    });
    all
}

fn directories<K: RangeLocks>(kernel: &K, surroundings: &Surroundings) -> Vec<Directory> {
    let user_of = |path: &Path, before: &str| -> Option<u32> {
        let name = path.file_name()?.to_str()?;
        crate::identity::numeric_id(name.strip_prefix(before)?)
    };
    let mut users: Vec<u32> = kernel
        .files_in(Path::new("/run/user"))
        .iter()
        .filter_map(|path| user_of(path, ""))
        .collect();
    for directory in ["/tmp", "/dev/shm"] {
        let fallbacks = kernel.files_in(Path::new(directory));
        let user = |path: &PathBuf| user_of(path, "qshm-instances-");
        users.extend(fallbacks.iter().filter_map(user));
    }
    users.push(kernel.geteuid());
    users.sort_unstable();
    users.dedup();

    let mut all: Vec<Directory> = users
        .into_iter()
        .flat_map(|uid| {
            let candidates = place::candidates(uid, surroundings).into_iter();
            candidates.map(move |(_, path)| Directory {
                path,
                uid: Some(uid),
                prefix: "",
            })
        })
        .filter(|directory| {
            let stat = kernel.lstat(&directory.path);
            stat.is_ok_and(|stat| directory.uid.is_some_and(|uid| is_private(&stat, uid)))
        })
        .collect();
    all.push(Directory {
        path: SHARED.into(),
        uid: None,
        prefix: SHARED_PREFIX,
    });
    all
}

fn registries<K: RangeLocks>(
    kernel: &K,
    directory: &Directory,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<Registry> {
    let mut found: BTreeMap<(String, String), FileName> = BTreeMap::new();
    for path in kernel.files_in(&directory.path) {
        let name = path.file_name().and_then(|name| name.to_str());
        let parsed = name
            .and_then(|name| name.strip_prefix(directory.prefix))
            .and_then(FileName::parse)
            .filter(|file| matches!(file.part, Part::Numbers(_)));
        if let Some(file) = parsed {
            let of = (file.shown.clone(), file.tag.clone());
            found.entry(of).or_insert(file);
        }
    }
    let place = Place {
        directory: directory.path.clone(),
        prefix: directory.prefix,
        choice: Choice::First,
        // It is looked at by itself.
        has_last: false,
        instead: None,
    };
    let one = |file: &FileName| registry(kernel, directory, &place, file, wanted);
    found.values().filter_map(one).collect()
}

fn registry<K: RangeLocks>(
    kernel: &K,
    directory: &Directory,
    place: &Place,
    file: &FileName,
    wanted: &dyn Fn(&str) -> bool,
) -> Option<Registry> {
    let (numbering, scope) = numbering(directory.uid, &file.tag)?;
    let name = match &file.name {
        Some(name) => name.clone(),
        None => long_name(kernel, place, file, &numbering)?,
    };
    if !wanted(&name) {
        return None;
    }
    let key = Key::new(&name, &numbering);
    let at = At {
        kernel,
        key: &key,
        numbering: &numbering,
        surroundings: Surroundings::current(),
        place,
    };
    // What is nobody's business but its user's shows nothing.
    let instances = live::peers(at).ok()?;
    Some(Registry {
        name: presentable(&name),
        uid: directory.uid,
        scope,
        place: directory.path.clone(),
        instances,
        claims: claim::all(at).unwrap_or_default(),
    })
}

/// The name that a file's header says, if it is the one that the file is called after.
fn long_name<K: RangeLocks>(
    kernel: &K,
    place: &Place,
    file: &FileName,
    numbering: &Numbering,
) -> Option<String> {
    let path = place.file(&format!("{}.{}.0", file.shown, file.tag));
    let fd = kernel.open_direct(&path, OpenDirect::Read).ok()?;
    let bytes = kernel.read_at(fd, 0, super::record::HEADER);
    kernel.close(fd);
    let header = super::record::Header::parse(&bytes.ok()?)?;
    let key = Key::new(&header.name, numbering);
    (key.file(Part::Numbers(0)) == format!("{}.{}.0", file.shown, file.tag)).then_some(header.name)
}

/// The scope that a file name's part stands for, and a word or two for it.
fn numbering(uid: Option<u32>, tag: &str) -> Option<(Numbering, String)> {
    match uid {
        Some(uid) if tag == "user" => Some((Numbering::User(uid), tag.to_owned())),
        Some(uid) => {
            let session = super::name::unescaped(tag.strip_prefix("session-")?)?;
            let words = format!("session {}", presentable(&session));
            Some((Numbering::Session { uid, session }, words))
        }
        None if tag == "world" => Some((Numbering::Machine(Audience::World), tag.to_owned())),
        None => {
            let gid = crate::identity::numeric_id(tag.strip_prefix("group-")?)?;
            Some((
                Numbering::Machine(Audience::Group(gid)),
                format!("group {gid}"),
            ))
        }
    }
}
