// SPDX-License-Identifier: MIT
#include "runtime/crc32c.h"

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "runtime/input_file.h"

namespace convoy {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41 with its bits in reverse

// Row r: the effect of a byte that is followed by r zero bytes, so that eight bytes are taken at
// once ("slicing by 8", Kounavis and Berry 2005).
constexpr auto make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
    t[0][i] = crc;
  }
  for (std::size_t r = 1; r < 8; ++r) {
    for (std::size_t i = 0; i < 256; ++i) t[r][i] = t[r - 1][i] >> 8 ^ t[0][t[r - 1][i] & 0xff];
  }
  return t;
}
constexpr auto kTables = make_tables();

// Row r, entry v: what v, as byte r of the register, becomes behind kLane zero bytes. The register
// is linear in its bits, so two pieces can be summed side by side: that of the first is carried
// over the length of the second and added.
constexpr std::size_t kLane = 1024;
constexpr auto make_carry() {
  std::array<std::array<std::uint32_t, 256>, 4> t{};
  for (std::size_t r = 0; r < 4; ++r) {
    for (std::size_t bit = 0; bit < 8; ++bit) {
      std::uint32_t crc = std::uint32_t{1} << (8 * r + bit);
      for (std::size_t i = 0; i < kLane; ++i) crc = crc >> 8 ^ kTables[0][crc & 0xff];
      for (std::size_t v = 0; v < 256; ++v) t[r][v] ^= v >> bit & 1 ? crc : 0;
    }
  }
  return t;
}

#ifdef __SSE4_2__
constexpr auto kCarry = make_carry();

std::uint32_t over_a_lane(std::uint64_t crc) {
  return kCarry[0][crc & 0xff] ^ kCarry[1][crc >> 8 & 0xff] ^ kCarry[2][crc >> 16 & 0xff] ^
         kCarry[3][crc >> 24 & 0xff];
}

std::uint64_t eight_bytes(const std::byte* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// The processor's instruction takes eight bytes and has a result after three cycles, but starts
// one in each: three pieces side by side keep it busy.
std::uint32_t update(std::uint32_t before, std::span<const std::byte> bytes) {
  std::uint64_t crc = before;
  const std::byte* at = bytes.data();
  const std::byte* const end = at + bytes.size();
  for (; end - at >= static_cast<std::ptrdiff_t>(3 * kLane); at += 3 * kLane) {
    std::uint64_t second = 0, third = 0;
    for (std::size_t i = 0; i < kLane; i += 8) {
      crc = _mm_crc32_u64(crc, eight_bytes(at + i));
      second = _mm_crc32_u64(second, eight_bytes(at + kLane + i));
      third = _mm_crc32_u64(third, eight_bytes(at + 2 * kLane + i));
    }
    crc = over_a_lane(over_a_lane(crc) ^ second) ^ third;
  }
  for (; end - at >= 8; at += 8) crc = _mm_crc32_u64(crc, eight_bytes(at));
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; at != end; ++at) narrow = _mm_crc32_u8(narrow, std::to_integer<std::uint8_t>(*at));
  return narrow;
}
#else
std::uint32_t update(std::uint32_t crc, std::span<const std::byte> bytes) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    crc ^= byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24;
    std::uint32_t next = 0;
    for (std::size_t b = 0; b < 4; ++b) next ^= kTables[7 - b][crc >> 8 * b & 0xff];
    for (std::size_t b = 4; b < 8; ++b) next ^= kTables[7 - b][byte(i + b)];
    crc = next;
  }
  for (; i < bytes.size(); ++i) crc = crc >> 8 ^ kTables[0][(crc ^ byte(i)) & 0xff];
  return crc;
}
#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
  return ~update(~before, bytes);
}

FileChecksum checksum_file(const std::filesystem::path& path) {
  const InputFile file(path);
  std::vector<std::byte> piece(std::size_t{1} << 20);
  FileChecksum sum;
  while (sum.bytes < file.size()) {
    const auto part = std::span(piece).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), file.size() - sum.bytes)));
    file.read(sum.bytes, part);
    sum.crc32c = crc32c(part, sum.crc32c);
    sum.bytes += part.size();
  }
  file.check_unchanged();
  return sum;
}

}  // namespace convoy
