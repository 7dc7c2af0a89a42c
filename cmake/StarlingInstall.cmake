# What `cmake --install` installs: the binary, the client library (a static library for each room that it is made of, and
# the headers that a program may include), and the CMake package that gives Starling::client.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Starling)
set(header_dir ${CMAKE_INSTALL_INCLUDEDIR}/starling)

install(TARGETS starling RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

foreach(room base xml jid stanza payload stream net client)
  set_target_properties(starling_${room} PROPERTIES EXPORT_NAME ${room})
  target_compile_features(starling_${room} INTERFACE cxx_std_23)
  install(TARGETS starling_${room} EXPORT StarlingTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${header_dir})
endforeach()
install(EXPORT StarlingTargets NAMESPACE Starling:: DESTINATION ${package_dir})

write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/StarlingConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/StarlingConfig.cmake cmake/FindUnbound.cmake ${CMAKE_CURRENT_BINARY_DIR}/StarlingConfigVersion.cmake
  DESTINATION ${package_dir})

# Found when they are installed, so that no list of them is kept.
install(CODE "
  set(source \"${CMAKE_SOURCE_DIR}/src\")
  set(destination \"${header_dir}\")
  include(\"${CMAKE_SOURCE_DIR}/cmake/InstallHeaders.cmake\")")
