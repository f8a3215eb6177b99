// SPDX-License-Identifier: MIT
#include "tests/support/file_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>

namespace convoy::testing {
namespace {

FileCalls* watching = nullptr;

}  // namespace

FileCalls::FileCalls(std::filesystem::path root) : root_(std::move(root)) { watching = this; }

FileCalls::~FileCalls() { watching = nullptr; }

bool FileCalls::watches(const std::filesystem::path& path) const {
  return std::mismatch(root_.begin(), root_.end(), path.begin(), path.end()).first == root_.end();
}

FileCalls::Answer FileCalls::ask(FileOperation operation, std::size_t bytes) {
  if (over_) return {.is_done = false, .error = EIO};
  Answer answer;
  if (count_++ == plan_.call) {
    failed_ = operation;
    over_ = plan_.fault == FileFault::end_before;
    if (over_) return {.is_done = false, .error = EIO};
    if (plan_.fault == FileFault::error) return {.is_done = false, .error = plan_.error};
    answer.most = (bytes + 1) / 2;
  }
  if (operation == FileOperation::write && plan_.space) {
    answer.most = std::min<std::size_t>(answer.most, *plan_.space);
    if (answer.most == 0 && bytes > 0) return {.is_done = false, .error = ENOSPC};
    *plan_.space -= std::min(answer.most, bytes);
  }
  return answer;
}

void FileCalls::note(FileCall call) { done_.push_back(std::move(call)); }

namespace {

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
#define CONVOY_NEXT(function) next<decltype(::function)>(#function)

std::filesystem::path path_of(int descriptor) {
  char text[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t size = readlink(link.c_str(), text, sizeof text);
  return size > 0 ? std::filesystem::path(std::string(text, static_cast<std::size_t>(size)))
                  : std::filesystem::path();
}

std::filesystem::path path_at(int folder, const char* name) {
  if (name[0] == '/') return name;
  return folder == AT_FDCWD ? std::filesystem::absolute(name) : path_of(folder) / name;
}

bool is_watched(const std::filesystem::path& path) {
  return watching != nullptr && watching->watches(path);
}

int refused(const FileCalls::Answer& answer) {
  errno = answer.error;
  return -1;
}

template <class Do>
int changing(FileOperation operation, const std::filesystem::path& path,
             const std::filesystem::path& to, Do&& call) {
  if (!is_watched(path)) return call();
  if (const auto answer = watching->ask(operation); !answer.is_done) return refused(answer);
  const int result = call();
  const int error = errno;
  if (result >= 0) watching->note({operation, path, to});
  errno = error;
  return result;
}

}  // namespace
}  // namespace convoy::testing

using convoy::testing::changing;
using convoy::testing::FileOperation;
using convoy::testing::is_watched;
using convoy::testing::path_at;
using convoy::testing::path_of;
using convoy::testing::refused;
using convoy::testing::watching;

extern "C" {

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  const auto call = [&] { return convoy::testing::CONVOY_NEXT(open)(path, flags, mode); };
  if ((flags & O_CREAT) == 0) return call();
  return changing(FileOperation::create, path_at(AT_FDCWD, path), {}, call);
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
  auto* const call = convoy::testing::CONVOY_NEXT(write);
  if (watching == nullptr) return call(descriptor, bytes, count);
  const auto path = path_of(descriptor);
  if (!is_watched(path)) return call(descriptor, bytes, count);
  const auto answer = watching->ask(FileOperation::write, count);
  if (!answer.is_done) return refused(answer);
  const off_t offset = lseek(descriptor, 0, SEEK_CUR);
  const ssize_t written = call(descriptor, bytes, std::min(count, answer.most));
  if (written > 0) {
    watching->note({FileOperation::write,
                    path,
                    {},
                    static_cast<std::uint64_t>(offset),
                    {static_cast<const char*>(bytes), static_cast<std::size_t>(written)}});
  }
  return written;
}

int fsync(int descriptor) {
  const auto path = watching == nullptr ? std::filesystem::path() : path_of(descriptor);
  return changing(FileOperation::sync, path, {}, [] { return 0; });
}

// What cannot be written is told here by some file systems; the descriptor is gone all the same.
int close(int descriptor) {
  auto* const call = convoy::testing::CONVOY_NEXT(close);
  const bool writes = watching != nullptr && (fcntl(descriptor, F_GETFL) & O_ACCMODE) != O_RDONLY;
  const auto path = writes ? path_of(descriptor) : std::filesystem::path();
  const int result = call(descriptor);
  if (!writes || !is_watched(path)) return result;
  return changing(FileOperation::close, path, {}, [&] { return result; });
}

int rename(const char* from, const char* to) noexcept {
  return changing(FileOperation::rename, path_at(AT_FDCWD, from), path_at(AT_FDCWD, to),
                  [&] { return convoy::testing::CONVOY_NEXT(rename)(from, to); });
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned int flags) noexcept {
  const auto operation =
      (flags & RENAME_EXCHANGE) != 0 ? FileOperation::exchange : FileOperation::rename;
  return changing(operation, path_at(from_folder, from), path_at(to_folder, to), [&] {
    return convoy::testing::CONVOY_NEXT(renameat2)(from_folder, from, to_folder, to, flags);
  });
}

int mkdir(const char* path, mode_t mode) noexcept {
  return changing(FileOperation::make_folder, path_at(AT_FDCWD, path), {},
                  [&] { return convoy::testing::CONVOY_NEXT(mkdir)(path, mode); });
}

int unlink(const char* path) noexcept {
  return changing(FileOperation::remove, path_at(AT_FDCWD, path), {},
                  [&] { return convoy::testing::CONVOY_NEXT(unlink)(path); });
}

int rmdir(const char* path) noexcept {
  return changing(FileOperation::remove, path_at(AT_FDCWD, path), {},
                  [&] { return convoy::testing::CONVOY_NEXT(rmdir)(path); });
}

int remove(const char* path) noexcept {
  return changing(FileOperation::remove, path_at(AT_FDCWD, path), {},
                  [&] { return convoy::testing::CONVOY_NEXT(remove)(path); });
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  return changing(FileOperation::remove, path_at(folder, path), {},
                  [&] { return convoy::testing::CONVOY_NEXT(unlinkat)(folder, path, flags); });
}

}  // extern "C"
