# docs/simulator.md holds the kernel of tests/kernels/sim/first_kernel_test.cpp as it stands.
#   cmake -DROOT=<repository> -P tests/first_kernel.cmake
cmake_minimum_required(VERSION 3.25)

file(READ "${ROOT}/docs/simulator.md" page)
file(READ "${ROOT}/tests/kernels/sim/first_kernel_test.cpp" program)
string(REGEX MATCH "constexpr int kThreads.*over_schedules[^\n]*\n}\n" kernel "${program}")
string(FIND "${page}" "```cpp\n${kernel}```" place)
if(kernel STREQUAL "" OR place EQUAL -1)
  message(FATAL_ERROR "first kernel: docs/simulator.md expects, in a block of code, from the test:\n${kernel}")
endif()
