// SPDX-License-Identifier: MIT
#pragma once
// BatchStatistics (kernels/epilogue.h): mean and variance of each column of what a product stores.
// Tiles leave the mean of their rows and the squared deviations from it in
// partial[row of tiles][2][columns], which are joined in a fixed order (kernels/gpu/spread.cuh).

#include "kernels/epilogue.h"
#include "kernels/gpu/join_tiles.cuh"
#include "kernels/gpu/spread.cuh"

namespace convoy::CONVOY_TARGET {

// Static, as add_splits in kernels/gpu/output.cuh.
static __global__ void __launch_bounds__(kJoinWarps* kWarp)
    finish_column_statistics(BatchStatistics to, std::int64_t columns, std::int64_t rows,
                             int tile_rows, const float* partial) {
  begin_kernel();
  const std::int64_t c = channel_to_join(), tiles = (rows + tile_rows - 1) / tile_rows;
  const bool works = inside(c, columns);
  const auto all = join_tiles<Spread<double>>(tiles, works, [&](std::int64_t tile) {
    const std::int64_t left = rows - tile * tile_rows;
    const float* of_tile = partial + tile * 2 * columns + c;
    return Spread<double>{static_cast<double>(left < tile_rows ? left : tile_rows), of_tile[0],
                          of_tile[columns]};
  });
  if (!works || warp_index() > 0) return;
  to.mean[c] = static_cast<float>(all.mean);
  to.var[c] = static_cast<float>(all.deviations / all.count);
}

static void finish_statistics(const BatchStatistics& to, std::int64_t columns, std::int64_t rows,
                              int tile_rows, const float* partial, const Stream& stream) {
  launch_join<Spread<double>>(columns, stream, finish_column_statistics, to, columns, rows,
                              tile_rows, partial);
}

}  // namespace convoy::CONVOY_TARGET
