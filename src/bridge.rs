//! What C++ sees of the crate: the one cxx bridge.
//!
//! Every entry point converts, delegates and converts back. Values are plain, since a `Result`
//! would become a C++ exception. The enums are those of the public headers: cxx has the C++
//! compiler compare them, and an exhaustive `match` here compares them with the crate's, so that
//! the three can't drift apart.
//!
//! `unsafe` is allowed in this file for what `#[cxx::bridge]` writes: it exports functions by
//! name and calls the two C++ functions of the log. cxx generates both sides of each from the one
//! declaration below and has the C++ compiler check the C++ ones against it. Nothing here is
//! `unsafe` by hand.
//!
//! A panic must not reach a frame of C++, where it would abort the application: everything runs
//! in [`held::contained`].

mod convert;
mod diagnosis;
mod held;
mod instance;
mod log_forwarding;
mod shared_memory;
mod system_semaphore;

use crate::options;
use held::contained;
use instance::{Instance, join_instance};
use log_forwarding::install_log;
use shared_memory::{SharedMemory, new_shared_memory};
use system_semaphore::{SystemSemaphore, new_system_semaphore};

#[allow(unsafe_code)]
// cxx has opaque types in boxes.
#[allow(clippy::unnecessary_box_returns)]
#[cxx::bridge(namespace = "qshm::bridge")]
mod ffi {
    #[namespace = "qshm"]
    #[repr(i32)]
    #[derive(Debug)]
    enum ErrorCode {
        NoError = 0,
        PermissionDenied = 1,
        InvalidSize = 2,
        KeyError = 3,
        AlreadyExists = 4,
        NotFound = 5,
        LockError = 6,
        OutOfResources = 7,
        UnknownError = 8,
        Busy = 9,
        NotSupported = 10,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum AccessMode {
        ReadOnly = 0,
        ReadWrite = 1,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum OpenMode {
        Open = 0,
        Create = 1,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum AccessPolicy {
        Owner = 0,
        Invoker = 1,
        Group = 2,
        World = 3,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum Leftover {
        Discard = 0,
        Keep = 1,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum InTheWay {
        StepAside = 0,
        Fail = 1,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum QtGeneration {
        Qt4 = 0,
        Qt50 = 1,
        Qt59 = 2,
        Qt66 = 3,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum Verdict {
        Free = 0,
        Live = 1,
        Leftover = 2,
        InTheWay = 3,
        Aside = 4,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum ObjectState {
        Nothing = 0,
        Live = 1,
        Leftover = 2,
        SemaphoreAlone = 3,
        FileAlone = 4,
        Unclear = 5,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum LogLevel {
        Error = 1,
        Warning = 2,
        Info = 3,
        Debug = 4,
        Trace = 5,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum Scope {
        User = 0,
        Session = 1,
        MachineGroup = 2,
        MachineWorld = 3,
    }

    #[namespace = "qshm"]
    #[repr(i32)]
    enum ClaimState {
        Mine = 0,
        Taken = 1,
        Unavailable = 2,
    }

    /// An error, see `qshm::Error`.
    struct ErrorReport {
        code: ErrorCode,
        pattern: &'static str,
        function: &'static str,
        inner_pattern: &'static str,
        inner_function: &'static str,
        system_error: i32,
        detail: String,
    }

    struct ProcessReport {
        pid: i32,
        uid: u32,
        program: String,
        stopped: bool,
    }

    struct PermissionsReport {
        uid: u32,
        gid: u32,
        creator_uid: u32,
        creator_gid: u32,
        mode: u32,
    }

    struct IpcObjectReport {
        key: Vec<i32>,
        id: Vec<i32>,
        file: String,
        permissions: Vec<PermissionsReport>,
        since: Vec<i64>,
    }

    struct SegmentReport {
        object: IpcObjectReport,
        size: Vec<u64>,
        attached: Vec<u64>,
        creator_pid: Vec<i32>,
        last_pid: Vec<i32>,
        removed: bool,
    }

    struct SemaphoreReport {
        object: IpcObjectReport,
        value: Vec<i32>,
        last_pid: Vec<i32>,
        waiting: Vec<i32>,
        holder: Vec<ProcessReport>,
        holder_died: bool,
    }

    struct KeyFileReport {
        path: String,
        uid: u32,
        gid: u32,
        mode: u32,
        trouble: String,
    }

    struct PlaceReport {
        state: ObjectState,
        segment: Vec<SegmentReport>,
        semaphore: Vec<SemaphoreReport>,
        files: Vec<KeyFileReport>,
        processes: Vec<ProcessReport>,
        hidden_processes: u64,
        entering: Vec<ProcessReport>,
    }

    /// What there is to a key, see `qshm::Diagnosis`.
    struct DiagnosisReport {
        machine_wide: PlaceReport,
        aside: PlaceReport,
        verdict: Verdict,
        command: String,
        text: String,
        time: i64,
    }

    /// Some policies, see `qshm::Options`: each counts where its `has_` is true.
    struct OptionsUpdate {
        has_access: bool,
        access: AccessPolicy,
        group: u32,
        has_leftover: bool,
        leftover: Leftover,
        has_in_the_way: bool,
        in_the_way: InTheWay,
        has_generation: bool,
        generation: QtGeneration,
        has_lock_wait: bool,
        /// Milliseconds.
        lock_wait: u64,
    }

    /// See `qshm::InstanceOptions`.
    struct InstanceOptions {
        scope: Scope,
        group: u32,
        has_counter: bool,
    }

    /// An instance, see `qshm::Peer`.
    #[derive(Default)]
    struct PeerReport {
        number: u32,
        pid: i32,
        has_uid: bool,
        uid: u32,
        user: String,
        program: String,
        /// Seconds since 1970, 0 if not known.
        since: i64,
    }

    /// See `qshm::Claim`.
    struct ClaimReport {
        state: ClaimState,
        holder: PeerReport,
        reason: String,
    }

    unsafe extern "C++" {
        include!("qshm/diagnosis.h");
        include!("qshm/error.h");
        include!("qshm/instance.h");
        include!("qshm/log.h");
        include!("qshm/options.h");
        include!("qshm/shared_memory.h");
        include!("qshm/system_semaphore.h");
        include!("log_sink.h");

        #[namespace = "qshm"]
        type ErrorCode;
        #[namespace = "qshm"]
        type AccessMode;
        #[namespace = "qshm"]
        type OpenMode;
        #[namespace = "qshm"]
        type AccessPolicy;
        #[namespace = "qshm"]
        type Leftover;
        #[namespace = "qshm"]
        type InTheWay;
        #[namespace = "qshm"]
        type QtGeneration;
        #[namespace = "qshm"]
        type Verdict;
        #[namespace = "qshm"]
        type ObjectState;
        #[namespace = "qshm"]
        type LogLevel;
        #[namespace = "qshm"]
        type Scope;
        #[namespace = "qshm"]
        type ClaimState;

        fn log_wanted(level: LogLevel, target: &str) -> bool;
        fn log_record(level: LogLevel, target: &str, message: &str);
    }

    extern "Rust" {
        type SharedMemory;

        fn new_shared_memory() -> Box<SharedMemory>;
        fn set_options(self: &SharedMemory, update: &OptionsUpdate);
        fn set_key(self: &SharedMemory, key: &[u8], temp: &[u8]);
        fn set_key_in_temp(self: &SharedMemory, key: &[u8]);
        fn clear_key(self: &SharedMemory);
        fn set_native_key(self: &SharedMemory, path: &[u8]);
        fn set_native_ipc_key(self: &SharedMemory, kind: u16, name: &[u8], legacy: bool);
        fn native_key(self: &SharedMemory) -> Vec<u8>;
        fn create(self: &SharedMemory, size: i64, mode: AccessMode) -> bool;
        fn attach(self: &SharedMemory, mode: AccessMode) -> bool;
        fn detach(self: &SharedMemory) -> bool;
        fn is_attached(self: &SharedMemory) -> bool;
        fn data(self: &SharedMemory) -> *mut u8;
        fn size(self: &SharedMemory) -> usize;
        fn lock(self: &SharedMemory) -> bool;
        fn try_lock(self: &SharedMemory, milliseconds: u64) -> bool;
        fn unlock(self: &SharedMemory) -> bool;
        fn error(self: &SharedMemory) -> ErrorReport;
        fn diagnosis(self: &SharedMemory) -> DiagnosisReport;

        type SystemSemaphore;

        fn new_system_semaphore() -> Box<SystemSemaphore>;
        fn set_options(self: &SystemSemaphore, update: &OptionsUpdate);
        fn set_key(self: &SystemSemaphore, key: &[u8], temp: &[u8], initial: i32, mode: OpenMode);
        fn set_key_in_temp(self: &SystemSemaphore, key: &[u8], initial: i32, mode: OpenMode);
        fn clear_key(self: &SystemSemaphore, mode: OpenMode);
        fn set_native_ipc_key(
            self: &SystemSemaphore,
            kind: u16,
            name: &[u8],
            initial: i32,
            mode: OpenMode,
        );
        fn acquire(self: &SystemSemaphore) -> bool;
        fn release(self: &SystemSemaphore, count: i32) -> bool;
        fn error(self: &SystemSemaphore) -> ErrorReport;
        fn diagnosis(self: &SystemSemaphore) -> DiagnosisReport;

        type Instance;

        fn join_instance(name: &[u8], options: &InstanceOptions, counter: &[u8]) -> Box<Instance>;
        fn number(self: &Instance) -> u32;
        fn exclusive(self: &Instance) -> bool;
        fn reason(self: &Instance) -> String;
        fn count(self: &Instance) -> usize;
        fn peers(self: &Instance) -> Vec<PeerReport>;
        fn claim(self: &Instance, resource: &[u8], milliseconds: u64) -> ClaimReport;
        fn release(self: &Instance, resource: &[u8]) -> bool;

        fn set_process_options(update: &OptionsUpdate);
        fn set_qt_version(version: &[u8]);
        fn install_log();
    }
}

fn set_process_options(update: &ffi::OptionsUpdate) {
    contained(|| options::set_process_options(update.into()));
}

fn set_qt_version(version: &[u8]) {
    contained(|| options::set_qt_version(&String::from_utf8_lossy(version)));
}
