# Checks the arrows between floors, the third parties of each folder and the top-level folders.
#   cmake -DROOT=<repository> -P tests/layering.cmake
cmake_minimum_required(VERSION 3.25)

# Which of our folders a folder may include.
set(allow_kernels kernels)
set(allow_runtime runtime kernels)
set(allow_nn      nn runtime kernels)
set(allow_data    data runtime kernels)
set(allow_dist    dist nn runtime kernels)
set(allow_apps    apps dist data nn runtime kernels)
set(allow_tests   tests apps dist data nn runtime kernels)

# Which folders may include a third party's headers, by the pattern of the header's name.
set(third_parties
  "oneapi/dnnl/.*:kernels" "dnnl.*:kernels" "omp\\.h:kernels" "cuda.*:kernels,runtime" "cudnn.*:kernels"
  "cublas.*:kernels" "boost/context/.*:kernels" "nccl.*:dist" "gloo/.*:dist"
  "nlohmann/.*:nn,apps" "jpeglib\\.h:data" "jerror\\.h:data" "stb.*:data" "zlib\\.h:data"
  "CLI/.*:apps" "benchmark/.*:apps" "google/protobuf/.*:apps" "fmt/.*:kernels,runtime,nn,data,dist,apps")

set(errors "")
file(GLOB_RECURSE sources RELATIVE "${ROOT}" "${ROOT}/*.h" "${ROOT}/*.cpp" "${ROOT}/*.cu" "${ROOT}/*.cuh")
list(FILTER sources EXCLUDE REGEX "^(build|docs|scripts|\\.)")
list(LENGTH sources count)
foreach(source IN LISTS sources)
  string(REGEX REPLACE "/.*" "" folder "${source}")
  file(STRINGS "${ROOT}/${source}" lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "include[ \t]*[<\"]([^>\"]+)[>\"]")
      continue()
    endif()
    set(header "${CMAKE_MATCH_1}")
    string(REGEX REPLACE "/.*" "" first "${header}")
    if(line MATCHES "\"")
      if(NOT first IN_LIST allow_${folder})
        string(APPEND errors "  ${source}: ${folder} may not include \"${header}\" (from the root: ${allow_${folder}})\n")
      endif()
    elseif(NOT folder STREQUAL "tests")
      foreach(rule IN LISTS third_parties)
        string(REPLACE ":" ";" rule "${rule}")
        list(GET rule 0 pattern)
        list(GET rule 1 owners)
        string(REPLACE "," ";" owners "${owners}")
        if(header MATCHES "^${pattern}$" AND NOT folder IN_LIST owners)
          string(APPEND errors "  ${source}: only ${owners} may include <${header}>\n")
        endif()
      endforeach()
    endif()
  endforeach()
endforeach()

file(GLOB top RELATIVE "${ROOT}" "${ROOT}/*")
foreach(entry IN LISTS top)
  if(IS_DIRECTORY "${ROOT}/${entry}" AND NOT entry MATCHES
     "^(kernels|runtime|nn|data|dist|apps|tests|scripts|docs|recipes|build.*|output|\\..*)$")
    string(APPEND errors "  ${entry}/ is not one of the house's folders\n")
  endif()
endforeach()

if(errors)
  message(FATAL_ERROR "layering:\n${errors}")
endif()
if(count LESS 10)
  message(FATAL_ERROR "layering: only ${count} sources found under ${ROOT}")
endif()
message(STATUS "layering: ${count} files keep to the arrows")
