//! Compiles the C++ face, so that it is inside the library whoever builds it.

const FACE: [&str; 8] = [
    "cpp/face/convert.cpp",
    "cpp/face/diagnosis.cpp",
    "cpp/face/error.cpp",
    "cpp/face/instance.cpp",
    "cpp/face/log.cpp",
    "cpp/face/options.cpp",
    "cpp/face/shared_memory.cpp",
    "cpp/face/system_semaphore.cpp",
];

fn main() {
    cxx_build::bridge("src/bridge.rs")
        .files(FACE)
        .include("include")
        .include("cpp/face")
        .std("c++17")
        // Applications may be compiled without either, and link what is here as it is.
        .flag("-fno-exceptions")
        .flag("-fno-rtti")
        .flag("-fvisibility=hidden")
        .flag("-fvisibility-inlines-hidden")
        // Names that are unique to the process cannot be made local to the library, and would
        // meet the application's own copies when it is linked. Clang has no such names.
        .flag_if_supported("-fno-gnu-unique")
        .warnings(true)
        .extra_warnings(true)
        .compile("qshm-face");

    for path in ["src/bridge.rs", "cpp/face", "include/qshm"] {
        println!("cargo::rerun-if-changed={path}");
    }
}
