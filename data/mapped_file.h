// SPDX-License-Identifier: MIT
#pragma once
// A regular file's bytes, mapped into memory for reading. The file must keep its size while it is
// mapped: reading a page that is gone ends the process (SIGBUS), and nothing a library may do
// prevents that. So packs are never written in place: a new one gets a new file, and an old one
// that is removed or replaced lives on for those that have it open.
//
//   MappedFile file("train.pack");      // file.bytes()

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace convoy::data {

class MappedFile {
 public:
  // Throws Error of kind data: missing, not a regular file, or not to be mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::uint8_t> bytes() const { return bytes_; }

 private:
  std::string path_;
  std::span<const std::uint8_t> bytes_;
};

}  // namespace convoy::data
