//! `qshm status`.

use std::thread;
use std::time::Duration;

use qshm::diagnosis::machine::{Machine, Viewer};

use crate::cli::Status;
use crate::json;
use crate::output::{self, Outcome};
use crate::table;

/// Clears the screen and goes to its beginning, before each picture of `--watch`.
const HOME: &str = "\u{1b}[H\u{1b}[2J";

pub fn run(arguments: &Status) -> Outcome {
    loop {
        let machine = Machine::look(&Viewer::current());
        let entries = machine.entries();
        let mut text = if arguments.json {
            json::status(&machine, &entries)
        } else {
            table::status(&machine, &entries, output::width(), output::coloured())
        };
        if arguments.watch.is_some() && !arguments.json && output::coloured() {
            text.insert_str(0, HOME);
        }
        output::print(&text)?;
        match arguments.watch {
            Some(seconds) => thread::sleep(Duration::from_secs(seconds.into())),
            None => return Ok(0),
        }
    }
}
