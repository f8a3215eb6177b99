// SPDX-License-Identifier: MIT
#pragma once
// A convolution with one tap, no stride and no padding is a product of the matrices that x, weight
// and y are already: gemm's ladder takes it, up to its highest rung. The weights' gradient stays
// with the convolutions' rungs, which sum it in parts.

#include "kernels/conv2d.h"
#include "kernels/gemm.h"
#include "kernels/gpu/target.h"

namespace convoy::CONVOY_TARGET {

inline bool conv2d_is_gemm(const Conv2dGeometry& g) {
  return g.R * g.S * g.stride_h * g.stride_w * g.groups == 1 && g.pad_h == 0 && g.pad_w == 0;
}

inline Gemm as_gemm(const Conv2dForward& op) {
  const Conv2dGeometry& g = op.g;
  Gemm gemm = dense_gemm(g.N * g.P * g.Q, g.K, g.C, op.x, false, op.weight, true, op.y, op.dtype);
  gemm.epilogue = op.epilogue;
  return gemm;
}

inline Gemm as_gemm(const Conv2dBackwardInput& op) {
  const Conv2dGeometry& g = op.g;
  Gemm gemm =
      dense_gemm(g.N * g.P * g.Q, g.C, g.K, op.dy, false, op.weight, false, op.dx, op.dtype);
  gemm.accumulate = op.accumulate;
  return gemm;
}

template <class Op>
Plan gemm_plan(const Op& op, const Device& device) {
  return {.variant = "gemm",
          .workspace_bytes = CONVOY_TARGET::plan(as_gemm(op), device).workspace_bytes};
}
template <class Op>
void run_as_gemm(const Op& op, void* workspace, const Stream& stream) {
  const Gemm gemm = as_gemm(op);
  CONVOY_TARGET::run(gemm, CONVOY_TARGET::plan(gemm, stream.device), workspace, stream);
}

}  // namespace convoy::CONVOY_TARGET
