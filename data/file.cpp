// SPDX-License-Identifier: MIT
#include "data/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/require.h"

namespace convoy::data {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t limit) {
  // Without O_NONBLOCK the open of a FIFO waits for a writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) fail_data("{}: cannot be opened: {}", path.string(), std::strerror(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    fail_data("{}: cannot be examined: {}", path.string(), std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    fail_data("{}: expected a regular file, found {}", path.string(),
              S_ISDIR(status.st_mode) ? "a directory" : "a device, pipe or socket");
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > limit) {
    fail_data("{}: expected at most {} bytes, the file has {}", path.string(), limit, size);
  }
  std::vector<std::uint8_t> bytes(size);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_data("{}: reading failed: {}", path.string(), std::strerror(errno));
    if (got == 0) {
      fail_data("{}: expected {} bytes, the file ended after {}: did it change while being read?",
                path.string(), size, done);
    }
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) fail("{}: cannot be created: {}", path.string(), std::strerror(errno));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("{}: writing failed: {}", path.string(), std::strerror(errno));
    done += static_cast<std::size_t>(put);
  }
}

}  // namespace convoy::data
