//! The records of the `log` crate, sent to C++.
//!
//! Only C++ asks for it. A Rust program that uses the crate has a logger of its own choice.

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::ffi;
use super::held::contained;

struct ToCpp;

fn level_of(level: Level) -> ffi::LogLevel {
    match level {
        Level::Error => ffi::LogLevel::Error,
        Level::Warn => ffi::LogLevel::Warning,
        Level::Info => ffi::LogLevel::Info,
        Level::Debug => ffi::LogLevel::Debug,
        Level::Trace => ffi::LogLevel::Trace,
    }
}

impl Log for ToCpp {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ffi::log_wanted(level_of(metadata.level()), metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let message = record.args().to_string();
            ffi::log_record(level_of(record.level()), record.target(), &message);
        }
    }

    fn flush(&self) {}
}

/// From now on C++ decides, record by record, what is of interest.
pub(super) fn install_log() {
    contained(|| {
        // Fails where there is a logger already, ours or that of a Rust program around C++.
        if log::set_logger(&ToCpp).is_ok() {
            log::set_max_level(LevelFilter::Trace);
        }
    });
}
