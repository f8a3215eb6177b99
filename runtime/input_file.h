// SPDX-License-Identifier: MIT
#pragma once
// A regular file opened for reading at offsets, with the size it had then. Pipes, devices and
// folders are refused: opening a pipe would wait for ever, /dev/zero has no end. Symbolic links are
// followed: what they name must be a regular file. All errors are of kind data.
//
//   InputFile file("model.safetensors");
//   file.read(8, json);                             // exactly json.size() bytes, or an error
//   file.check_unchanged();                         // nobody wrote to it meanwhile

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace convoy {

class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;
  void check_unchanged() const;  // size and time of change are those of the opening

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::int64_t changed_seconds_ = 0, changed_nanoseconds_ = 0;
};

}  // namespace convoy
