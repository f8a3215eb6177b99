// SPDX-License-Identifier: MIT
#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/require.h"

namespace convoy::data {
namespace {

std::span<const std::uint8_t> map(int file, const std::string& name) {
  struct stat status {};
  if (::fstat(file, &status) != 0) {
    fail_data("{}: cannot be examined: {}", name, std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) fail_data("{}: expected a regular file, found another kind", name);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {};  // an empty mapping is an error
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) fail_data("{}: cannot be mapped: {}", name, std::strerror(errno));
  return {static_cast<const std::uint8_t*>(at), size};
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path.string()) {
  // Without O_NONBLOCK the open of a FIFO waits for a writer.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) fail_data("{}: cannot be opened: {}", path_, std::strerror(errno));
  try {
    bytes_ = map(file, path_);
  } catch (...) {
    ::close(file);
    throw;
  }
  ::close(file);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size());
}

}  // namespace convoy::data
