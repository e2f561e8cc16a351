# Run at build time. qshm_run_cargo(argument...): cargo in SOURCE_DIR, with the
# compiler and its flags decided here. Wants the variables in capitals that
# rust.cmake gives.

function(qshm_run_cargo)
  set(arguments ${ARGN})
  set(suffix "")
  if(TARGET)
    string(REPLACE "-" "_" suffix "_${TARGET}")
  endif()
  set(offline)
  if(EXISTS "${SOURCE_DIR}/vendor")
    # Made by `cargo vendor`: everything is there, nothing is asked of the network.
    set(offline --offline
      --config "source.crates-io.replace-with=\"qshm-vendor\""
      --config "source.qshm-vendor.directory=\"${SOURCE_DIR}/vendor\"")
  endif()
  # cargo lays out its output by CARGO_BUILD_TARGET, and the crate `cc` adds the
  # flags of the environment: both are decided here.
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -E env --unset=CARGO_BUILD_TARGET
      "CXX${suffix}=${CXX}" "CXXFLAGS${suffix}=${CXXFLAGS}" "AR${suffix}=${AR}"
      "${CARGO}" ${offline} ${arguments}
    WORKING_DIRECTORY "${SOURCE_DIR}"
    RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "qshm: cargo could not build the Rust part; its own words are above. "
      "Without a network, run `cargo vendor` in a copy of ${SOURCE_DIR} that has one and bring the folder vendor/ here, "
      "or set CARGO_NET_OFFLINE=true where cargo has already downloaded everything.")
  endif()
endfunction()

# Where cargo puts what it builds.
function(qshm_cargo_folder out)
  set(folder "${PROFILE}")
  if(PROFILE STREQUAL "dev" OR PROFILE STREQUAL "test")
    set(folder debug)
  elseif(PROFILE STREQUAL "bench")
    set(folder release)
  endif()
  if(TARGET)
    set(folder "${TARGET}/${folder}")
  endif()
  set(${out} "${TARGET_DIR}/${folder}" PARENT_SCOPE)
endfunction()
