// SPDX-License-Identifier: MIT
#pragma once
// Where the sums of a convolution's passes go (kernels/gpu/output.cuh), and whether somebody wants
// the totals of their columns.

#include "kernels/conv2d.h"
#include "kernels/gpu/conv2d/partials.cuh"
#include "kernels/gpu/output.cuh"

namespace convoy::CONVOY_TARGET {

inline Output conv2d_output(const Conv2dForward& op) {
  const Conv2dGeometry& g = op.g;
  const std::size_t bytes = size_of(op.dtype);
  const std::int64_t filters = g.K / g.groups;
  const bool packs = takes_packs(op.y, bytes, filters) &&
                     takes_packs(op.epilogue.bias, bytes, filters) &&
                     takes_packs(op.epilogue.residual, bytes, filters);
  return {.y = op.y,
          .in_f32 = false,
          .accumulate = false,
          .width = packs ? Output::kPack : 1,
          .products = g.groups,
          .rows = g.N * g.P * g.Q,
          .columns = filters,
          .pitch = g.K,
          .product_step = filters,
          .epilogue = op.epilogue,
          .bias_step = filters};
}

inline Output conv2d_output(const Conv2dBackwardInput& op) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t channels = g.C / g.groups;
  const auto takes = [&](const void* place) {
    return takes_packs(place, size_of(op.dtype), channels);
  };
  const GradientEpilogue& e = op.epilogue;
  const bool packs = takes(op.dx) && takes(e.addend) && takes(e.raw) && takes(e.z);
  return {.y = op.dx,
          .in_f32 = false,
          .accumulate = op.accumulate,
          .width = packs ? Output::kPack : 1,
          .products = g.groups,
          .rows = g.N * g.H * g.W,
          .columns = channels,
          .pitch = g.C,
          .product_step = channels,
          .gradient = op.epilogue};
}

inline Output conv2d_output(const Conv2dBackwardWeight& op) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t filters = g.K / g.groups, columns = weights_per_filter(g);
  const DType out = op.grad_dtype.value_or(op.dtype);
  return {.y = op.dweight,
          .in_f32 = out == DType::f32,
          .accumulate = op.accumulate,
          .width = takes_packs(op.dweight, size_of(out), columns) ? Output::kPack : 1,
          .products = g.groups,
          .rows = filters,
          .columns = columns,
          .pitch = columns,
          .product_step = filters * columns};
}

// Sums over the columns of a result are taken by those who have whole sums of it.
inline bool wants_totals(const Conv2dForward& op) { return op.epilogue.statistics.mean != nullptr; }
inline bool wants_totals(const Conv2dBackwardInput& op) { return op.epilogue.raw != nullptr; }
inline bool wants_totals(const Conv2dBackwardWeight&) { return false; }

// With totals the depth is not split: the workspace is theirs.
template <class Op>
Output conv2d_output(const Op& op, void* workspace) {
  Output output = conv2d_output(op);
  if (wants_totals(op)) output.totals = static_cast<float*>(workspace);
  return output;
}

}  // namespace convoy::CONVOY_TARGET
