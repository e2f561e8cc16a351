//! `qshm status`.

use std::thread;
use std::time::Duration;

use qshm::diagnosis::machine::{Entry, Machine, Viewer};
use qshm::instance::{self, Registry};

use crate::cli::Status;
use crate::json;
use crate::output::{self, Outcome};
use crate::table;

/// Clears the screen and goes to its beginning, before each picture of `--watch`.
const HOME: &str = "\u{1b}[H\u{1b}[2J";

pub fn run(arguments: &Status) -> Outcome {
    loop {
        let machine = Machine::look(&Viewer::current(), &[]);
        let entries = machine.entries();
        let registries = instance::list();
        let mut text = if arguments.json {
            json::status(&machine, &entries, &registries)
        } else {
            text(&machine, &entries, &registries)
        };
        if arguments.watch.is_some() && !arguments.json && output::is_terminal() {
            text.insert_str(0, HOME);
        }
        output::print(&text)?;
        match arguments.watch {
            Some(seconds) => thread::sleep(Duration::from_secs(seconds.into())),
            None => return Ok(0),
        }
    }
}

fn text(machine: &Machine, entries: &[Entry], registries: &[Registry]) -> String {
    let (width, coloured) = (output::width(), output::coloured());
    let objects = table::status(machine, entries, width, coloured);
    if registries.is_empty() {
        return objects;
    }
    let instances = table::instances(registries, width, coloured);
    if entries.is_empty() && machine.perhaps_qts().is_empty() {
        return instances;
    }
    format!("{objects}\n{instances}")
}
