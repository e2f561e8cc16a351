# libqshm.a: cargo builds the crate with the C++ face in it.

file(STRINGS "${PROJECT_SOURCE_DIR}/Cargo.toml" qshm_rust_version REGEX "^rust-version = " LIMIT_COUNT 1)
string(REGEX REPLACE "^rust-version = \"([0-9.]+)\".*" "\\1" qshm_rust_version "${qshm_rust_version}")
set(qshm_get_rust "\
Install Rust with rustup (https://rustup.rs) or your distribution's packages, \
or pass -DQSHM_CARGO=<path to cargo>.")

find_program(QSHM_CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin"
  DOC "cargo, which builds the Rust part of qshm")
if(NOT QSHM_CARGO)
  message(FATAL_ERROR "qshm needs Rust ${qshm_rust_version} or newer, and cargo was not found. ${qshm_get_rust}")
endif()
# In the source directory, since rustup chooses the toolchain by directory.
execute_process(COMMAND "${QSHM_CARGO}" --version
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
  OUTPUT_VARIABLE qshm_cargo_output ERROR_VARIABLE qshm_cargo_output RESULT_VARIABLE qshm_cargo_result)
if(NOT qshm_cargo_result EQUAL 0 OR NOT qshm_cargo_output MATCHES "cargo ([0-9]+\\.[0-9]+\\.[0-9]+)")
  message(FATAL_ERROR "qshm: ${QSHM_CARGO} --version says:\n${qshm_cargo_output}\n${qshm_get_rust}")
endif()
if(CMAKE_MATCH_1 VERSION_LESS qshm_rust_version)
  message(FATAL_ERROR
    "qshm needs Rust ${qshm_rust_version} or newer, and ${QSHM_CARGO} is ${CMAKE_MATCH_1}. ${qshm_get_rust}")
endif()

if(CMAKE_CROSSCOMPILING AND NOT QSHM_RUST_TARGET)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|aarch64)$")
    set(qshm_rust_target ${CMAKE_SYSTEM_PROCESSOR}-unknown-linux-gnu)
  else()
    message(FATAL_ERROR "qshm: pass the Rust target triple for ${CMAKE_SYSTEM_PROCESSOR} with -DQSHM_RUST_TARGET=...")
  endif()
else()
  set(qshm_rust_target "${QSHM_RUST_TARGET}")
endif()

# Only GNU ld can take sections out of their groups. They must be out of them: a
# group whose name has become local would still be dropped by the final link in
# favour of another library's group of the same name.
set(qshm_localize OFF)
if(QSHM_LOCALIZE_SYMBOLS)
  get_filename_component(qshm_tools "${CMAKE_CXX_COMPILER}" DIRECTORY)
  find_program(QSHM_LD NAMES ld.bfd HINTS "${qshm_tools}" DOC "GNU ld")
  foreach(qshm_candidate "${CMAKE_LINKER}" "${QSHM_LD}")
    execute_process(COMMAND "${qshm_candidate}" --help OUTPUT_VARIABLE qshm_help ERROR_QUIET)
    if(CMAKE_OBJCOPY AND NOT qshm_localize
        AND qshm_help MATCHES "supported emulations" AND qshm_help MATCHES "--force-group-allocation")
      set(qshm_localize ON)
      set(qshm_ld "${qshm_candidate}")
    endif()
  endforeach()
  if(NOT qshm_localize)
    message(STATUS "qshm: no GNU ld and objcopy: the names of the Rust library in libqshm.a stay visible")
  endif()
endif()

