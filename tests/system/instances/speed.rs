//! What a join costs, in system calls: that is the same on every machine.

use super::{Stage, runtime};
use crate::support::trace::{OF_INSTANCES, Traced, needs_strace};
use crate::support::{User, base_program};

/// The calls that one more turn of joining and ending makes.
fn calls(stage: &Stage, turns: usize) -> usize {
    let args = (0..turns).flat_map(|turn| ["join logic".to_owned(), format!("end {turn}")]);
    let traced = Traced {
        world: &stage.world,
        program: base_program("face_instance"),
        preload: None,
        args: args.collect(),
        user: User::ALICE,
        more: OF_INSTANCES,
    };
    traced.record().len()
}

#[test]
fn a_join_makes_few_system_calls() {
    let Some(stage) = Stage::new() else { return };
    if !needs_strace() {
        return;
    }
    drop(stage.joined(User::ALICE, 0));
    let one = calls(&stage, 11) - calls(&stage, 10);
    println!("{one} calls for a join and its end");
    // lstat of the directory, open, fstat, map, keep out of children, lock, lstat of the file,
    // read, write, close; unmap. All of it twice, in the runtime directory and in the last place,
    // and there one lock more.
    assert!(one <= 23, "{one} calls");
}

#[test]
fn a_registry_takes_128_bytes_for_each_number() {
    let Some(stage) = Stage::new() else { return };
    let mut process = stage.start(User::ALICE);
    for number in 0..300 {
        super::join(&mut process, "logic", number);
    }
    let files = std::fs::read_dir(runtime(1).join("qshm")).unwrap();
    let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
    let size: u64 = sizes.sum();
    // The last file has a header for 64 as well.
    assert!(size <= 320 * 128, "{size} bytes");
}
