// SPDX-License-Identifier: MIT
#pragma once
// conv2d 4: tensor cores
// Idea     the matrix products of rung 2, by mma: only the sources differ from gemm's
//          (kernels/gpu/tensor_product.cuh).
//                            M                K                   N
//          forward           output pixels    taps and channels   filters
//          backward input    input pixels     taps and filters    channels
//          backward weight   filters          output pixels       taps, channels
// Gain     f16 and bf16 at the tensor cores' rate, sums in f32. Copies of 16 bytes go from the
//          image to shared memory; a strided backward input multiplies no zeros between the
//          outputs.
// Limit    each chunk's address is computed by the thread that copies it. TMA's im2col mode does so
//          in hardware.

#include <algorithm>

#include "kernels/gpu/conv2d/bias_gradient.cuh"
#include "kernels/gpu/conv2d/gradient_epilogue.cuh"
#include "kernels/gpu/conv2d/statistics.cuh"
#include "kernels/gpu/conv2d/tensor_outputs.cuh"
#include "kernels/gpu/conv2d/tensor_passes.cuh"

namespace convoy::CONVOY_TARGET {

template <class T, bool kNorms>
ForwardPass<T, kNorms> conv2d_pass(const Conv2dForward& op) {
  return ForwardPass<T, kNorms>(op);
}
template <class T, bool kNorms>
BackwardInputPass<T, kNorms> conv2d_pass(const Conv2dBackwardInput& op) {
  return BackwardInputPass<T, kNorms>(op);
}
template <class T, bool kNorms>
BackwardWeightPass<T, kNorms> conv2d_pass(const Conv2dBackwardWeight& op) {
  return BackwardWeightPass<T, kNorms>(op);
}

template <class Op, class Pass>
TensorPlan conv2d_tensor_plan(const Op& op, const Pass& pass, const Device& device,
                              TileSize largest = Pass::kLargest) {
  return tensor_plan(pass.rows(), pass.columns(), pass.depth(), pass.products(),
                     std::min(largest, pass.largest()), !wants_totals(op), device);
}

// The rows of tiles that leave totals: of each phase as many.
template <class Pass>
std::int64_t rows_of_tiles(const Pass& pass, const TensorPlan& plan) {
  return std::int64_t{blocks_for(pass.rows(), tile_rows(plan))} * (pass.products() / pass.groups);
}

template <class Op, class Pass>
std::size_t conv2d_product_workspace(const Op& op, const Pass& pass, const TensorPlan& plan) {
  const Output output = conv2d_output(op);
  if (!wants_totals(op)) return tensor_product_workspace(plan, output);
  return totals_bytes(output, rows_of_tiles(pass, plan));
}
// The widths of copies do not depend on which of the half types it is.
template <class Op>
std::size_t conv2d_product_workspace(const Op& op, const Device& device) {
  const auto pass = conv2d_pass<F16, false>(op);
  return conv2d_product_workspace(op, pass, conv2d_tensor_plan(op, pass, device));
}
template <class Op>
std::size_t conv2d_tensor_core_workspace(const Op& op, const Device& device) {
  return conv2d_product_workspace(op, device);
}
inline std::size_t conv2d_tensor_core_workspace(const Conv2dBackwardWeight& op,
                                                const Device& device) {
  return either_gradient_bytes(op, conv2d_product_workspace(op, device), device);
}

inline void finish_totals(const Conv2dForward& op, const float* totals, std::int64_t, int tile_rows,
                          const Stream& stream) {
  finish_statistics(op, totals, tile_rows, stream);
}
inline void finish_totals(const Conv2dBackwardInput& op, const float* totals, std::int64_t tiles,
                          int, const Stream& stream) {
  add_gradient_sums(op, totals, tiles, stream);
}
inline void finish_totals(const Conv2dBackwardWeight&, const float*, std::int64_t, int,
                          const Stream&) {}

// What is left to be done behind the tiles.
template <class T, class Op, class Pass>
void finish_product(const Op& op, const Pass& pass, const TensorPlan& plan, const Output& output,
                    void* workspace, const Stream& stream) {
  if (plan.splits > 1) add_splits_to<T>(output, workspace, plan.splits, stream);
  if (wants_totals(op)) {
    finish_totals(op, output.totals, rows_of_tiles(pass, plan), tile_rows(plan), stream);
  }
}

template <class T, bool kNorms, class Op>
void run_conv2d_pass(const Op& op, void* workspace, const Stream& stream) {
  const auto pass = conv2d_pass<T, kNorms>(op);
  const TensorPlan plan = conv2d_tensor_plan(op, pass, stream.device);
  const Output output = conv2d_output(op, workspace);
  launch_tensor_tiles(pass, plan, output, workspace, stream);
  finish_product<T>(op, pass, plan, output, workspace, stream);
}

inline bool norms_on_load(const Conv2dForward& op) { return op.prologue.lines != nullptr; }
inline bool norms_on_load(const Conv2dBackwardInput& op) { return op.prologue.lines != nullptr; }
inline bool norms_on_load(const Conv2dBackwardWeight& op) {
  return op.prologue.lines != nullptr || op.gradient_prologue.lines != nullptr;
}

template <class T, class Op>
void conv2d_tensor_product(const Op& op, void* workspace, const Stream& stream) {
  if (norms_on_load(op)) return run_conv2d_pass<T, true>(op, workspace, stream);
  run_conv2d_pass<T, false>(op, workspace, stream);
}
template <class T, class Op>
void conv2d_tensor_core(const Op& op, void* workspace, const Stream& stream) {
  conv2d_tensor_product<T>(op, workspace, stream);
}
template <class T>
void conv2d_tensor_core(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  if (op.dbias != nullptr) conv2d_bias_gradient<T>(op, workspace, stream);
  if (op.dweight != nullptr) conv2d_tensor_product<T>(op, workspace, stream);
}

inline bool conv2d_fits_tensor_core(const Conv2dGeometry& g, DType dtype) {
  const std::int64_t pixels = g.N * max(g.H * g.W, g.P * g.Q);
  return dtype != DType::f32 && fits_tensor_tiles(pixels, g.R * g.S * max(g.C, g.K), 0);
}

}  // namespace convoy::CONVOY_TARGET
