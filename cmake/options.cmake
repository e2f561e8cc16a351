# Every option of the build, each with its default.

if(CMAKE_SOURCE_DIR STREQUAL PROJECT_SOURCE_DIR)
  set(QSHM_TOP_LEVEL ON)
else()
  set(QSHM_TOP_LEVEL OFF)
endif()

set(QSHM_QT "" CACHE STRING
  "Major version of Qt for qshm::dropin: 5 or 6; empty: the application's")
set_property(CACHE QSHM_QT PROPERTY STRINGS "" 5 6)

# Rust without optimisation helps nobody who debugs an application, so the
# build type of CMake does not decide this.
set(QSHM_RUST_PROFILE "release" CACHE STRING
  "Cargo profile of the Rust part, in every CMAKE_BUILD_TYPE: release, dev, ...")
set(QSHM_RUST_TARGET "" CACHE STRING
  "Rust target triple when cross-compiling; empty: found from the system")
set(QSHM_CARGO_TARGET_DIR "${PROJECT_BINARY_DIR}/cargo" CACHE PATH
  "Cargo's target directory; build trees may share one")
option(QSHM_LOCALIZE_SYMBOLS
  "Hide everything in libqshm.a but qshm's own names, so that it can be linked beside other Rust libraries" ON)

option(QSHM_PRELOAD "Build libqshm-preload.so, for applications that are not rebuilt" ${QSHM_TOP_LEVEL})
option(QSHM_WERROR "Treat warnings in qshm's C++ as errors" OFF)
option(QSHM_BUILD_COMMAND "Build the command qshm, its man pages and completions" ${QSHM_TOP_LEVEL})
option(QSHM_BUILD_EXAMPLES "Build examples/logic" OFF)
option(QSHM_BUILD_TESTS "Build the programs that the tests run" OFF)
option(QSHM_INSTALL "Install qshm" ${QSHM_TOP_LEVEL})
set(QSHM_INSTALL_QT "" CACHE STRING
  "Versions of Qt to install the drop-in for, such as \"5;6\"; empty: those that are found")
