//! Registries of instances.

use std::time::UNIX_EPOCH;

use qshm::instance::{Peer, Registry};
use serde::Serialize;

#[derive(Serialize)]
#[allow(clippy::struct_field_names)]
pub struct Instances {
    name: String,
    uid: Option<u32>,
    scope: String,
    place: String,
    instances: Vec<Instance>,
    claims: Vec<Claim>,
}

#[derive(Serialize)]
struct Instance {
    number: u32,
    pid: Option<i32>,
    uid: Option<u32>,
    program: String,
    since: Option<u64>,
}

#[derive(Serialize)]
struct Claim {
    resource: String,
    holder: Instance,
}

fn instance(peer: &Peer) -> Instance {
    let since = peer
        .since
        .and_then(|since| since.duration_since(UNIX_EPOCH).ok());
    Instance {
        number: peer.number,
        pid: peer.pid,
        uid: peer.uid,
        program: peer.program.clone(),
        since: since.map(|since| since.as_secs()),
    }
}

pub fn registry(registry: &Registry) -> Instances {
    let claims = registry.claims.iter().map(|claim| Claim {
        resource: claim.resource.clone(),
        holder: instance(&claim.holder),
    });
    Instances {
        name: registry.name.clone(),
        uid: registry.uid,
        scope: registry.scope.clone(),
        place: registry.place.to_string_lossy().into_owned(),
        instances: registry.instances.iter().map(instance).collect(),
        claims: claims.collect(),
    }
}
