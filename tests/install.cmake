# Installs the build, then compiles and runs the README's example against the installed tree.
#   cmake -DROOT=<repository> -DBUILD=<build folder> -P tests/install.cmake
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "install: ${ARGV} failed:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# The README shows exactly the program that is tested.
file(READ ${ROOT}/README.md readme)
file(READ ${ROOT}/docs/example/main.cpp program)
string(FIND "${readme}" "${program}" position)
if(position EQUAL -1)
  message(FATAL_ERROR "install: README.md does not hold docs/example/main.cpp as it is")
endif()

set(prefix ${BUILD}/install-test/prefix)
set(example ${BUILD}/install-test/example)
file(REMOVE_RECURSE ${BUILD}/install-test)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
run(${CMAKE_COMMAND} -S ${ROOT}/docs/example -B ${example} -G Ninja -DCMAKE_PREFIX_PATH=${prefix}
    -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${example})
run(${example}/train_lenet)
string(REGEX MATCH "step 300  loss 0\\.[0-2]" learned "${output}")
if(NOT learned)
  message(FATAL_ERROR "install: the example expects a loss below 0.3 at step 300, it printed\n${output}")
endif()
run(${prefix}/bin/convoy --version)
message(STATUS "install: the example trains against the installed tree")
