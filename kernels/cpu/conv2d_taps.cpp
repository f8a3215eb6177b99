// SPDX-License-Identifier: MIT
#include "kernels/cpu/conv2d_taps.h"

#include <algorithm>

#include "kernels/cpu/block_product.h"
#include "kernels/cpu/carver.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/taps.h"
#include "kernels/cpu/taps_cut.h"

namespace convoy::on_cpu {
namespace {

using namespace taps;

bool images_suffice(const Images& m) { return m.N >= 16 * thread_count(); }

// How threads share a pass out: by blocks of 16 filters where the filters weigh more than the
// images, so that each filter is read once; else by images. Filters of one tap weigh little.
bool by_filters(const Conv2dGeometry& g, const Images& m) {
  return filters_weigh_more(g, m) && (g.R * g.S > 1 || !images_suffice(m));
}

bool fits(const Conv2dGeometry& g, const Images& m) {
  const std::int64_t threads = thread_count();
  if (!possible(g)) return false;
  if (by_filters(g, m)) return m.K / kLine >= 2 * threads;
  // By images this pays for small 1 x 1 layers alone, whose work is hardly more than a library
  // call's fixed cost; elsewhere oneDNN spends less on moving pixels.
  return g.R * g.S == 1 && m.N * m.H * m.W <= 8192 && images_suffice(m);
}

struct Pass {
  const Conv2dGeometry* g;
  Images images;
  const float *x, *weight, *bias;
  float* y;
  bool flipped, accumulate;
};

// One thread's buffers.
struct Buffers {
  float *v, *u, *m;
};

Buffers carve(const Conv2dGeometry& g, const Images& m, Carver& carver) {
  Buffers b{};
  b.v = carver.take<float>(lines_size(m.H * m.W, m.C / kLine, chunk_images(m)));
  b.u = carver.take<float>(g.R * g.S * m.C * kLine);
  b.m = carver.take<float>(chunk_images(m) * kLine);
  return b;
}

// The products at one output: the taps inside, those that read neighbouring pixels in one go.
void multiply_pixel(const Images& m, const Phase& phase, const Lines& v, const Buffers& b,
                    std::int64_t i, std::int64_t j) {
  const Axis &h = phase.h, &w = phase.w;
  const Axis::Range rows = h.inside(i), columns = w.inside(j);
  bool any = false;
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    const std::int64_t row = (i * h.source_step + h.offset[r]) * m.W;
    for (std::int64_t s = columns.begin; s < columns.end;) {
      std::int64_t end = s + 1;
      while (end < columns.end && w.offset[end] == w.offset[end - 1] + 1) ++end;
      multiply_rows({v.images, (end - s) * m.C, v.at(row + j * w.source_step + w.offset[s], 0),
                     v.pitch(), b.u + (r * w.count + s) * m.C * kLine, b.m, any});
      any = true;
      s = end;
    }
  }
  if (!any) std::fill(b.m, b.m + v.images * kLine, 0.0f);
}

// A single tap: the products go straight to y.
void run_tap(const Pass& pass, const Phase& phase, const Lines& v, const Buffers& b,
             std::int64_t first_block, std::int64_t last_block) {
  const Images& m = pass.images;
  const Axis &h = phase.h, &w = phase.w;
  for (std::int64_t block = first_block; block < last_block; ++block) {
    panel({pass.g, &phase, pass.weight, block, pass.flipped, b.u});
    for (std::int64_t i = 0; i < h.outputs; ++i) {
      const std::int64_t row = i * h.source_step + h.offset[0];
      for (std::int64_t j = 0; j < w.outputs; ++j) {
        const std::int64_t column = j * w.source_step + w.offset[0];
        const bool inside = row >= 0 && row < m.H && column >= 0 && column < m.W;
        float* y = pass.y + output_offset(m, phase, v.first_image, i, j) + block * kLine;
        multiply_rows({v.images, inside ? m.C : 0, inside ? v.at(row * m.W + column, 0) : nullptr,
                       v.pitch(), b.u, y, pass.accumulate, m.P * m.Q * m.K});
      }
    }
  }
}

void run_phase(const Pass& pass, const Phase& phase, const Lines& v, const Buffers& b,
               std::int64_t first_block, std::int64_t last_block) {
  const Images& m = pass.images;
  if (phase.taps() == 0) return;  // cleared
  if (phase.taps() == 1 && !pass.bias) return run_tap(pass, phase, v, b, first_block, last_block);
  for (std::int64_t block = first_block; block < last_block; ++block) {
    panel({pass.g, &phase, pass.weight, block, pass.flipped, b.u});
    for (std::int64_t i = 0; i < phase.h.outputs; ++i) {
      for (std::int64_t j = 0; j < phase.w.outputs; ++j) {
        multiply_pixel(m, phase, v, b, i, j);
        scatter({&m, &phase, i, j, v.first_image, v.images, block, b.m, pass.bias, pass.y,
                 pass.accumulate});
      }
    }
  }
}

// Runs the phases phase(0), …; `only` restricts the pixels that are laid out; `clears`: there are
// phases that no tap reaches.
template <class PhaseOf>
void run_pass(const Pass& pass, std::int64_t phases, bool clears, const Phase* only,
              PhaseOf&& phase, void* workspace) {
  const Images& m = pass.images;
  const bool filters = by_filters(*pass.g, m);
  const std::int64_t pieces = thread_count(), blocks = m.K / kLine, step = chunk_images(m);
  for_each_piece(pieces, [&](std::int64_t piece) {
    Carver carver(workspace);
    Buffers b{};
    for (std::int64_t i = 0; i <= piece; ++i) b = carve(*pass.g, m, carver);
    const std::int64_t first = filters ? share(blocks, piece, pieces) : 0;
    const std::int64_t last = filters ? share(blocks, piece + 1, pieces) : blocks;
    const std::int64_t end = filters ? m.N : share(m.N, piece + 1, pieces);
    for (std::int64_t n = filters ? 0 : share(m.N, piece, pieces); n < end; n += step) {
      const Lines v{n, std::min(step, end - n), m.C / kLine, b.v};
      lay_out(pass.x, m.H, m.W, m.C, 0, only, v);
      if (clears) clear(m, v.first_image, v.images, first, last, pass.y);
      for (std::int64_t i = 0; i < phases; ++i) run_phase(pass, phase(i), v, b, first, last);
    }
  });
}

std::size_t workspace_of(const Conv2dGeometry& g, const Images& m) {
  Carver carver;
  for (std::int64_t piece = 0; piece < thread_count(); ++piece) carve(g, m, carver);
  return carver.used();
}

}  // namespace

