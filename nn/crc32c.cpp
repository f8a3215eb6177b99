// SPDX-License-Identifier: MIT
#include "nn/crc32c.h"

#include <array>
#include <vector>

#include "nn/input_file.h"

namespace convoy::nn {
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

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  std::uint32_t crc = ~before;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    crc ^= byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24;
    std::uint32_t next = 0;
    for (std::size_t b = 0; b < 4; ++b) next ^= kTables[7 - b][crc >> 8 * b & 0xff];
    for (std::size_t b = 4; b < 8; ++b) next ^= kTables[7 - b][byte(i + b)];
    crc = next;
  }
  for (; i < bytes.size(); ++i) crc = crc >> 8 ^ kTables[0][(crc ^ byte(i)) & 0xff];
  return ~crc;
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

}  // namespace convoy::nn
