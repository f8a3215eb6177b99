// SPDX-License-Identifier: MIT
#include "kernels/vendor/cublaslt.h"

#include <map>
#include <mutex>

#include "kernels/require.h"
#include "kernels/vendor/library.h"

namespace convoy::vendor {
namespace {

// The library without one of its functions is as good as missing.
void find_all(Library& library, CublasLt& functions) {
#define CONVOY_FIND(name)                                  \
  functions.name = library.find<decltype(&::name)>(#name); \
  if (library.loaded() && functions.name == nullptr) library.leave_out("it lacks " #name);
  CONVOY_CUBLASLT_FUNCTIONS(CONVOY_FIND)
#undef CONVOY_FIND
}

}  // namespace

const CublasLt* cublaslt() {
  static Library& library = vendor_library("cublaslt");
  static const CublasLt all = [] {
    CublasLt functions;
    find_all(library, functions);
    return functions;
  }();
  return library.loaded() ? &all : nullptr;
}

void check(const CublasLt& blas, cublasStatus_t status, const char* doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(fmt::format("cublaslt: {}: {} ({})", doing, blas.cublasLtGetStatusString(status),
                          blas.cublasLtGetStatusName(status)));
}

cublasLtHandle_t cublaslt_handle(const CublasLt& blas, const Device& device) {
  static std::mutex mutex;
  static std::map<int, cublasLtHandle_t> handles;
  const std::lock_guard lock(mutex);
  cublasLtHandle_t& handle = handles[device.index];
  if (handle == nullptr) check(blas, blas.cublasLtCreate(&handle), "opening the library");
  return handle;
}

const CublasLt* open_cublaslt(const Device& device) {
  const CublasLt* blas = cublaslt();
  if (blas == nullptr) return nullptr;
  try {
    cublaslt_handle(*blas, device);
    return blas;
  } catch (const Error& error) {
    vendor_library("cublaslt").leave_out(error.what());
    return nullptr;
  }
}

}  // namespace convoy::vendor