bool conv2d_taps_fits(const Conv2dForward& op) { return fits(op.g, forward_images(op.g)); }
bool conv2d_taps_fits(const Conv2dBackwardInput& op) { return fits(op.g, backward_images(op.g)); }

std::size_t conv2d_taps_workspace(const Conv2dForward& op) {
  return workspace_of(op.g, forward_images(op.g));
}
std::size_t conv2d_taps_workspace(const Conv2dBackwardInput& op) {
  return workspace_of(op.g, backward_images(op.g));
}

void conv2d_taps(const Conv2dForward& op, void* workspace) {
  const Pass pass{&op.g,
                  forward_images(op.g),
                  static_cast<const float*>(op.x),
                  static_cast<const float*>(op.weight),
                  static_cast<const float*>(op.epilogue.bias),
                  static_cast<float*>(op.y),
                  false,
                  false};
  const Phase phase = forward_phase(op.g);
  run_pass(
      pass, 1, false, &phase, [&](std::int64_t) -> const Phase& { return phase; }, workspace);
}

void conv2d_taps(const Conv2dBackwardInput& op, void* workspace) {
  const Pass pass{&op.g,
                  backward_images(op.g),
                  static_cast<const float*>(op.dy),
                  static_cast<const float*>(op.weight),
                  nullptr,
                  static_cast<float*>(op.dx),
                  true,
                  op.accumulate};
  const std::int64_t phases = backward_phases(op.g);
  bool gaps = false;
  for (std::int64_t i = 0; i < phases; ++i) gaps |= backward_phase(op.g, i).taps() == 0;
  run_pass(
      pass, phases, gaps && !op.accumulate, nullptr,
      [&](std::int64_t i) { return backward_phase(op.g, i); }, workspace);
}

}  // namespace convoy::on_cpu
