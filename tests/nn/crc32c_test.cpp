// SPDX-License-Identifier: MIT
#include "nn/crc32c.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kernels/require.h"
#include "tests/support/temporary_folder.h"

namespace convoy::nn {
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
}  // namespace convoy::nn
