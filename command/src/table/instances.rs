//! The registries of instances.

use std::path::Path;

use qshm::instance::{Peer, Registry};

use super::grid::render;
use super::{age, shortened};
use crate::output::harmless;
use crate::who;

/// The registries of instances.
pub fn instances(registries: &[Registry], width: usize, coloured: bool) -> String {
    let mut rows = Vec::new();
    for registry in registries {
        let name = shortened(&harmless(&registry.name));
        let mut row = |what: String, peer: &Peer| {
            let program = Path::new(&peer.program).file_name().unwrap_or_default();
            let program = harmless(&program.to_string_lossy());
            let process = match peer.pid {
                Some(pid) => format!("{program} ({pid})"),
                None => program,
            };
            let age = who::age(peer).map(age).unwrap_or_default();
            let scope = harmless(&registry.scope);
            let cells = [
                name.clone(),
                what,
                scope,
                age,
                harmless(&peer.user()),
                process,
            ];
            rows.push((cells, None));
        };
        for peer in &registry.instances {
            row(format!("instance {}", peer.number), peer);
        }
        for claim in &registry.claims {
            row(harmless(&claim.resource), &claim.holder);
        }
        if registry.instances.is_empty() && registry.claims.is_empty() {
            let nothing = String::new;
            let scope = harmless(&registry.scope);
            let cells = [
                name,
                "nobody runs".into(),
                scope,
                nothing(),
                nothing(),
                nothing(),
            ];
            rows.push((cells, None));
        }
    }
    let headings = [
        "NAME",
        "INSTANCE OR CLAIM",
        "SCOPE",
        "AGE",
        "USER",
        "PROCESS",
    ];
    render(headings, &rows, 2..5, width, coloured)
}
