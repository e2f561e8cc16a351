//! Where `libqshm-preload.so` is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::program::check_library;

const NAME: &str = "libqshm-preload.so";

/// The library: `$QSHM_PRELOAD`, else the one that was built or installed with this command.
pub fn find() -> Result<PathBuf, String> {
    let named = env::var_os("QSHM_PRELOAD").filter(|path| !path.is_empty());
    let found = if let Some(path) = named.map(PathBuf::from) {
        if !path.is_file() {
            return Err(format!("QSHM_PRELOAD={}: no such file", path.display()));
        }
        fs::canonicalize(&path).unwrap_or(path)
    } else {
        let command = env::current_exe().map_err(|error| error.to_string())?;
        let found = near(&command).into_iter().find(|path| path.is_file());
        found.ok_or_else(|| {
            format!(
                "{NAME} was not found beside {}; QSHM_PRELOAD=PATH says where it is",
                command.display()
            )
        })?
    };
    // ld.so would complain and run the program without it.
    check_library(&found).map_err(|why| format!("{}: {why}", found.display()))?;
    // ld.so takes both for the end of a name.
    if found.to_string_lossy().contains([' ', ':']) {
        return Err(format!(
            "{}: LD_PRELOAD can't have a path with a space or a colon; copy it elsewhere and set \
             QSHM_PRELOAD",
            found.display()
        ));
    }
    Ok(found)
}

/// Where it can be for a command that is there: in a build tree beside it, else in the library
/// directories of the prefix whose `bin` this is.
fn near(command: &Path) -> Vec<PathBuf> {
    let mut places = Vec::new();
    let Some(folder) = command.parent() else {
        return places;
    };
    places.push(folder.join(NAME));
    let Some(prefix) = folder.parent() else {
        return places;
    };
    for library in ["lib", "lib64"] {
        let library = prefix.join(library);
        places.push(library.join(NAME));
        // lib/x86_64-linux-gnu
        let inside = fs::read_dir(library).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = inside.map(|entry| entry.path()).collect();
        folders.sort();
        let triples = folders.into_iter().filter(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.contains("-linux-")
        });
        places.extend(triples.map(|folder| folder.join(NAME)));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_for_in_the_prefix_of_the_command() {
        let places = near(Path::new("/opt/qshm/bin/qshm"));
        for place in ["/opt/qshm/bin", "/opt/qshm/lib", "/opt/qshm/lib64"] {
            assert!(
                places.contains(&Path::new(place).join(NAME)),
                "{place}: {places:?}"
            );
        }
    }
}
