// SPDX-License-Identifier: MIT
#include "kernels/vendor/library.h"

#include <dlfcn.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>

#include "kernels/require.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

const std::vector<LibraryKind>& known_libraries() {
  static const std::vector<LibraryKind> all = {
      {"cublaslt",
       "cuBLASLt",
       "CONVOY_CUBLASLT_PATH",
       {"libcublasLt.so.13", "libcublasLt.so.12"},
       "cublasLtGetVersion",
       {12, 13}},
      {"cudnn", "cuDNN", "CONVOY_CUDNN_PATH", {"libcudnn.so.9"}, "cudnnGetVersion", {9}},
      {"nccl", "NCCL", "CONVOY_NCCL_PATH", {"libnccl.so.2"}, "ncclGetVersion", {2}},
  };
  return all;
}

// Beside the bin/ of the first python3 in PATH. No link is followed: a virtual environment's
// python3 is a link out of it.
fs::path python_prefix() {
  const char* path = std::getenv("PATH");
  std::string rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const fs::path folder = rest.substr(0, colon);
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
    if (access((folder / "python3").c_str(), X_OK) == 0) return folder.parent_path();
  }
  return {};
}

// Of all Python versions there, the newest name first.
std::vector<fs::path> wheel_folders() {
  std::vector<fs::path> folders;
  const fs::path prefix = python_prefix();
  if (prefix.empty()) return folders;
  for (const char* lib : {"lib", "local/lib"}) {
    std::error_code error;  // no such folder: nothing to list
    for (const auto& entry : fs::directory_iterator(prefix / lib, error)) {
      if (!entry.path().filename().string().starts_with("python3")) continue;
      for (const char* packages : {"site-packages", "dist-packages"}) {
        for (const char* wheel : {"cu13", "cudnn", "cublas", "nccl"}) {
          folders.push_back(entry.path() / packages / "nvidia" / wheel / "lib");
        }
      }
    }
  }
  std::sort(folders.rbegin(), folders.rend());
  return folders;
}

// The file that a symbol came from: the loader looks in many places.
std::string file_of(const void* symbol, const std::string& asked) {
  Dl_info info{};
  const bool known = dladdr(symbol, &info) != 0 && info.dli_fname != nullptr;
  return known ? info.dli_fname : asked;
}

// cuDNN compiles some of its engines with NVRTC, which asks the loader for a library of its own by
// name alone. The loader does not look into Python's wheels: there it must be loaded beforehand, as
// PyTorch does.
void load_compilers_library(const fs::path& file) {
  const fs::path wheels = file.parent_path().parent_path().parent_path();
  for (const char* wheel : {"cu13", "cuda_nvrtc"}) {
    std::error_code error;  // no such wheel: nothing to load
    for (const auto& entry : fs::directory_iterator(wheels / wheel / "lib", error)) {
      if (!entry.path().filename().string().starts_with("libnvrtc-builtins.so.")) continue;
      dlopen(entry.path().c_str(), RTLD_NOW | RTLD_LOCAL);
    }
  }
}

// cuBLASLt, cuDNN 9 and NCCL number their versions alike: 91900 is 9.19.0.
std::size_t version_number(const LibraryKind& kind, void* symbol) {
  if (kind.version_symbol != "ncclGetVersion") {
    return reinterpret_cast<std::size_t (*)()>(symbol)();
  }
  int number = 0;
  return reinterpret_cast<int (*)(int*)>(symbol)(&number) == 0 ? static_cast<std::size_t>(number)
                                                               : 0;
}

}  // namespace

std::vector<std::string> library_candidates(const LibraryKind& kind) {
  const char* chosen = std::getenv(kind.variable.c_str());
  if (chosen != nullptr && *chosen != '\0') return {chosen};
  std::vector<std::string> files(kind.sonames);
  for (const std::string& soname : kind.sonames) files.push_back("/usr/local/cuda/lib64/" + soname);
  for (const fs::path& folder : wheel_folders()) {
    for (const std::string& soname : kind.sonames) {
      const std::string file = (folder / soname).string();
      if (access(file.c_str(), R_OK) == 0) files.push_back(file);
    }
  }
  return files;
}

Library::Library(const LibraryKind& kind) {
  for (const std::string& file : library_candidates(kind)) {
    if (take(kind, file)) return;
  }
}

// Of several reasons the one about a file that is there says more than "no such file".
bool Library::take(const LibraryKind& kind, const std::string& file) {
  void* const handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* error = dlerror();
    const bool there = access(file.c_str(), F_OK) == 0;
    if (why_.empty() || there) why_ = error == nullptr ? file + " does not load" : error;
    return false;
  }
  void* const symbol = dlsym(handle, kind.version_symbol.c_str());
  if (symbol == nullptr) {
    why_ = fmt::format("{}: expected the function {}, found none", file, kind.version_symbol);
    return false;
  }
  const std::size_t number = version_number(kind, symbol);
  const std::string version =
      fmt::format("{}.{}.{}", number / 10000, number % 10000 / 100, number % 100);
  const auto suits = [&](int major) { return number / 10000 == static_cast<std::size_t>(major); };
  if (std::none_of(kind.majors.begin(), kind.majors.end(), suits)) {
    why_ = fmt::format("{}: expected {} version {}, found {}", file_of(symbol, file), kind.title,
                       fmt::join(kind.majors, " or "), version);
    return false;
  }
  handle_ = handle;
  version_ = version;
  file_ = file_of(symbol, file);
  load_compilers_library(file_);
  why_.clear();
  return true;
}

void* Library::address(const char* symbol) const {
  return handle_ == nullptr ? nullptr : dlsym(handle_, symbol);
}

Library& vendor_library(const std::string& key) {
  static std::mutex mutex;
  static std::vector<std::pair<std::string, std::unique_ptr<Library>>> looked_for;
  const std::lock_guard lock(mutex);
  for (const auto& [name, library] : looked_for) {
    if (name == key) return *library;
  }
  for (const LibraryKind& kind : known_libraries()) {
    if (kind.key != key) continue;
    looked_for.emplace_back(key, std::make_unique<Library>(kind));
    return *looked_for.back().second;
  }
  fail("vendor library: expected cublaslt, cudnn or nccl, found {}", key);
}

std::vector<VendorLibrary> vendor_libraries() {
  std::vector<VendorLibrary> all;
  for (const LibraryKind& kind : known_libraries()) {
    const Library& library = vendor_library(kind.key);
    all.push_back({kind.title, library.loaded(),
                   library.loaded() ? library.version() + " in " + library.file()
                                    : "not used: " + library.why()});
  }
  return all;
}

namespace vendor {

namespace {
std::atomic<bool> allowed = false;
}

void allow_nondeterministic(bool allow) { allowed = allow; }
bool nondeterministic_allowed() { return allowed; }

}  // namespace vendor
}  // namespace convoy
