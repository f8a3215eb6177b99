// SPDX-License-Identifier: MIT
#pragma once
// Writes a file so that, whatever happens, its name holds either the old or the new content whole:
// a temporary name in the same folder, fsync, rename, fsync of the folder. Writing in place
// (O_TRUNC) loses the old file at the first fault. Errors name the file and the cause; nothing is
// overwritten and no temporary file stays behind unless the process was killed.
//
//   AtomicFile file("out/model.safetensors");
//   file.write(bytes);
//   file.commit();                                  // without it the destructor drops everything

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>

namespace convoy {

class AtomicFile {
 public:
  // The folder must exist. `whole` is how many bytes will be written, where that is known: errors
  // say it.
  explicit AtomicFile(std::filesystem::path path, std::optional<std::uint64_t> whole = {});
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  // Puts the content under its name. After a failed fsync nothing is tried again: the kernel may
  // have dropped the dirty pages, and a second fsync would succeed without them.
  void commit();

  std::uint64_t size() const { return size_; }   // bytes written so far
  std::uint32_t crc32c() const { return crc_; }  // of them

 private:
  [[noreturn]] void fail_io(const char* what) const;

  std::filesystem::path path_, temporary_;
  std::optional<std::uint64_t> whole_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::uint32_t crc_ = 0;
};

// Makes the names in a folder durable: after files were created, renamed or removed in it.
void sync_folder(const std::filesystem::path& folder);
// Makes a folder, and those that it lies in, where they are missing; their names are durable then.
void create_folders(const std::filesystem::path& folder);
// Gives the folder `made` the name `path`, durably and in one step: where that is another folder's,
// there is no moment without one, and the other is removed then. Both lie in the same folder. (File
// systems that cannot exchange names, NFS for one, lose the other a moment before.)
void put_in_place(const std::filesystem::path& made, const std::filesystem::path& path);

}  // namespace convoy
