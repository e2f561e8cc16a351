# The command `qshm`, its man pages and its completions: a cargo package of its
# own (command/), so that what it needs never reaches libqshm.a.

set(qshm_command_folder "${PROJECT_BINARY_DIR}/command")
file(GLOB_RECURSE qshm_command_sources CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/src/*.rs" "${PROJECT_SOURCE_DIR}/command/src/*.rs")

add_custom_command(
  OUTPUT "${PROJECT_BINARY_DIR}/qshm-command.stamp"
  COMMAND "${CMAKE_COMMAND}"
    ${qshm_cargo_settings}
    "-DOUTPUT=${qshm_command_folder}"
    -P "${PROJECT_SOURCE_DIR}/cmake/build-command.cmake"
  COMMAND "${CMAKE_COMMAND}" -E touch "${PROJECT_BINARY_DIR}/qshm-command.stamp"
  DEPENDS ${qshm_command_sources} ${qshm_cargo_depends}
    "${PROJECT_SOURCE_DIR}/command/Cargo.toml"
    "${PROJECT_SOURCE_DIR}/cmake/build-command.cmake"
  COMMENT "Building the command qshm with cargo"
  VERBATIM)
add_custom_target(qshm-command ALL DEPENDS "${PROJECT_BINARY_DIR}/qshm-command.stamp")
# One cargo at a time in a target directory: the second would only wait.
add_dependencies(qshm-command qshm-rust)

if(QSHM_INSTALL)
  include(GNUInstallDirs)
  install(PROGRAMS "${qshm_command_folder}/qshm" DESTINATION "${CMAKE_INSTALL_BINDIR}")
  install(DIRECTORY "${qshm_command_folder}/man/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(FILES "${qshm_command_folder}/bash/qshm"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
  install(FILES "${qshm_command_folder}/zsh/_qshm" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
  install(FILES "${qshm_command_folder}/fish/qshm.fish"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
endif()
