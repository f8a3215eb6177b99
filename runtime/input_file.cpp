// SPDX-License-Identifier: MIT
#include "runtime/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/require.h"

namespace convoy {
namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : path_(path.string()) {
  // O_NONBLOCK: do not wait for the other end of a pipe. It changes nothing for a regular file.
  descriptor_ = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor_ < 0) fail_data("{}: could not open it: {}", path_, std::strerror(errno));
  struct stat status {};
  const bool known = fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    close(descriptor_);
    fail_data("{}: expected a regular file, found {}", path_,
              known ? kind_of(status.st_mode) : std::strerror(errno));
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
  changed_seconds_ = status.st_mtim.tv_sec;
  changed_nanoseconds_ = status.st_mtim.tv_nsec;
}

InputFile::~InputFile() { close(descriptor_); }

void InputFile::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count =
        pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      fail_data("{}: could not read it at offset {}: {}", path_, offset, std::strerror(errno));
    if (count == 0)
      fail_data(
          "{}: expected {} more bytes at offset {}, found the end: the file "
          "shrank while it was read",
          path_, bytes.size(), offset);
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void InputFile::check_unchanged() const {
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) fail_data("{}: {}", path_, std::strerror(errno));
  if (static_cast<std::uint64_t>(status.st_size) != size_ ||
      status.st_mtim.tv_sec != changed_seconds_ || status.st_mtim.tv_nsec != changed_nanoseconds_) {
    fail_data("{}: the file changed while it was read: try again when its writer is done", path_);
  }
}

}  // namespace convoy
