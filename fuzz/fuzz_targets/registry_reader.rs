//! Any bytes as a registry's file of numbers, and as its file of claims.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qshm::instance::fuzzing::read(bytes));
