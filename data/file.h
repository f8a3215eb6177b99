// SPDX-License-Identifier: MIT
#pragma once
// Whole files in and out. Only regular files are read: a FIFO or a device would hang or never end.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace convoy::data {

// Throws Error of kind data: missing, not a regular file, unreadable, larger than `limit` bytes.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t limit);

// A folder that is held open, so that reading a file in it puts no path together.
class Folder {
 public:
  // Throws Error of kind data if it cannot be opened.
  explicit Folder(const std::filesystem::path& path);
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::string& path() const { return path_; }
  // The file's bytes, in `memory`, which grows where it is too small and else is left as it is.
  // Throws as read_file does.
  std::span<const std::uint8_t> read(const std::string& name, std::uint64_t limit,
                                     std::vector<std::uint8_t>& memory) const;

 private:
  std::string path_;  // without a slash at its end
  int descriptor_;
};

// Overwrites; the caller sees to it that a reader never finds half a file. Throws Error.
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

}  // namespace convoy::data
