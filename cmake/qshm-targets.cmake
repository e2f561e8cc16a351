# What qshm::qshm and qshm::dropin are made of: read by the build tree and, from
# where it is installed, by find_package(), so that the two cannot differ.

# What a Rust static library needs from the system. That this is the list of
# `rustc --print native-static-libs` is a test (tests/cmake/run).
set(QSHM_NATIVE_LIBRARIES gcc_s util rt pthread m dl c)

# qshm_add_library(<libqshm.a> <include directory> [GLOBAL])
function(qshm_add_library archive include_directory)
  add_library(qshm::qshm STATIC IMPORTED ${ARGN})
  set_target_properties(qshm::qshm PROPERTIES
    IMPORTED_LOCATION "${archive}"
    IMPORTED_LINK_INTERFACE_LANGUAGES CXX
    INTERFACE_INCLUDE_DIRECTORIES "${include_directory}"
    INTERFACE_COMPILE_FEATURES cxx_std_17
    INTERFACE_LINK_LIBRARIES "${QSHM_NATIVE_LIBRARIES}")
endfunction()

# qshm_add_dropin(<major> <link item> [GLOBAL]): qshm::dropin-qt5 or -qt6, for
# projects that build with both; the rest says qshm::dropin. The link item must
# put the object code itself on the link line: from a library that stands after
# Qt the linker would take nothing, and Qt's own classes would stay.
function(qshm_add_dropin major item)
  set(target qshm::dropin-qt${major})
  add_library(${target} INTERFACE IMPORTED ${ARGN})
  # With INTERFACE_QT_MAJOR_VERSION, CMake itself refuses to mix two majors.
  set_target_properties(${target} PROPERTIES
    INTERFACE_LINK_LIBRARIES "${item};qshm::qshm"
    INTERFACE_QT_MAJOR_VERSION ${major})
endfunction()

# Makes qshm::dropin the one for Qt <major>.
function(qshm_use_dropin major)
  set_property(TARGET qshm::dropin PROPERTY INTERFACE_LINK_LIBRARIES qshm::dropin-qt${major})
endfunction()

# Makes linking qshm::dropin the error `text`: CMake refuses a link item with
# "::" that is no target, and shows it.
function(qshm_set_dropin_error text)
  set_property(TARGET qshm::dropin PROPERTY INTERFACE_LINK_LIBRARIES "qshm::dropin: ${text}")
endfunction()

# Which Qt the application uses, as far as it can be seen from here: QSHM_QT,
# else QT_VERSION_MAJOR, else the targets that exist. Sets `out` to 5, 6, "5;6"
# or nothing.
function(qshm_find_application_qt out)
  if(NOT "${QSHM_QT}" MATCHES "^[56]?$")
    message(FATAL_ERROR "qshm: QSHM_QT is \"${QSHM_QT}\"; it can be 5, 6 or empty")
  endif()
  if(QSHM_QT)
    set(majors ${QSHM_QT})
  elseif(QT_VERSION_MAJOR MATCHES "^[56]$")
    set(majors ${QT_VERSION_MAJOR})
  else()
    set(majors)
    foreach(major 5 6)
      if(TARGET Qt${major}::Core)
        list(APPEND majors ${major})
      endif()
    endforeach()
  endif()
  set(${out} "${majors}" PARENT_SCOPE)
endfunction()
