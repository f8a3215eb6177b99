// SPDX-License-Identifier: MIT
#pragma once
// What of a convolution's neighbours is asked of its kernels: not every rung has it.

#include "kernels/conv2d.h"
#include "kernels/gpu/target.h"

namespace convoy::CONVOY_TARGET {

// With a prologue, statistics or the gradient's epilogue.
inline bool is_fused(const Conv2dForward& op) {
  return op.prologue.lines != nullptr || op.epilogue.statistics.mean != nullptr;
}
inline bool is_fused(const Conv2dBackwardInput& op) {
  return op.prologue.lines != nullptr || op.epilogue.addend != nullptr ||
         op.epilogue.raw != nullptr;
}
inline bool is_fused(const Conv2dBackwardWeight& op) {
  return op.prologue.lines != nullptr || op.gradient_prologue.lines != nullptr;
}

}  // namespace convoy::CONVOY_TARGET
