// SPDX-License-Identifier: MIT
#include "runtime/atomic_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/require.h"
#include "runtime/crc32c.h"

namespace convoy {
namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

std::string free_space(const std::filesystem::path& folder) {
  struct statvfs volume {};
  if (statvfs(folder.c_str(), &volume) != 0) return "";
  const auto free = static_cast<std::uint64_t>(volume.f_bavail) * volume.f_frsize;
  return fmt::format("; the volume of {} has {} bytes free", folder.string(), free);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path, std::optional<std::uint64_t> whole)
    : path_(std::move(path)), whole_(whole) {
  // /dev/null itself would be replaced, or a pipe, or /dev/stdout.
  std::error_code absent;
  const auto there = std::filesystem::status(path_, absent);
  require(!std::filesystem::exists(there) || std::filesystem::is_regular_file(there),
          "write {}: expects a file or a new name, found something else there", path_.string());
  // The first name that is not taken: an earlier process that was killed may have left one.
  for (int i = 0; descriptor_ < 0; ++i) {
    temporary_ =
        folder_of(path_) / fmt::format(".{}.{}-{}.tmp", path_.filename().string(), getpid(), i);
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST && errno != EINTR) fail_io("create");
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::fail_io(const char* what) const {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT;
  fail("write {}: could not {} it after {}{} bytes: {}{}; what was there before is untouched",
       path_.string(), what, size_, whole_ ? fmt::format(" of {}", *whole_) : "",
       std::strerror(error), full ? free_space(folder_of(path_)) : "");
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  require(descriptor_ >= 0, "write {}: the file is already committed", path_.string());
  crc_ = convoy::crc32c(bytes, crc_);
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_io("write");
    size_ += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit() {
  require(descriptor_ >= 0, "write {}: the file is already committed", path_.string());
  if (fsync(descriptor_) != 0) fail_io("flush");
  const int descriptor = std::exchange(descriptor_, -1);
  if (close(descriptor) != 0 && errno != EINTR) fail_io("close");
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail_io("rename");
  temporary_.clear();
  sync_folder(folder_of(path_));
}

void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail("sync {}: could not open it: {}", folder.string(), std::strerror(errno));
  // Some file systems have nothing to flush for a folder and say EINVAL.
  const int error = fsync(descriptor) == 0 || errno == EINVAL ? 0 : errno;
  close(descriptor);
  if (error != 0) fail("sync {}: could not flush it: {}", folder.string(), std::strerror(error));
}

void create_folders(const std::filesystem::path& folder) {
  if (std::filesystem::is_directory(folder)) return;
  create_folders(folder_of(folder));
  std::filesystem::create_directory(folder);
  sync_folder(folder_of(folder));
}

void put_in_place(const std::filesystem::path& made, const std::filesystem::path& path) {
  bool exchanged = false;
  if (std::filesystem::exists(path)) {
    exchanged = renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0;
    if (!exchanged && errno != EINVAL && errno != ENOSYS) {
      fail("write {}: could not put it in place: {}", path.string(), std::strerror(errno));
    }
    if (!exchanged) std::filesystem::remove_all(path);
  }
  if (!exchanged) std::filesystem::rename(made, path);
  sync_folder(folder_of(path));
  if (exchanged) std::filesystem::remove_all(made);
}

}  // namespace convoy
