// SPDX-License-Identifier: MIT
#pragma once
// What the passes of conv2d_taps have in common in their choices, all by shape and thread count.

#include <algorithm>

#include "kernels/cpu/taps.h"

namespace convoy::on_cpu::taps {

inline bool filters_weigh_more(const Conv2dGeometry& g, const Images& m) {
  return m.K * g.R * g.S >= m.N * m.H * m.W;
}

inline bool possible(const Conv2dGeometry& g) {
  return g.groups == 1 && g.C % kLine == 0 && g.K % kLine == 0 && g.R <= kMaxTaps &&
         g.S <= kMaxTaps && g.N >= 16;
}

// Images that are laid out at a time: they stay in the second-level cache where 16 of them do.
inline std::int64_t chunk_images(const Images& m) {
  return std::clamp<std::int64_t>(131072 / (m.H * m.W * m.C) / 16 * 16, 16,
                                  std::min<std::int64_t>(m.N, 64));
}

}  // namespace convoy::on_cpu::taps
