// SPDX-License-Identifier: MIT
#pragma once
// A permutation of [0, size) of which any place can be asked for by itself, so that workers find
// their samples without a table, in this epoch and the next.
//
// A Feistel network shuffles the next power of four; a value that falls behind the end goes through
// it again until it does not (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
// The rounds' keys are Philox numbers of seed and epoch.

#include <algorithm>
#include <array>
#include <cstdint>

#include "data/transforms.h"
#include "kernels/random.h"

namespace convoy::data {

class Permutation {
 public:
  // Every place is its own.
  explicit Permutation(std::int64_t size) : size_(static_cast<std::uint64_t>(size)) {}
  // Shuffled; size up to 2^32.
  Permutation(std::int64_t size, std::uint64_t seed, std::int64_t epoch)
      : size_(static_cast<std::uint64_t>(size)), half_bits_(1) {
    while (std::uint64_t{1} << (2 * half_bits_) < size_) ++half_bits_;
    const PhiloxKey key{seed, kShuffleStream};
    for (std::size_t i = 0; i < keys_.size(); i += 4) {
      const PhiloxWords words = philox_block(key, static_cast<std::uint64_t>(epoch), i / 4);
      std::copy(words.begin(), words.end(), &keys_[i]);
    }
  }

  // 0 <= place < size
  std::int64_t operator()(std::int64_t place) const {
    if (half_bits_ == 0) return place;
    auto at = static_cast<std::uint64_t>(place);
    do at = shuffled(at);
    while (at >= size_);
    return static_cast<std::int64_t>(at);
  }

 private:
  std::uint64_t shuffled(std::uint64_t at) const {
    const std::uint32_t mask = static_cast<std::uint32_t>((std::uint64_t{1} << half_bits_) - 1);
    auto left = static_cast<std::uint32_t>(at >> half_bits_);
    auto right = static_cast<std::uint32_t>(at) & mask;
    for (const std::uint32_t key : keys_) {
      const std::uint32_t next = left ^ (mixed(right ^ key) & mask);
      left = right;
      right = next;
    }
    return std::uint64_t{left} << half_bits_ | right;
  }
  // Every bit of the result depends on every bit of the word (MurmurHash3's last step).
  static std::uint32_t mixed(std::uint32_t word) {
    word = (word ^ word >> 16) * 0x85EBCA6B;
    word = (word ^ word >> 13) * 0xC2B2AE35;
    return word ^ word >> 16;
  }

  std::uint64_t size_;
  int half_bits_ = 0;  // 0: not shuffled
  std::array<std::uint32_t, 12> keys_{};
};

}  // namespace convoy::data
