//! The last place, beside a better one.

use super::file::{At, File};
use super::name::Part;
use super::place::{Choice, Place, is_own, lasts, make_directory};
use super::stop::Stop;
use crate::kernel::{Errno, RangeLocks};

/// The last place, beside a better one. Whatever the mode of the directory: nobody counts in one that is
/// open to others, but may when that is put right. `None` if there is none that is this user's.
pub fn last_place<K: RangeLocks>(at: At<'_, K>, make: bool) -> Result<Option<Place>, Stop> {
    let uid = at.numbering.uid().filter(|_| at.place.has_last);
    for (uid, directory) in uid
        .into_iter()
        .flat_map(|uid| lasts(uid).map(move |path| (uid, path)))
    {
        let mut stat = at.kernel.lstat(&directory);
        if make && stat == Err(Errno::ENOENT) {
            let _ = make_directory(at.kernel, &directory);
            stat = at.kernel.lstat(&directory);
        }
        match stat {
            Ok(stat) if !is_own(&stat, uid) => break,
            Ok(stat) if at.kernel.keeps_locks(&directory, &stat) => {
                return Ok(Some(Place::last(directory)));
            }
            Ok(_) => {}
            Err(Errno::ENOENT) => break,
            Err(errno) => return Err(Stop::failed("looking at", &directory, errno)),
        }
    }
    Ok(None)
}

/// Opens a file in the last place for locking, beside one in a better place.
///
/// `None` if the file is not to be had. Then whoever is in the first place is found all the same:
/// see [`Place::instead`]. Who is in one that only its own environment names is not, so it can do
/// without only where there is no such file, and none that somebody could trust when what is wrong
/// has been put right.
pub fn open_last<K: RangeLocks>(at: At<'_, K>, part: Part) -> Result<Option<File<'_, K>>, Stop> {
    let (stop, is_there) = match last_place(at, true) {
        Ok(None) => return Ok(None),
        Ok(Some(last)) => {
            let there = At { place: &last, ..at };
            match there.open_or_make(part) {
                Ok(file) => return Ok(Some(file.of(at.kernel))),
                Err(stop) => {
                    let stat = at.kernel.lstat(&there.path(part));
                    (stop, stat != Err(Errno::ENOENT))
                }
            }
        }
        Err(stop) => (stop, true),
    };
    match stop {
        Stop::Because(_) if at.place.choice == Choice::First || !is_there => Ok(None),
        stop => Err(stop),
    }
}
