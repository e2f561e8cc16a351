# Run at build time, by the rule in command.cmake, which gives the variables in
# capitals. Builds the command, its man pages and its completions into OUTPUT.
cmake_minimum_required(VERSION 3.16)
include("${CMAKE_CURRENT_LIST_DIR}/run-cargo.cmake")

set(arguments --locked --package qshm-command --profile "${PROFILE}" --target-dir "${TARGET_DIR}")
set(target)
if(TARGET)
  set(target --target "${TARGET}")
endif()
qshm_run_cargo(build --bin qshm ${arguments} ${target})
qshm_cargo_folder(built)
file(MAKE_DIRECTORY "${OUTPUT}")
# Runs here, also where the command itself will run elsewhere.
file(REMOVE_RECURSE "${OUTPUT}/man" "${OUTPUT}/bash" "${OUTPUT}/zsh" "${OUTPUT}/fish")
qshm_run_cargo(run --quiet --bin qshm-generate ${arguments} -- "${OUTPUT}")
file(COPY "${built}/qshm" DESTINATION "${OUTPUT}")
