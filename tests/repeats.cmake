# Every op of kernels/*.h is repeated by a test (tests/kernels/gpu/repeat.h).
#   cmake -DROOT=<repository> -P tests/repeats.cmake
cmake_minimum_required(VERSION 3.25)

# Products and convolutions are repeated rung by rung (TheSameCallGivesTheSameBits), both gradients of
# a convolution in whole steps (SimTraining.RepeatsBitByBitUnderEverySchedule).
set(elsewhere Gemm Conv2dForward Conv2dBackwardInput Conv2dBackwardWeight Conv2dBackward)

file(GLOB tests "${ROOT}/tests/kernels/gpu/repeat*_test.cpp")
set(text "")
foreach(test IN LISTS tests)
  file(READ "${test}" more)
  string(APPEND text "${more}")
endforeach()

file(GLOB headers "${ROOT}/kernels/*.h")
set(count 0)
set(errors "")
foreach(header IN LISTS headers)
  file(STRINGS "${header}" lines REGEX "^CONVOY_KERNEL_OP\\(")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^CONVOY_KERNEL_OP\\(([A-Za-z0-9]+)\\).*" "\\1" op "${line}")
    math(EXPR count "${count} + 1")
    if(NOT op IN_LIST elsewhere AND NOT text MATCHES "[^A-Za-z0-9]${op}{")
      string(APPEND errors "  ${op}: no file tests/kernels/gpu/repeat*_test.cpp runs it\n")
    endif()
  endforeach()
endforeach()
if(errors OR count LESS 50)
  message(FATAL_ERROR "repeats: ${count} ops\n${errors}")
endif()
message(STATUS "repeats: ${count} ops")
