# find_package(Starling) gives Starling::client, the client library, with all that it needs.
include(CMakeFindDependencyMacro)
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})  # FindUnbound
find_dependency(fmt)
find_dependency(spdlog)
find_dependency(OpenSSL 3)
find_dependency(EXPAT)
find_dependency(ICU COMPONENTS uc)
find_dependency(CURL)
find_dependency(Unbound)
find_dependency(Threads)
list(POP_BACK CMAKE_MODULE_PATH)
include(${CMAKE_CURRENT_LIST_DIR}/StarlingTargets.cmake)
