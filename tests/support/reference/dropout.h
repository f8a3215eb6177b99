// SPDX-License-Identifier: MIT
#pragma once
// One element's fate, from the description in kernels/dropout.h.

#include "kernels/random.h"

namespace convoy::reference {

inline double dropout(const PhiloxKey& key, double x, double p, std::uint64_t step,
                      std::int64_t element) {
  const bool kept = double{philox_uniform(key, step, static_cast<std::uint64_t>(element))} >= p;
  return kept ? x / (1 - p) : 0;
}

}  // namespace convoy::reference
