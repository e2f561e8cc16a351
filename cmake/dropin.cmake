# qshm::dropin: cpp/dropin compiled against the application's Qt.

add_library(qshm::dropin INTERFACE IMPORTED GLOBAL)

# The functions may be called from the application's directory, where they see
# no variable of this one but those of the cache, such as qshm_SOURCE_DIR.

# Makes linking the drop-in an error that says how to get Qt.
function(qshm_set_no_qt_error what)
  qshm_set_dropin_error("${what}, install its development files (Debian and Ubuntu: qtbase5-dev or qt6-base-dev) \
or pass -DCMAKE_PREFIX_PATH=<where Qt is>, and call find_package(Qt5 COMPONENTS Core) or find_package(Qt6 COMPONENTS Core)")
endfunction()

# Compiles the drop-in against Qt <major>, in the directory that is being
# processed; Qt<major>::Core must be visible there.
function(qshm_compile_dropin major)
  if(TARGET qshm-dropin-qt${major})
    return()
  endif()
  set(objects qshm-dropin-qt${major})
  set(sources
    dropin/active_implementation.cpp
    dropin/ipc_keys.cpp
    dropin/runtime.cpp
    dropin/shared_memory.cpp
    dropin/shared_memory_ipc_keys.cpp
    dropin/shared_memory_keys.cpp
    dropin/system_semaphore.cpp
    qt/object_table.cpp)
  list(TRANSFORM sources PREPEND "${qshm_SOURCE_DIR}/cpp/")
  add_library(${objects} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_include_directories(${objects} PRIVATE "${qshm_SOURCE_DIR}/include")
  target_link_libraries(${objects} PRIVATE Qt${major}::Core)
  # Whatever the application sets for its own sources.
  set_target_properties(${objects} PROPERTIES
    CXX_STANDARD 17
    CXX_STANDARD_REQUIRED ON
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON
    AUTOMOC OFF
    AUTOUIC OFF
    AUTORCC OFF
    UNITY_BUILD OFF
    CXX_CLANG_TIDY ""
    CXX_CPPCHECK ""
    CXX_INCLUDE_WHAT_YOU_USE "")
  if(QSHM_WERROR)
    target_compile_options(${objects} PRIVATE -Wall -Wextra -Werror)
  elseif(NOT CMAKE_SOURCE_DIR STREQUAL qshm_SOURCE_DIR)
    # After the application's own -Werror and the like.
    target_compile_options(${objects} PRIVATE -w)
  endif()

  # Objects, not a library: they take effect wherever Qt stands, also through a
  # static library of the application.
  qshm_add_dropin(${major} "$<TARGET_OBJECTS:${objects}>" GLOBAL)
  add_dependencies(qshm::dropin-qt${major} ${objects})
endfunction()

# Qt<major>, as the application would find it. What find_package() says is left
# to the application's own call.
macro(qshm_find_qt major)
  if(NOT TARGET Qt${major}::Core)
    # Qt::Core can only be one of the two, and is the application's to have.
    set(QT_NO_CREATE_VERSIONLESS_TARGETS ON)
    find_package(Qt${major} QUIET COMPONENTS Core)
  endif()
endmacro()

# Gives qshm::dropin the version of Qt that is known now.
function(qshm_choose_dropin)
  qshm_find_application_qt(majors)
  if(NOT majors)
    qshm_find_qt_of_subdirectories("${CMAKE_SOURCE_DIR}" majors)
  endif()
  list(LENGTH majors count)
  if(count EQUAL 1)
    qshm_find_qt(${majors})
    if(TARGET Qt${majors}::Core)
      qshm_compile_dropin(${majors})
      qshm_use_dropin(${majors})
    else()
      qshm_set_no_qt_error("Qt ${majors} was not found")
    endif()
  elseif(count GREATER 1)
    qshm_set_dropin_error("both Qt 5 and Qt 6 are in use, pass -DQSHM_QT=5 or -DQSHM_QT=6")
  else()
    qshm_set_no_qt_error("no Qt was found")
  endif()
endfunction()

# Sets `out` to the versions of Qt that any directory of the project has found.
function(qshm_find_qt_of_subdirectories directory out)
  set(majors)
  if(NOT CMAKE_VERSION VERSION_LESS 3.21)
    get_property(imported DIRECTORY "${directory}" PROPERTY IMPORTED_TARGETS)
    foreach(major 5 6)
      if(Qt${major}::Core IN_LIST imported)
        list(APPEND majors ${major})
      endif()
    endforeach()
  endif()
  get_property(subdirectories DIRECTORY "${directory}" PROPERTY SUBDIRECTORIES)
  foreach(subdirectory IN LISTS subdirectories)
    qshm_find_qt_of_subdirectories("${subdirectory}" more)
    list(APPEND majors ${more})
  endforeach()
  list(REMOVE_DUPLICATES majors)
  set(${out} "${majors}" PARENT_SCOPE)
endfunction()

if(QSHM_TOP_LEVEL)
  # No application to follow: both, and the newer one is qshm::dropin.
  foreach(qshm_major 5 6)
    qshm_find_qt(${qshm_major})
    if(TARGET Qt${qshm_major}::Core)
      qshm_compile_dropin(${qshm_major})
      set(qshm_newest ${qshm_major})
    endif()
  endforeach()
  if(QSHM_QT OR QT_VERSION_MAJOR)
    qshm_choose_dropin()
  elseif(qshm_newest)
    qshm_use_dropin(${qshm_newest})
  else()
    qshm_set_no_qt_error("no Qt was found")
  endif()
else()
  qshm_find_application_qt(qshm_majors)
  if(qshm_majors OR CMAKE_VERSION VERSION_LESS 3.19)
    qshm_choose_dropin()
  else()
    # The application has found no Qt so far. Looking for one here could find
    # another than it will, and Qt's CMake functions would stay that one's: wait
    # until the application has had its say.
    cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}" CALL qshm_choose_dropin)
  endif()
endif()
