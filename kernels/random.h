// SPDX-License-Identifier: MIT
#pragma once
// Counter-based random numbers: Philox-4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). A number depends on (seed, stream, step, element) and on
// nothing else: not on threads, devices or ranks.
//
//   PhiloxKey key{.seed = 42, .stream = 7};
//   float u = philox_uniform(key, step, element);      // [0, 1)

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace convoy {

struct PhiloxKey {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;  // one per consumer: a layer, a data set's shuffle, an initialiser
};

using PhiloxWords = std::array<std::uint32_t, 4>;

// A product's words. Taken out by shifts they cost a GPU an addition of nothing each.
struct WideProduct {
  std::uint32_t low, high;
};
constexpr WideProduct wide_product(std::uint32_t a, std::uint32_t b) {
  static_assert(std::endian::native == std::endian::little);
  return std::bit_cast<WideProduct>(std::uint64_t{a} * b);
}

// The ten rounds themselves, as the paper's reference vectors have them.
constexpr PhiloxWords philox4x32(PhiloxWords counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const WideProduct a = wide_product(0xD2511F53, counter[0]);
    const WideProduct b = wide_product(0xCD9E8D57, counter[2]);
    counter = {b.high ^ counter[1] ^ key0, b.low, a.high ^ counter[3] ^ key1, a.low};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

// The four words of block `block` at `step`: element e is word e % 4 of block e / 4. Blocks go up
// to 2^32 (2^34 elements a step), steps to 2^32.
constexpr PhiloxWords philox_block(const PhiloxKey& key, std::uint64_t step, std::uint64_t block) {
  return philox4x32(
      {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(step),
       static_cast<std::uint32_t>(block >> 32) ^ static_cast<std::uint32_t>(step >> 32),
       key.stream},
      static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32));
}

constexpr std::uint32_t philox_word(const PhiloxKey& key, std::uint64_t step,
                                    std::uint64_t element) {
  return philox_block(key, step, element / 4)[element % 4];
}

// 24 random bits as a float in [0, 1): exact, so the same on every device.
constexpr float to_uniform(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

constexpr float philox_uniform(const PhiloxKey& key, std::uint64_t step, std::uint64_t element) {
  return to_uniform(philox_word(key, step, element));
}

// An integer in [0, bound), by the high half of a product; the bias is below bound / 2^32.
constexpr std::uint32_t philox_below(const PhiloxKey& key, std::uint64_t step,
                                     std::uint64_t element, std::uint32_t bound) {
  return static_cast<std::uint32_t>((std::uint64_t{philox_word(key, step, element)} * bound) >> 32);
}

}  // namespace convoy
