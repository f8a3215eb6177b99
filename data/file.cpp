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

// What names a file in error texts: put together only for them.
struct Name {
  const std::string& folder;
  const std::string& file;
  friend std::string to_text(const Name& name) {
    return name.folder.empty() ? name.file : name.folder + "/" + name.file;
  }
};

std::uint64_t size_of_regular(const Descriptor& file, const Name& name, std::uint64_t limit) {
  if (file.get() < 0) fail_data("{}: cannot be opened: {}", name, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    fail_data("{}: cannot be examined: {}", name, std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    fail_data("{}: expected a regular file, found {}", name,
              S_ISDIR(status.st_mode) ? "a directory" : "a device, pipe or socket");
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > limit) {
    fail_data("{}: expected at most {} bytes, the file has {}", name, limit, size);
  }
  return size;
}

void read_all(const Descriptor& file, const Name& name, std::span<std::uint8_t> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_data("{}: reading failed: {}", name, std::strerror(errno));
    if (got == 0) {
      fail_data("{}: expected {} bytes, the file ended after {}: did it change while being read?",
                name, bytes.size(), done);
    }
    done += static_cast<std::size_t>(got);
  }
}

// Without O_NONBLOCK the open of a FIFO waits for a writer.
constexpr int kReading = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

std::string without_last_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t limit) {
  const std::string none;
  const Name name{none, path.native()};
  const Descriptor file(::open(path.c_str(), kReading));
  std::vector<std::uint8_t> bytes(size_of_regular(file, name, limit));
  read_all(file, name, bytes);
  return bytes;
}

Folder::Folder(const std::filesystem::path& path)
    : path_(without_last_slash(path.string())),
      descriptor_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) fail_data("{}: cannot be opened: {}", path_, std::strerror(errno));
}

Folder::~Folder() { ::close(descriptor_); }

std::span<const std::uint8_t> Folder::read(const std::string& name, std::uint64_t limit,
                                           std::vector<std::uint8_t>& memory) const {
  const Name full{path_, name};
  const Descriptor file(::openat(descriptor_, name.c_str(), kReading));
  const std::uint64_t size = size_of_regular(file, full, limit);
  if (memory.size() < size) memory.resize(size);
  const std::span<std::uint8_t> bytes = std::span(memory).first(size);
  read_all(file, full, bytes);
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
