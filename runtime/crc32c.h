// SPDX-License-Identifier: MIT
#pragma once
// CRC-32C (Castagnoli; RFC 3720, appendix B.4): what the manifest of a checkpoint holds for each
// file, and a pack for each record. The processor's own instruction does it where there is one.
//
//   std::uint32_t crc = crc32c(first);
//   crc = crc32c(second, crc);                      // the checksum of both, one after the other

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace convoy {

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);

// Of a regular file's content. Throws Error (data) if it cannot be read.
struct FileChecksum {
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;
};
FileChecksum checksum_file(const std::filesystem::path& path);

}  // namespace convoy
