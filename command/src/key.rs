//! `qshm key`.

use std::fmt::Write as _;
use std::path::Path;

use qshm::diagnosis::native_keys;
use qshm::key::{self, Generation};

use crate::cli::Key;
use crate::json;
use crate::output::{self, Failure, Outcome, harmless};

pub fn run(arguments: &Key) -> Outcome {
    // The classes came with 4.4.
    let too_old = ["4.0", "4.1", "4.2", "4.3"].into_iter().any(|old| {
        let rest = arguments.qt.strip_prefix(old);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    let generation = Generation::from_version(&arguments.qt).filter(|_| !too_old);
    let Some(generation) = generation else {
        return Err(Failure::Usage(format!(
            "{} is no version of Qt that has these classes, such as 5.15",
            harmless(&arguments.qt)
        )));
    };
    let temp = match &arguments.tmpdir {
        Some(directory) => key::temp_dir_of(directory),
        None => key::temp_dir(),
    };
    let keys = native_keys(&arguments.key, &temp, generation);
    if arguments.json {
        output::print(&json::key(&arguments.key, &arguments.qt, &keys))?;
        return Ok(0);
    }
    let mut text = String::new();
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "{what:22}{}", harmless(value));
    };
    let path = |path: &Path| path.display().to_string();
    let number =
        |key: Option<i32>| key.map_or("- (no key file)".into(), |key| format!("{key:#010x}"));
    if keys.too_long {
        // What would be shown is no file and leads to no object.
        line("", "a name is longer than 255 bytes: Qt says KeyError");
        return output::print(&text).map(|()| 0);
    }
    line("segment file", &path(&keys.segment_file));
    line(
        "segment project id",
        &format!("{:#04x}", keys.segment_project),
    );
    line("segment key", &number(keys.segment_key));
    line("semaphore file", &path(&keys.semaphore_file));
    line(
        "semaphore project id",
        &format!("{:#04x}", keys.semaphore_project),
    );
    line("semaphore key", &number(keys.semaphore_key));
    if let Some(posix) = &keys.posix {
        line("POSIX segment", &posix.segment);
        line("POSIX semaphore", &posix.semaphore);
    }
    if arguments.key.is_empty() {
        line("", "an empty key leads nowhere: Qt says KeyError");
    }
    output::print(&text)?;
    Ok(0)
}
