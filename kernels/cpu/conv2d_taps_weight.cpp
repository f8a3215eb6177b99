// SPDX-License-Identifier: MIT
#include <algorithm>

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/carver.h"
#include "kernels/cpu/conv2d_taps.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/taps.h"
#include "kernels/cpu/taps_cut.h"

namespace convoy::on_cpu {
namespace {

using namespace taps;

// One thread's buffers for the filters' gradient: x, its blocks of dy, and a 16 x 16 block.
struct GradientBuffers {
  float *v, *w, *block;
};

GradientBuffers carve_gradient(const Images& m, Carver& carver) {
  GradientBuffers b{};
  const std::int64_t images = chunk_images(m), blocks = m.K / kLine / thread_count() + 1;
  b.v = carver.take<float>(lines_size(m.H * m.W, m.C / kLine, images));
  b.w = carver.take<float>(lines_size(m.P * m.Q, blocks, images));
  b.block = carver.take<float>(kLine * kLine);
  return b;
}

// The outputs [begin, end) whose tap reads inside.
Axis::Range outputs_inside(const Axis& a, std::int64_t tap) {
  const auto inside = [&](std::int64_t output) {
    const std::int64_t position = output * a.source_step + a.offset[tap];
    return position >= 0 && position < a.source_extent;
  };
  Axis::Range r{0, a.outputs};
  while (r.begin < r.end && !inside(r.begin)) ++r.begin;
  while (r.end > r.begin && !inside(r.end - 1)) --r.end;
  return r;
}

// Adds up one 16 x 16 block over all outputs whose tap (r, s) reads inside; false if there is none.
bool sum_block(const Images& m, const Phase& phase, const Lines& v, const Lines& w, float* block,
               std::int64_t r, std::int64_t s, std::int64_t c_block, std::int64_t k_block) {
  const Axis::Range rows = outputs_inside(phase.h, r), columns = outputs_inside(phase.w, s);
  if (columns.begin == columns.end) return false;
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    const std::int64_t row = (i * phase.h.source_step + phase.h.offset[r]) * m.W;
    const std::int64_t pixel = row + columns.begin * phase.w.source_step + phase.w.offset[s];
    multiply_columns({v.images, w.at(i * m.Q + columns.begin, k_block), v.at(pixel, c_block), block,
                      i > rows.begin, columns.end - columns.begin, w.blocks * w.pitch(),
                      phase.w.source_step * v.blocks * v.pitch()});
  }
  return rows.begin < rows.end;
}

void store_block(const float* block, bool any, float* dw, std::int64_t filter_size,
                 bool accumulate) {
  for (std::int64_t k = 0; k < kLine; ++k, dw += filter_size, block += kLine) {
    for (std::int64_t c = 0; c < kLine; ++c) {
      const float value = any ? block[c] : 0.0f;
      dw[c] = accumulate ? dw[c] + value : value;
    }
  }
}

void gradient_chunk(const Conv2dBackwardWeight& op, const Images& m, const Phase& phase,
                    const Lines& v, const Lines& w, float* block, std::int64_t first_block) {
  lay_out(static_cast<const float*>(op.x), m.H, m.W, m.C, 0, &phase, v);
  lay_out(static_cast<const float*>(op.dy), m.P, m.Q, m.K, first_block, nullptr, w);
  const std::int64_t filter_size = phase.taps() * m.C;
  const bool accumulate = op.accumulate || v.first_image > 0;
  for (std::int64_t kb = 0; kb < w.blocks; ++kb) {
    float* dw = static_cast<float*>(op.dweight) + (first_block + kb) * kLine * filter_size;
    for (std::int64_t tap = 0; tap < phase.taps(); ++tap) {
      for (std::int64_t cb = 0; cb < v.blocks; ++cb, dw += kLine) {
        const bool any =
            sum_block(m, phase, v, w, block, tap / phase.w.count, tap % phase.w.count, cb, kb);
        store_block(block, any, dw, filter_size, accumulate);
      }
    }
  }
}

}  // namespace

// Every thread lays out all of x for its own filters: a tenth of their products' time at most.
bool conv2d_taps_fits(const Conv2dBackwardWeight& op) {
  const Conv2dGeometry& g = op.g;
  const std::int64_t threads = thread_count();
  return possible(g) && g.K / kLine >= 2 * threads &&
         g.P * g.Q * g.R * g.S * g.K >= 60 * g.H * g.W * threads;
}

std::size_t conv2d_taps_workspace(const Conv2dBackwardWeight& op) {
  Carver carver;
  for (std::int64_t piece = 0; piece < thread_count(); ++piece) {
    carve_gradient(forward_images(op.g), carver);
  }
  return carver.used();
}

void conv2d_taps(const Conv2dBackwardWeight& op, void* workspace) {
  const Images m = forward_images(op.g);
  const Phase phase = forward_phase(op.g);
  const std::int64_t pieces = thread_count(), blocks = m.K / kLine, step = chunk_images(m);
  for_each_piece(pieces, [&](std::int64_t piece) {
    Carver carver(workspace);
    GradientBuffers b{};
    for (std::int64_t i = 0; i <= piece; ++i) b = carve_gradient(m, carver);
    const std::int64_t first = share(blocks, piece, pieces);
    const std::int64_t last = share(blocks, piece + 1, pieces);
    for (std::int64_t n = 0; n < m.N && first < last; n += step) {
      const Lines v{n, std::min(step, m.N - n), m.C / kLine, b.v};
      const Lines w{n, v.images, last - first, b.w};
      gradient_chunk(op, m, phase, v, w, b.block, first);
    }
  });
}

}  // namespace convoy::on_cpu