# Of the application's flags only those that change the ABI or the instruction
# set, or that instrument: the face has warnings and optimisation of its own.
set(qshm_face_flags)
separate_arguments(qshm_flags UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
foreach(qshm_flag IN LISTS qshm_flags)
  if(qshm_flag MATCHES "^(-stdlib=|-D_GLIBCXX_|-fsanitize|-fno-sanitize|-m|--sysroot|--target|--gcc-toolchain|-fcf-protection|-fstack)")
    list(APPEND qshm_face_flags "${qshm_flag}")
  endif()
endforeach()
if(CMAKE_SYSROOT)
  list(APPEND qshm_face_flags "--sysroot=${CMAKE_SYSROOT}")
endif()
list(JOIN qshm_face_flags " " qshm_face_flags)

# What run-cargo.cmake wants of whoever runs cargo at build time.
set(qshm_cargo_settings
  "-DCARGO=${QSHM_CARGO}"
  "-DSOURCE_DIR=${PROJECT_SOURCE_DIR}"
  "-DTARGET_DIR=${QSHM_CARGO_TARGET_DIR}"
  "-DPROFILE=${QSHM_RUST_PROFILE}"
  "-DTARGET=${qshm_rust_target}"
  "-DCXX=${CMAKE_CXX_COMPILER}"
  "-DCXXFLAGS=${qshm_face_flags}"
  "-DAR=${CMAKE_AR}")
set(qshm_cargo_depends
  "${PROJECT_SOURCE_DIR}/Cargo.toml"
  "${PROJECT_SOURCE_DIR}/Cargo.lock"
  "${PROJECT_SOURCE_DIR}/cmake/run-cargo.cmake")

set(QSHM_ARCHIVE "${PROJECT_BINARY_DIR}/libqshm.a")
set(qshm_depfile "${PROJECT_BINARY_DIR}/libqshm.d")
set(qshm_rust_depends ${qshm_cargo_depends}
  "${PROJECT_SOURCE_DIR}/build.rs"
  "${PROJECT_SOURCE_DIR}/cmake/build-rust.cmake")
set(qshm_depfile_target "${QSHM_ARCHIVE}")
if(CMAKE_VERSION VERSION_LESS 3.20)
  file(RELATIVE_PATH qshm_depfile_target "${CMAKE_BINARY_DIR}" "${QSHM_ARCHIVE}")
endif()
if(CMAKE_GENERATOR MATCHES "Ninja" OR NOT CMAKE_VERSION VERSION_LESS 3.20)
  # What cargo itself says it has read.
  set(qshm_depfile_argument DEPFILE "${qshm_depfile}")
else()
  set(qshm_depfile_argument)
  file(GLOB_RECURSE qshm_rust_files CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/src/*.rs" "${PROJECT_SOURCE_DIR}/cpp/face/*" "${PROJECT_SOURCE_DIR}/include/*.h")
  list(APPEND qshm_rust_depends ${qshm_rust_files})
endif()

# The profile and the like are in the command, so a change of them builds anew.
add_custom_command(
  OUTPUT "${QSHM_ARCHIVE}"
  COMMAND "${CMAKE_COMMAND}"
    ${qshm_cargo_settings}
    "-DLOCALIZE=${qshm_localize}"
    "-DLD=${qshm_ld}"
    "-DOBJCOPY=${CMAKE_OBJCOPY}"
    "-DOUTPUT=${QSHM_ARCHIVE}"
    "-DDEPFILE=${qshm_depfile}"
    "-DDEPFILE_TARGET=${qshm_depfile_target}"
    -P "${PROJECT_SOURCE_DIR}/cmake/build-rust.cmake"
  DEPENDS ${qshm_rust_depends}
  ${qshm_depfile_argument}
  COMMENT "Building libqshm.a with cargo"
  VERBATIM)
set(qshm_all)
if(QSHM_TOP_LEVEL OR QSHM_INSTALL)
  set(qshm_all ALL)
endif()
add_custom_target(qshm-rust ${qshm_all} DEPENDS "${QSHM_ARCHIVE}")

qshm_add_library("${QSHM_ARCHIVE}" "${PROJECT_SOURCE_DIR}/include" GLOBAL)
add_dependencies(qshm::qshm qshm-rust)
