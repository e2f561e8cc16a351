# Run at build time, by the rule for libqshm.a in rust.cmake, which gives the
# variables in capitals. Runs cargo, and makes of its library the one to link.
cmake_minimum_required(VERSION 3.16)

include("${CMAKE_CURRENT_LIST_DIR}/run-cargo.cmake")

set(arguments rustc --locked --lib --no-default-features --crate-type staticlib
  --profile "${PROFILE}" --target-dir "${TARGET_DIR}")
if(TARGET)
  list(APPEND arguments --target "${TARGET}")
endif()
qshm_run_cargo(${arguments})
qshm_cargo_folder(built)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "qshm: this failed: ${command}")
  endif()
endfunction()

# Under a name of its own until it is whole: another build may be reading.
string(RANDOM LENGTH 8 name)
set(work "${OUTPUT}.${name}")
file(MAKE_DIRECTORY "${work}")
if(LOCALIZE)
  # One object in which only qshm's names are global: two Rust libraries in one
  # application both have the names of Rust's runtime, perhaps of two versions.
  # The functions keep their own sections, so --gc-sections works as before.
  # The compiler's own bitcode in the standard library does not survive being
  # joined: tools with an LLVM plug-in would try to read it, and abort.
  # qshm_linked is what a linker can be told to look for (see qshm.pc).
  run("${LD}" -r --force-group-allocation --defsym=qshm_linked=0
    --whole-archive "${built}/libqshm.a" --no-whole-archive -o "${work}/all.o")
  run("${OBJCOPY}" --wildcard --remove-section=.llvmbc --remove-section=.llvmcmd
    --keep-global-symbol=qshm_*
    --keep-global-symbol=_ZN4qshm* --keep-global-symbol=_ZNK4qshm* --keep-global-symbol=_ZT*N4qshm*
    "${work}/all.o" "${work}/qshm.o")
  run("${AR}" qcsD "${work}/libqshm.a" "${work}/qshm.o")
else()
  configure_file("${built}/libqshm.a" "${work}/libqshm.a" COPYONLY)
endif()
file(RENAME "${work}/libqshm.a" "${OUTPUT}")
file(REMOVE_RECURSE "${work}")

# cargo's list of what it has read, under our name for the result. A directory in
# it stands for the files inside, which may change while it does not.
file(READ "${built}/libqshm.d" text)
string(REGEX REPLACE "^[^\n]*libqshm\\.a:([^\n]*).*" "\\1" text "${text}")
string(REPLACE "\\ " "\t" text "${text}")
string(REPLACE " " ";" paths "${text}")
set(depends "")
foreach(path IN LISTS paths)
  string(REPLACE "\t" " " path "${path}")
  set(inside)
  if(IS_DIRECTORY "${path}")
    file(GLOB_RECURSE inside "${path}/*")
  endif()
  foreach(file "${path}" ${inside})
    string(REPLACE " " "\\ " file "${file}")
    string(APPEND depends " ${file}")
  endforeach()
endforeach()
string(REPLACE " " "\\ " DEPFILE_TARGET "${DEPFILE_TARGET}")
file(WRITE "${DEPFILE}" "${DEPFILE_TARGET}:${depends}\n")
