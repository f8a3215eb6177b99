// SPDX-License-Identifier: MIT
#pragma once
// Sizes of memory that is kept for reuse: multiples of 256 bytes up to 2 KiB, then eight classes
// per power of two, so that an eighth is lost at most.

#include <bit>
#include <cstddef>

namespace convoy {

constexpr std::size_t round_up(std::size_t bytes, std::size_t step) {
  return (bytes + step - 1) / step * step;
}

constexpr std::size_t size_class(std::size_t bytes) {
  constexpr std::size_t kSmallest = 256;
  return round_up(bytes, bytes <= 8 * kSmallest ? kSmallest : std::bit_floor(bytes - 1) / 8);
}

}  // namespace convoy
