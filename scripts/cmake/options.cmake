# Compile options that every target of ours takes: link convoy_options PRIVATE.
add_library(convoy_options INTERFACE)
target_compile_features(convoy_options INTERFACE cxx_std_20)
target_compile_options(convoy_options INTERFACE
  -march=${CONVOY_ARCH} -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
  -fno-math-errno -fno-trapping-math
  # Paths in error texts and debug information start at the repository's root.
  -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
if(CONVOY_OPENMP)
  target_link_libraries(convoy_options INTERFACE OpenMP::OpenMP_CXX)
else()
  target_compile_options(convoy_options INTERFACE -Wno-unknown-pragmas)
endif()
if(CONVOY_SANITIZE)
  # -O1 finds the same and is built in half the time. AddressSanitizer tells of a null pointer that is used, and
  # we cast no pointers to derived classes: without these two checks a source takes a quarter less.
  target_compile_options(convoy_options INTERFACE
    -O1 -fsanitize=${CONVOY_SANITIZE} -fno-sanitize=null,vptr -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  target_link_options(convoy_options INTERFACE -fsanitize=${CONVOY_SANITIZE})
endif()

# convoy_watch_accesses(TARGET): with CONVOY_SIMCHECK every load and store of the target's sources is a call,
# and so is integer arithmetic without a defined result, of which kernels/sim/access is the other end: no sanitizer's library is linked. What merges or invents
# accesses is off, so that each is the kernel's own.
if(CONVOY_SIMCHECK)
  target_compile_definitions(convoy_options INTERFACE CONVOY_SIMCHECK)
  target_compile_options(convoy_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-g1>)
endif()
function(convoy_watch_accesses target)
  if(CONVOY_SIMCHECK)
    target_compile_options(${target} PRIVATE -O2 -fsanitize=thread,alignment,signed-integer-overflow,shift,integer-divide-by-zero --param tsan-instrument-func-entry-exit=0
      -fno-tree-vectorize -fno-store-merging -fno-tree-loop-distribute-patterns)
    set_target_properties(${target} PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)  # which are compiled otherwise
  endif()
endfunction()

# convoy_library(NAME KIND SOURCES...): one library per folder, seen by others as convoy::NAME.
function(convoy_library name kind)
  add_library(convoy_${name} ${kind} ${ARGN})
  add_library(convoy::${name} ALIAS convoy_${name})
  set_target_properties(convoy_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(convoy_${name} PRIVATE $<BUILD_INTERFACE:convoy_options>)
  target_compile_features(convoy_${name} PUBLIC cxx_std_20)
  target_include_directories(convoy_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include/convoy>)
endfunction()
