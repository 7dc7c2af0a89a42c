# Installs the headers under `source` that programs may include, and what these include, in the same folders below
# `destination`. Those are the headers of the client library, but for the ones that say that they are internal, and what
# a coroutine needs.
cmake_policy(VERSION 3.25)  # in an install script none is set
file(GLOB_RECURSE candidates RELATIVE ${source} ${source}/client/*.h)
list(FILTER candidates EXCLUDE REGEX "(_test|/testing|/test_[^/]*)\\.h$")
set(queue base/running.h base/task.h)
foreach(header IN LISTS candidates)
  file(READ ${source}/${header} text LIMIT 2000)
  string(REPLACE "\n// " " " text "${text}")
  if(NOT text MATCHES "Internal to th")
    list(APPEND queue ${header})
  endif()
endforeach()

set(headers)
while(queue)
  list(POP_FRONT queue header)
  if(header IN_LIST headers)
    continue()
  endif()
  list(APPEND headers ${header})
  file(STRINGS ${source}/${header} includes REGEX "^[ \t]*#[ \t]*include[ \t]*\"")
  foreach(include IN LISTS includes)
    string(REGEX REPLACE ".*\"([^\"]+)\".*" "\\1" include "${include}")
    list(APPEND queue ${include})
  endforeach()
endwhile()

cmake_path(ABSOLUTE_PATH destination BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX})
foreach(header IN LISTS headers)
  get_filename_component(folder ${header} DIRECTORY)
  file(INSTALL ${source}/${header} DESTINATION ${destination}/${folder})
endforeach()
