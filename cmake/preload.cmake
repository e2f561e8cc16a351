# libqshm-preload.so: the two classes for applications that nobody rebuilds. No
# Qt is needed to build it, and nothing but libc to load it: it is loaded into
# every program that is started with it, whatever that is and brings along.

add_library(qshm-preload MODULE
  cpp/preload/ipc_keys.cpp
  cpp/preload/loaded_qt.cpp
  cpp/preload/log.cpp
  cpp/preload/maker.cpp
  cpp/preload/members.cpp
  cpp/preload/shared_memory.cpp
  cpp/preload/strings.cpp
  cpp/preload/system_semaphore.cpp
  cpp/preload/vtable.cpp
  cpp/qt/object_table.cpp)
target_include_directories(qshm-preload PRIVATE "${PROJECT_SOURCE_DIR}/include")
# Without a build type CMake would not optimise at all.
target_compile_options(qshm-preload PRIVATE $<$<CONFIG:>:-O2>
  -fno-exceptions -fno-rtti -ffunction-sections -fdata-sections -Wall -Wextra)
if(QSHM_WERROR)
  target_compile_options(qshm-preload PRIVATE -Werror)
endif()

# By the path of the archive and with libraries of our own choice: qshm::qshm
# would bring the shared libgcc.
set(qshm_preload_exports "${PROJECT_SOURCE_DIR}/cpp/preload/exports.map")
# LINKER: is for paths with spaces.
target_link_options(qshm-preload PRIVATE
  -static-libstdc++ -static-libgcc
  "LINKER:--version-script=${qshm_preload_exports}" LINKER:--gc-sections LINKER:--as-needed)
if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  # What a sanitizer needs is in the program.
  target_link_options(qshm-preload PRIVATE LINKER:-z,defs)
endif()
set(qshm_preload_libraries ${QSHM_NATIVE_LIBRARIES})
list(REMOVE_ITEM qshm_preload_libraries gcc_s)
target_link_libraries(qshm-preload PRIVATE "${QSHM_ARCHIVE}" gcc_eh ${qshm_preload_libraries})
add_dependencies(qshm-preload qshm-rust)

set_target_properties(qshm-preload PROPERTIES
  PREFIX lib
  SUFFIX .so
  NO_SONAME ON
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}"
  LINK_DEPENDS "${QSHM_ARCHIVE};${qshm_preload_exports}"
  CXX_STANDARD 17
  CXX_STANDARD_REQUIRED ON
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
  AUTOMOC OFF
  UNITY_BUILD OFF)

if(QSHM_INSTALL)
  include(GNUInstallDirs)
  install(TARGETS qshm-preload LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
