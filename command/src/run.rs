//! `qshm run`: starts a program with the preload library.
//!
//! The program takes this process's place, so that its exit code, its signals and its place in a
//! job are its own.

mod library;
mod program;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::cli::Run;
use crate::output::{Failure, Outcome, complain, harmless};
use program::Nature;

/// As env(1), nohup(1) and shells have it.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

pub fn run(arguments: &Run) -> Outcome {
    let Some((name, rest)) = arguments.program.split_first() else {
        return Ok(NOT_FOUND);
    };
    // execvp(3) would say of a directory of PATH that may not be searched what it says of a
    // program that may not be run.
    if program::find(name).is_none() {
        complain(&format!("{}: not found", harmless(&name.to_string_lossy())));
        return Ok(NOT_FOUND);
    }
    let library = library::find().map_err(Failure::Said)?;
    if !arguments.quiet {
        if let Some(note) = note(name) {
            complain(&note);
        }
    }
    let error = Command::new(name)
        .args(rest)
        .env("LD_PRELOAD", preload(&library, env::var_os("LD_PRELOAD")))
        .exec();
    complain(&format!("{}: {error}", harmless(&name.to_string_lossy())));
    Ok(match error.kind() {
        ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    })
}

/// The library, before what is preloaded already.
fn preload(library: &Path, before: Option<OsString>) -> OsString {
    let mut value = library.as_os_str().to_owned();
    if let Some(before) = before.filter(|before| !before.is_empty()) {
        value.push(":");
        value.push(before);
    }
    value
}

/// What the user should know of this program, in one sentence.
fn note(name: &OsStr) -> Option<String> {
    let path = program::find(name)?;
    let shown = harmless(&path.to_string_lossy());
    match program::nature(&path) {
        Nature::Privileged(whose) => Some(format!(
            "{shown} runs with the rights of {}: ld.so preloads nothing into such programs, so it \
             runs as it is",
            harmless(&whose)
        )),
        Nature::Capable => Some(format!(
            "{shown} has capabilities of its own (setcap): ld.so preloads nothing into such \
             programs, so it runs as it is"
        )),
        Nature::Static => Some(format!(
            "{shown} is linked statically: nothing can be preloaded, so it runs as it is"
        )),
        Nature::OtherArchitecture => Some(format!(
            "{shown} is built for another architecture than qshm: it runs as it is"
        )),
        Nature::WithoutQt => Some(format!(
            "{shown} is not linked with Qt: nothing changes for it, only for what it loads or \
             starts"
        )),
        Nature::WithQt | Nature::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_preloaded_stays() {
        let library = Path::new("/lib/x.so");
        for (before, value) in [
            (None, "/lib/x.so"),
            (Some(""), "/lib/x.so"),
            (Some("/lib/y.so z.so"), "/lib/x.so:/lib/y.so z.so"),
        ] {
            assert_eq!(preload(library, before.map(OsString::from)), value);
        }
    }
}
