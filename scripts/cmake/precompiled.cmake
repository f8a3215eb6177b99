# What makes a build from nothing short, for the scripts that test: a compiler's precompiled headers are less
# tried than the compiler, and a program in four pieces is slow to build again. The presets
# release, cpu, debug and tsan are without: CI builds tsan, which is where a missing include is noticed.
option(CONVOY_PRECOMPILE "Compile common headers once, and the programs' sources in few pieces" OFF)

# Headers of others that most sources read, compiled once for the targets whose flags are the same:
# a third of the time of a small source goes into reading them.

set(precompiled_standard <algorithm> <array> <atomic> <chrono> <cmath> <cstdint> <cstring> <filesystem>
  <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view> <utility> <vector> <fmt/format.h>)
set(precompiled_tests ${precompiled_standard} <gtest/gtest.h> <fstream> <numeric> <random> <set> <sstream> <thread>)

# convoy_precompile(TARGET standard|tests): a target has no options of its own but those
# of convoy_options and, with tests, convoy_test_options. A source that has is left out (SKIP_PRECOMPILE_HEADERS).
function(convoy_precompile target headers)
  if(NOT CONVOY_PRECOMPILE)
    return()
  endif()
  get_target_property(independent ${target} POSITION_INDEPENDENT_CODE)
  set(holder convoy_precompiled_${headers})
  if(independent)
    set(holder ${holder}_pic)
  endif()
  if(NOT TARGET ${holder})
    set(empty ${PROJECT_BINARY_DIR}/empty.cpp)
    file(TOUCH ${empty})
    add_library(${holder} OBJECT ${empty})
    target_link_libraries(${holder} PRIVATE convoy_options fmt::fmt)
    if(headers STREQUAL tests)
      target_link_libraries(${holder} PRIVATE convoy_test_options)
    endif()
    set_target_properties(${holder} PROPERTIES POSITION_INDEPENDENT_CODE ${independent})
    target_precompile_headers(${holder} PRIVATE ${precompiled_${headers}})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${holder})
endfunction()

# convoy_together(TARGET COUNT): COUNT sources are compiled as one. For programs: CLI11 and JSON are headers of
# inline functions that each source would compile again, ten seconds of it.
function(convoy_together target count)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${CONVOY_PRECOMPILE} UNITY_BUILD_BATCH_SIZE ${count})
endfunction()
