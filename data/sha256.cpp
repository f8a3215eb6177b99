// SPDX-License-Identifier: MIT
#include "data/sha256.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/require.h"

namespace convoy::data {
namespace {

bool is_prime(int number) {
  for (int d = 2; d * d <= number; ++d) {
    if (number % d == 0) return false;
  }
  return true;
}

// The standard's constants: the first 32 bits of the fractional parts of the primes' roots.
template <std::size_t N, class Root>
std::array<std::uint32_t, N> root_bits(Root root) {
  std::array<std::uint32_t, N> bits{};
  int prime = 1;
  for (std::uint32_t& word : bits) {
    while (!is_prime(++prime)) {
    }
    const long double value = root(static_cast<long double>(prime));
    word = static_cast<std::uint32_t>((value - std::floor(value)) * 4294967296.0L);
  }
  return bits;
}

const std::array<std::uint32_t, 64>& round_constants() {
  static const auto all = root_bits<64>([](long double x) { return std::cbrt(x); });
  return all;
}

std::uint32_t word_at(const std::byte* at) {
  std::uint32_t word = 0;
  for (int i = 0; i < 4; ++i) word = word << 8 | std::to_integer<std::uint32_t>(at[i]);
  return word;
}

}  // namespace

Sha256::Sha256() : hash_(root_bits<8>([](long double x) { return std::sqrt(x); })) {}

void Sha256::add_block(const std::byte* block) {
  const std::array<std::uint32_t, 64>& k = round_constants();
  std::array<std::uint32_t, 64> w;
  for (std::size_t i = 0; i < 16; ++i) w[i] = word_at(block + 4 * i);
  for (std::size_t i = 16; i < 64; ++i) {
    const auto s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
    const auto s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = hash_;
  for (std::size_t i = 0; i < 64; ++i) {
    const auto s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const auto t1 = h + s1 + ((e & f) ^ (~e & g)) + k[i] + w[i];
    const auto s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const auto t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const Words add{a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < 8; ++i) hash_[i] += add[i];
}

void Sha256::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t filled = bytes_ % rest_.size();
    const std::size_t taken = std::min(rest_.size() - filled, bytes.size());
    std::ranges::copy(bytes.first(taken), rest_.begin() + static_cast<std::ptrdiff_t>(filled));
    bytes_ += taken;
    bytes = bytes.subspan(taken);
    if (filled + taken == rest_.size()) add_block(rest_.data());
  }
}

// A one bit, zeros up to eight bytes before a block's end, and there the number of bits.
std::string Sha256::finish() {
  const std::uint64_t bits = 8 * bytes_;
  std::array<std::byte, 8> length;
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  update(std::array{std::byte{0x80}});
  while (bytes_ % rest_.size() != 56) update(std::array{std::byte{0}});
  update(length);
  std::string text;
  for (const std::uint32_t word : hash_) text += fmt::format("{:08x}", word);
  return text;
}

}  // namespace convoy::data
