// SPDX-License-Identifier: MIT
#pragma once
// An order for disks that read neighbours much faster than strangers. The samples, as they are
// stored, are cut into stretches of a sixteenth of a window; the stretches follow each other in
// shuffled order, and the sequence of them is shuffled again inside each window. So every window
// mixes some sixteen parts of the data set, and touches nothing else. Any place can be asked for
// by itself, as in permutation.h; the order depends on size, window, seed and epoch alone.
//
//   const WindowedShuffle order(size, 4096, seed, epoch);
//   const std::int64_t index = order(position);

#include <algorithm>
#include <cstdint>

#include "data/permutation.h"
#include "kernels/random.h"

namespace convoy::data {

inline constexpr std::uint32_t kWindowStream = 0xDA7A0010;

class WindowedShuffle {
 public:
  static constexpr std::int64_t kStretches = 16;  // to a window

  // size up to 2^32, window at least 1; a window of the whole data set shuffles it wholly.
  WindowedShuffle(std::int64_t size, std::int64_t window, std::uint64_t seed, std::int64_t epoch)
      : size_(size),
        window_(std::min(window, std::max<std::int64_t>(size, 1))),
        stretch_(std::max<std::int64_t>(window_ / kStretches, 1)),
        seed_(seed),
        epoch_(static_cast<std::uint64_t>(epoch)),
        stretches_(size / stretch_, seed, epoch) {
    const PhiloxWords words = philox_block({seed, kWindowStream}, epoch_, kNoWindow);
    const std::uint64_t wide = std::uint64_t{words[0]} << 32 | words[1];
    start_ = size == 0 ? 0 : static_cast<std::int64_t>(wide % static_cast<std::uint64_t>(size));
  }

  // 0 <= place < size
  std::int64_t operator()(std::int64_t place) const {
    const std::int64_t window = place / window_, first = window * window_;
    const std::int64_t at =
        first + shuffle_of(window, std::min(window_, size_ - first))(place - first);
    // What is left over behind the last whole stretch stays where it is; each epoch starts to cut
    // elsewhere, so that this is no fixed part of the data set.
    const std::int64_t stretch = at / stretch_;
    const std::int64_t stored =
        stretch < size_ / stretch_ ? stretches_(stretch) * stretch_ + at % stretch_ : at;
    return (stored + start_) % size_;
  }

 private:
  static constexpr std::uint64_t kNoWindow = ~std::uint64_t{0};

  Permutation shuffle_of(std::int64_t window, std::int64_t size) const {
    const PhiloxWords words =
        philox_block({seed_, kWindowStream}, epoch_, static_cast<std::uint64_t>(window));
    return {size, std::uint64_t{words[0]} << 32 | words[1], 0};
  }

  std::int64_t size_, window_, stretch_;
  std::uint64_t seed_, epoch_;
  Permutation stretches_;
  std::int64_t start_ = 0;
};

}  // namespace convoy::data
