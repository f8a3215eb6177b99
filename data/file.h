// SPDX-License-Identifier: MIT
#pragma once
// Whole files in and out. Only regular files are read: a FIFO or a device would hang or never end.

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace convoy::data {

// Throws Error of kind data: missing, not a regular file, unreadable, larger than `limit` bytes.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t limit);

// Overwrites; the caller sees to it that a reader never finds half a file. Throws Error.
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

}  // namespace convoy::data
