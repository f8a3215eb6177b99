// SPDX-License-Identifier: MIT
#include "kernels/vendor/cublaslt.h"

#include <map>
#include <mutex>

#include "kernels/require.h"
#include "kernels/vendor/library.h"

namespace convoy::vendor {
namespace {

bool find_all(const Library& library, CublasLt& blas) {
  bool complete = library.loaded();
#define CONVOY_FIND(name)                             \
  blas.name = library.find<decltype(&::name)>(#name); \
  complete = complete && blas.name != nullptr;
  CONVOY_CUBLASLT_FUNCTIONS(CONVOY_FIND)
#undef CONVOY_FIND
  return complete;
}

}  // namespace

const CublasLt* cublaslt() {
  static CublasLt blas;
  static const bool complete = find_all(vendor_library("cublaslt"), blas);
  return complete ? &blas : nullptr;
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

}  // namespace convoy::vendor
