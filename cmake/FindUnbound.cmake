# libunbound, as Unbound::Unbound.
find_path(Unbound_INCLUDE_DIR unbound.h)
find_library(Unbound_LIBRARY unbound)
mark_as_advanced(Unbound_INCLUDE_DIR Unbound_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Unbound REQUIRED_VARS Unbound_LIBRARY Unbound_INCLUDE_DIR)
if(Unbound_FOUND AND NOT TARGET Unbound::Unbound)
  add_library(Unbound::Unbound UNKNOWN IMPORTED)
  set_target_properties(Unbound::Unbound PROPERTIES
    IMPORTED_LOCATION ${Unbound_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${Unbound_INCLUDE_DIR})
endif()
