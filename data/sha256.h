// SPDX-License-Identifier: MIT
#pragma once
// SHA-256 (FIPS 180-4), to say in one line what a stream of bytes was.
//
//   Sha256 hash;
//   hash.update(pixels);
//   const std::string text = hash.finish();    // 64 hexadecimal digits

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace convoy::data {

class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  // Of all that came; the object is used up.
  std::string finish();

 private:
  using Words = std::array<std::uint32_t, 8>;
  void add_block(const std::byte* block);

  Words hash_;
  std::array<std::byte, 64> rest_;  // of the last block
  std::uint64_t bytes_ = 0;
};

}  // namespace convoy::data
