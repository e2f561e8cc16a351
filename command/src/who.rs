//! `qshm who`.

use std::time::SystemTime;

use qshm::instance::{self, Peer, Registry};

use crate::cli::Who;
use crate::json;
use crate::output::{self, IN_THE_WAY, Outcome, harmless};
use crate::table;

pub fn run(arguments: &Who) -> Outcome {
    let registries = match &arguments.name {
        Some(name) => instance::list_named(name),
        None => instance::list(),
    };
    if arguments.json {
        output::print(&json::who(&registries))?;
    } else {
        output::print(&text(&registries, arguments.name.as_deref()))?;
    }
    let runs = registries
        .iter()
        .any(|registry| !registry.instances.is_empty());
    Ok(if runs { 0 } else { IN_THE_WAY })
}

fn text(registries: &[Registry], name: Option<&str>) -> String {
    if registries.is_empty() {
        return match name {
            Some(name) => format!("No instance of {} runs.", harmless(name)),
            None => "No instances run.".to_owned(),
        };
    }
    table::instances(registries, output::width(), output::coloured())
}

/// How long ago, in seconds.
pub fn age(peer: &Peer) -> Option<i64> {
    let since = SystemTime::now().duration_since(peer.since?).ok()?;
    i64::try_from(since.as_secs()).ok()
}
