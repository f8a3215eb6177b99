// SPDX-License-Identifier: MIT
#pragma once
// Division of many numbers by one that the host knows: a multiplication, an addition and a shift,
// where the hardware has no divider. Granlund and Montgomery, "Division by invariant integers using
// multiplication", 1994, figure 4.1.
//
//   const Divisor by_width(W);                       // on the host; passed to the kernel
//   const int row = by_width.quotient(pixel);        // 0 <= pixel < 2^31

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

class Divisor {
 public:
  constexpr explicit Divisor(std::int64_t divisor) : divisor_(static_cast<unsigned>(divisor)) {
    while (std::uint64_t{1} << shift_ < divisor_) ++shift_;
    const std::uint64_t excess = (std::uint64_t{1} << shift_) - divisor_;
    multiplier_ = static_cast<unsigned>((excess << 32) / divisor_ + 1);
  }
  __host__ __device__ constexpr int quotient(int n) const {
    const auto number = static_cast<unsigned>(n);
    const auto high = static_cast<unsigned>((std::uint64_t{number} * multiplier_) >> 32);
    return static_cast<int>((high + number) >> shift_);
  }
  __host__ __device__ constexpr int remainder(int n) const {
    return n - quotient(n) * static_cast<int>(divisor_);
  }

 private:
  unsigned divisor_, multiplier_ = 0, shift_ = 0;
};

static_assert([] {
  for (const int d : {1, 2, 3, 5, 7, 25, 127, 128, 1000003, INT32_MAX - 1, INT32_MAX}) {
    for (const int n : {0, 1, d - 1, d, INT32_MAX / d * d - 1, INT32_MAX}) {
      if (Divisor(d).quotient(n) != n / d || Divisor(d).remainder(n) != n % d) return false;
    }
  }
  return true;
}());

// Positions in an array of three dimensions, from an index over all of them, last fastest.
struct Index3 {
  int first, middle, last;
};
struct Radix {
  Divisor middle, last;

  __device__ Index3 split(int index) const {
    const int rest = last.quotient(index);
    return {middle.quotient(rest), middle.remainder(rest), last.remainder(index)};
  }
};

}  // namespace convoy::CONVOY_TARGET
