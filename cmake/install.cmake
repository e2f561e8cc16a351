# `cmake --install`: libraries, headers, and what CMake and pkg-config need to
# find them. Everything finds the rest by its own place, so the tree can move.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(qshm_package "${CMAKE_INSTALL_LIBDIR}/cmake/qshm")
set(qshm_installed_majors)

# pkg-config files know where they are, not where the prefix is.
function(qshm_install_pkg_config template name)
  file(RELATIVE_PATH prefix "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
  file(RELATIVE_PATH libdir "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_LIBDIR}")
  file(RELATIVE_PATH includedir "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
  string(REGEX REPLACE "/$" "" prefix "${prefix}")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/${template}" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/qshm" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.h")

if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  install(FILES "${QSHM_ARCHIVE}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")

  list(TRANSFORM QSHM_NATIVE_LIBRARIES PREPEND "-l" OUTPUT_VARIABLE qshm_native)
  list(JOIN qshm_native " " qshm_native)
  set(qshm_link "-lqshm")
  if(qshm_localize)
    string(PREPEND qshm_link "-Wl,-u,qshm_linked ")
  endif()
  qshm_install_pkg_config(qshm.pc.in qshm)

  set(qshm_majors "${QSHM_INSTALL_QT}")
  if(NOT qshm_majors)
    set(qshm_majors 5 6)
    if(NOT QSHM_TOP_LEVEL)
      qshm_find_application_qt(qshm_majors)
    endif()
  endif()
  foreach(qshm_major IN LISTS qshm_majors)
    if(NOT TARGET qshm-dropin-qt${qshm_major})
      if(QSHM_INSTALL_QT)
        message(FATAL_ERROR "qshm: QSHM_INSTALL_QT asks for Qt ${qshm_major}, which was not found")
      endif()
      continue()
    endif()
    add_library(qshm-dropin-qt${qshm_major}-archive STATIC $<TARGET_OBJECTS:qshm-dropin-qt${qshm_major}>)
    set_target_properties(qshm-dropin-qt${qshm_major}-archive PROPERTIES
      OUTPUT_NAME qshm-dropin-qt${qshm_major}
      DEBUG_POSTFIX ""
      LINKER_LANGUAGE CXX)
    install(TARGETS qshm-dropin-qt${qshm_major}-archive ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
    qshm_install_pkg_config(qshm-dropin.pc.in qshm-dropin-qt${qshm_major})
    list(APPEND qshm_installed_majors ${qshm_major})
  endforeach()
endif()

configure_package_config_file(cmake/qshmConfig.cmake.in "${PROJECT_BINARY_DIR}/qshmConfig.cmake"
  INSTALL_DESTINATION "${qshm_package}"
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/qshmConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/qshmConfig.cmake"
    "${PROJECT_BINARY_DIR}/qshmConfigVersion.cmake"
    cmake/qshm-targets.cmake
  DESTINATION "${qshm_package}")
