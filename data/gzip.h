// SPDX-License-Identifier: MIT
#pragma once
// A gzip file in memory, read piece by piece, so that what it claims to hold can be checked before
// memory is asked for (RFC 1952; one member, as gzip writes it).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace convoy::data {

bool is_gzip(std::span<const std::uint8_t> file);

class GzipReader {
 public:
  // `file` must outlive the reader; `name` stands in error texts.
  GzipReader(std::span<const std::uint8_t> file, std::string name);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  // Fills `out` as far as the stream goes; returns the bytes written. Throws Error of kind data
  // on damage and truncation.
  std::size_t read(std::span<std::uint8_t> out);
  // Throws unless the stream ends here, its CRC and length agree and nothing follows it.
  void expect_end();
  // Deflate cannot expand further than 1032 to 1 (zlib's technical notes).
  std::uint64_t most_it_can_hold() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convoy::data
