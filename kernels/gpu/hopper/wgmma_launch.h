// SPDX-License-Identifier: MIT
#pragma once
// What the launches of products by wgmma share: tensor maps of the matrices that they load and
// store, which of them the copy engine takes, and the blocks.

#include "kernels/gemm.h"
#include "kernels/gpu/gpu.cuh"
#include "kernels/gpu/hopper/gemm_wgmma.h"
#include "kernels/gpu/tensor_map.h"

namespace convoy::CONVOY_TARGET {

constexpr int kCopyUnit = 8;  // elements of 16 bytes

// Rows `pitch` apart, of products `step` apart.
inline bool takes_copies(const void* data, std::int64_t columns, std::int64_t pitch,
                         std::int64_t products, std::int64_t step) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && pitch >= columns &&
         pitch % kCopyUnit == 0 && (products == 1 || (step >= 0 && step % kCopyUnit == 0));
}

// Matrices `step` apart, loaded and stored in boxes of 64 columns.
struct Matrices {
  const void* data;
  DType dtype;
  std::int64_t rows, columns, pitch, count, step;
};
inline TensorMap map_of(const Matrices& of, int rank, int box_rows) {
  return tensor_map(TensorMapSpec{.data = of.data,
                                  .dtype = of.dtype,
                                  .rank = rank,
                                  .extent = {of.columns, of.rows, of.count, 1},
                                  .stride = {1, of.pitch, of.step, kCopyUnit},
                                  .box = {64, box_rows, 1, 1},
                                  .swizzle = Swizzle::bytes128});
}

// A batch of matrices; of one matrix, or of one for all, the steps do not count.
inline TensorMap map_of(const Gemm& op, const void* data, std::int64_t rows, std::int64_t columns,
                        std::int64_t pitch, std::int64_t step, int rank, int box_rows) {
  const bool steps = op.batch > 1 && step > 0;
  return map_of(
      {data, op.dtype, rows, columns, pitch, steps ? op.batch : 1, steps ? step : kCopyUnit}, rank,
      box_rows);
}

// Whether c can leave through shared memory by the copy engine. A thread has pairs of a row, and
// takes a bias, a residual and what is in c for them as pairs.
inline bool takes_staged(const Gemm& op) {
  const auto takes_pairs = [](const void* place) {
    return reinterpret_cast<std::uintptr_t>(place) % sizeof(unsigned) == 0;
  };
  return op.out_dtype.value_or(op.dtype) == op.dtype &&
         takes_copies(op.c, op.N, op.ldc, op.batch, op.stride_c) &&
         (op.batch == 1 || op.stride_c > 0) && op.N % 2 == 0 && takes_pairs(op.epilogue.bias) &&
         takes_pairs(op.epilogue.residual);
}
// Statistics are of what is staged, 64 rows of it at a time: blocks_for(M, 64) totals of 2 N.
inline bool wants_statistics(const Gemm& op) { return op.epilogue.statistics.mean != nullptr; }
inline std::size_t statistics_bytes(const Gemm& op) {
  if (!wants_statistics(op)) return 0;
  return static_cast<std::size_t>(blocks_for(op.M, kStatisticsRows) * 2 * op.N) * sizeof(float);
}

// The map of c for that.
inline TensorMap result_map(const Gemm& op) {
  return map_of(op, op.c, op.M, op.N, op.ldc, op.stride_c, 4, 64);
}

// Blocks that stay: one on each multiprocessor, of which it takes most of the memory.
template <class Config>
LaunchConfig persistent(std::int64_t tiles, const Stream& stream) {
  return {
      .grid = static_cast<unsigned>(min(tiles, std::int64_t{multiprocessor_count(stream.device)})),
      .block = Config::kThreads,
      .shared_bytes = sizeof(typename Config::Storage),
      .stream = stream};
}

}  // namespace convoy::CONVOY_TARGET
