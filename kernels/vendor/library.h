// SPDX-License-Identifier: MIT
#pragma once
// The vendor's libraries, looked for when a program first needs one. No program links them: where
// one is missing its variants are not listed, and everything else works. Each is searched for, in
// this order:
//
//   $CONVOY_CUBLASLT_PATH, $CONVOY_CUDNN_PATH, $CONVOY_NCCL_PATH     a file; nothing else is tried
//   what the loader finds       LD_LIBRARY_PATH, ldconfig
//   /usr/local/cuda/lib64
//   Python wheels               lib/python3.*/site-packages/nvidia/{cu13,cudnn,cublas,nccl}/lib,
//                               beside the bin/ of the first python3 in PATH
//
//   Library& blas = vendor_library("cublaslt");
//   const auto matmul = blas.find<decltype(&cublasLtMatmul)>("cublasLtMatmul");   // null: not
//   there

#include <string>
#include <utility>
#include <vector>

namespace convoy {

// What is known of a library before it is looked for.
struct LibraryKind {
  std::string key;                   // "cublaslt"
  std::string title;                 // "cuBLASLt"
  std::string variable;              // of the environment, with the path of a file
  std::vector<std::string> sonames;  // of the versions that suit, the newest first
  std::string version_symbol;        // a function of no argument, except NCCL's
  std::vector<int> majors;           // versions that this build's calls suit
};

// Every file that is tried, in order.
std::vector<std::string> library_candidates(const LibraryKind& kind);

class Library {
 public:
  // Takes the first candidate that loads and has a version that suits. Never throws: what went
  // wrong is in why().
  explicit Library(const LibraryKind& kind);
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  bool loaded() const { return handle_ != nullptr && why_.empty(); }
  const std::string& file() const { return file_; }        // where it was found
  const std::string& version() const { return version_; }  // "9.19.0"
  const std::string& why() const { return why_; }          // nothing was found, or it is no use

  // It was found, and turned out not to work here: from now on it is as good as missing.
  void leave_out(std::string why) { why_ = std::move(why); }

  template <class Function>
  Function find(const char* symbol) const {
    return reinterpret_cast<Function>(address(symbol));
  }

 private:
  bool take(const LibraryKind& kind, const std::string& file);
  void* address(const char* symbol) const;

  std::string file_, version_, why_;
  void* handle_ = nullptr;  // never closed: what it left in the process may still run at exit
};

// "cublaslt", "cudnn" or "nccl", looked for once.
Library& vendor_library(const std::string& key);

// What `convoy doctor` says of each: "13.1.0 in /usr/local/cuda/lib64/libcublasLt.so.13", or why it
// was not found.
struct VendorLibrary {
  std::string title;
  bool loaded = false;
  std::string text;
};
std::vector<VendorLibrary> vendor_libraries();

namespace vendor {

// Whether engines that may give other bits each time are variants too. Benchmarks may allow them:
// for the whole process, before anything is planned.
void allow_nondeterministic(bool allow);
bool nondeterministic_allowed();

}  // namespace vendor

}  // namespace convoy
