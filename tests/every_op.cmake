# Every op of kernels/*.h is run a hundred times by a test (tests/kernels/gpu/repeat.h), and meets
# infinities, NaN and denormals in one (tests/kernels/gpu/special_values.h).
#   cmake -DROOT=<repository> -P tests/every_op.cmake
cmake_minimum_required(VERSION 3.25)
set(folder "${ROOT}/tests/kernels/gpu")

# Which ops no file of a pattern runs; those that other files run are named.
function(find_missing pattern elsewhere)
  file(GLOB tests "${folder}/${pattern}")
  set(text "")
  foreach(test IN LISTS tests)
    file(READ "${test}" more)
    string(APPEND text "${more}")
  endforeach()
  set(missing "")
  foreach(op IN LISTS ops)
    if(NOT op IN_LIST elsewhere AND NOT text MATCHES "[^A-Za-z0-9]${op}({| op{)")
      string(APPEND missing "  ${op}: no file tests/kernels/gpu/${pattern} runs it\n")
    endif()
  endforeach()
  set(errors "${errors}${missing}" PARENT_SCOPE)
endfunction()

set(ops "")
file(GLOB headers "${ROOT}/kernels/*.h")
foreach(header IN LISTS headers)
  file(STRINGS "${header}" lines REGEX "^CONVOY_KERNEL_OP\\(")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^CONVOY_KERNEL_OP\\(([A-Za-z0-9]+)\\).*" "\\1" op "${line}")
    list(APPEND ops ${op})
  endforeach()
endforeach()

set(errors "")
# Products and convolutions are repeated rung by rung (TheSameCallGivesTheSameBits), both gradients of
# a convolution in whole steps (SimTraining.RepeatsBitByBitUnderEverySchedule).
set(products Gemm Conv2dForward Conv2dBackwardInput Conv2dBackwardWeight Conv2dBackward)
find_missing("repeat*_test.cpp" "${products}")

# Products: GemmLadder.LargestValuesInfinityAndNan, Conv2dLadder.InfinitiesReachWhatUsesThem.
# Moves: CastKernel.SpecialValues, CopyKernel.KeepsEveryBit.
# What looks for infinities: optimizer_norm_test.cpp. The rest reads no numbers of the user's.
set(elsewhere ${products} Cast Copy CheckFinite SquaredNorm ClipFactor)
list(APPEND elsewhere Fill UniformFill NormalFill TruncatedNormalFill PermutationFill)
list(APPEND elsewhere ImageNormalize LossScaleStep AgreeOnFinite)
find_missing("special_*_test.cpp" "${elsewhere}")

list(LENGTH ops count)
if(errors OR count LESS 50)
  message(FATAL_ERROR "every_op: ${count} ops\n${errors}")
endif()
message(STATUS "every_op: ${count} ops")
