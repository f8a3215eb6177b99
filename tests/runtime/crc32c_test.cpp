// SPDX-License-Identifier: MIT
#include "runtime/crc32c.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kernels/require.h"
#include "tests/support/temporary_folder.h"

namespace convoy {
namespace {

std::uint32_t crc_of(const std::string& text, std::uint32_t before = 0) {
  return crc32c(std::as_bytes(std::span(text)), before);
}

// RFC 3720, appendix B.4, and the check value of the catalogue of CRC parameters.
TEST(Crc32c, PublishedValues) {
  std::vector<std::uint8_t> rising(32);
  std::iota(rising.begin(), rising.end(), std::uint8_t{0});
  EXPECT_EQ(crc_of("123456789"), 0xE3069283u);
  EXPECT_EQ(crc_of(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc_of(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(std::as_bytes(std::span(rising))), 0x46DD794Eu);
  EXPECT_EQ(crc_of(""), 0u);
}

TEST(Crc32c, PiecesGiveTheWhole) {
  const std::string text = "the quick brown fox jumps over the lazy dog";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(crc_of(text.substr(cut), crc_of(text.substr(0, cut))), crc_of(text)) << cut;
  }
}

// Long division of the bits, as the polynomial is written.
std::uint32_t bit_by_bit(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~0u;
  for (const std::byte b : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool one = ((crc ^ std::to_integer<std::uint32_t>(b) >> bit) & 1) != 0;
      crc = crc >> 1 ^ (one ? 0x82F63B78u : 0);
    }
  }
  return ~crc;
}

// Lengths about those at which it goes from one loop to the next, at any alignment.
TEST(Crc32c, EveryLengthIsTheLongDivisions) {
  std::vector<std::byte> bytes(3 * 3072 + 64);
  std::uint32_t state = 1;
  for (std::byte& b : bytes) {
    state = state * 1664525 + 1013904223;
    b = static_cast<std::byte>(state >> 24);
  }
  for (const std::size_t near : {16, 1024, 3072, 6144, 9216}) {
    for (std::size_t size = near - 12; size <= near + 12; ++size) {
      const auto part = std::span(bytes).subspan(size % 11, size);
      EXPECT_EQ(crc32c(part), bit_by_bit(part)) << size;
    }
  }
}

TEST(Crc32c, OfAFile) {
  const convoy::testing::TemporaryFolder folder;
  const std::string text(3'000'001, 'x');  // more than one piece
  convoy::testing::write_text(folder / "file", text);
  const FileChecksum sum = checksum_file(folder / "file");
  EXPECT_EQ(sum.bytes, text.size());
  EXPECT_EQ(sum.crc32c, crc_of(text));
  EXPECT_THROW(checksum_file(folder / "none"), Error);
}

}  // namespace
}  // namespace convoy
