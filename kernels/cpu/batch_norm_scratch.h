// SPDX-License-Identifier: MIT
#pragma once
// What the forward and the backward of batch_norm share: the layout of the workspace, and the
// affine form of the normalisation.

#include "kernels/base.h"
#include "kernels/cpu/wide_rows.h"

namespace convoy::on_cpu {

inline constexpr std::int64_t kGrainElements = 1 << 14;  // what is worth a thread

// Workspace: two rows of doubles per channel for each chunk and for the total, then rows of lanes.
template <class T>
struct NormScratch {
  NormScratch(const WideRows& w, void* workspace)
      : sums(static_cast<double*>(workspace)),
        lanes(reinterpret_cast<T*>(sums + 2 * (w.chunks + 1) * w.channels)),
        wide(w) {}
  double* chunk(std::int64_t i) const { return sums + 2 * i * wide.channels; }
  double* total() const { return chunk(wide.chunks); }
  T* row(std::int64_t i) const { return lanes + i * wide.width; }

  // A lane row of `value(channel)`.
  template <class F>
  const T* fill(std::int64_t i, F&& value) const {
    T* out = row(i);
    for (std::int64_t c = 0; c < wide.channels; ++c) out[c] = static_cast<T>(value(c));
    for (std::int64_t j = wide.channels; j < wide.width; ++j) out[j] = out[j - wide.channels];
    return out;
  }
  static std::size_t bytes(const WideRows& w, std::int64_t rows) {
    return static_cast<std::size_t>(2 * (w.chunks + 1) * w.channels) * sizeof(double) +
           static_cast<std::size_t>(rows * w.width) * sizeof(T);
  }

  double* sums;
  T* lanes;
  const WideRows& wide;
};

template <class T>
double value_or(const void* values, std::int64_t c, double otherwise) {
  return values == nullptr ? otherwise : static_cast<double>(static_cast<const T*>(values)[c]);
}

// y = x * gain + offset, from mean and rstd as they are stored: forward and backward get the same
// numbers, so that the mask recomputed there is the one applied here.
template <class T>
struct Affine {
  const void *scale, *bias, *mean, *rstd;
  double gain(std::int64_t c) const { return value_or<T>(scale, c, 1) * value_or<T>(rstd, c, 1); }
  double offset(std::int64_t c) const {
    return value_or<T>(bias, c, 0) - value_or<T>(mean, c, 0) * gain(c);
  }
};

}  // namespace convoy::on_cpu
