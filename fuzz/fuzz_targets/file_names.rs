//! Any text as the name of a file in a directory of registries, and as a name to join by.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| qshm::instance::fuzzing::name(text));
