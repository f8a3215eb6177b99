// SPDX-License-Identifier: MIT
#include "data/sha256.h"

#include <gtest/gtest.h>

namespace convoy::data {
namespace {

// Fed in pieces of `step` bytes.
std::string hash_of(const std::string& text, std::size_t step) {
  Sha256 hash;
  const auto bytes = std::as_bytes(std::span(text));
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    hash.update(bytes.subspan(at, std::min(step, bytes.size() - at)));
  }
  return hash.finish();
}

// FIPS 180-4's examples, and NIST's of a million letters.
TEST(Sha256, IsTheStandards) {
  EXPECT_EQ(hash_of("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash_of("abc", 8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  EXPECT_EQ(hash_of(two_blocks, 56),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash_of(std::string(1'000'000, 'a'), 4093),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnThePieces) {
  const std::string text(200, 'x');
  for (std::size_t step = 1; step < 200; step += 7) {
    EXPECT_EQ(hash_of(text, step), hash_of(text, 200)) << step;
  }
}

}  // namespace
}  // namespace convoy::data
