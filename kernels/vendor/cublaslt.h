// SPDX-License-Identifier: MIT
#pragma once
// cuBLASLt as it is used here: its functions, found at run time, a handle per device and owners of
// its descriptors. Its matrices are column-major.
//
//   const CublasLt* blas = cublaslt();     // null: no library, or one that lacks a function
//   MatrixLayout a(*blas, CUDA_R_16F, rows, columns, ld);
//   check(*blas, blas->cublasLtMatmul(...), "running a product");

#include <cublasLt.h>

#include <cstdint>

#include "kernels/base.h"

namespace convoy::vendor {

#define CONVOY_CUBLASLT_FUNCTIONS(X)      \
  X(cublasLtCreate)                       \
  X(cublasLtGetStatusName)                \
  X(cublasLtGetStatusString)              \
  X(cublasLtMatmul)                       \
  X(cublasLtMatmulAlgoGetHeuristic)       \
  X(cublasLtMatmulDescCreate)             \
  X(cublasLtMatmulDescDestroy)            \
  X(cublasLtMatmulDescSetAttribute)       \
  X(cublasLtMatmulPreferenceCreate)       \
  X(cublasLtMatmulPreferenceDestroy)      \
  X(cublasLtMatmulPreferenceSetAttribute) \
  X(cublasLtMatrixLayoutCreate)           \
  X(cublasLtMatrixLayoutDestroy)          \
  X(cublasLtMatrixLayoutSetAttribute)

struct CublasLt {
#define CONVOY_DECLARE(name) decltype(&::name) name = nullptr;
  CONVOY_CUBLASLT_FUNCTIONS(CONVOY_DECLARE)
#undef CONVOY_DECLARE
};

const CublasLt* cublaslt();

// Throws an Error with what was being done and the library's name and text for the status.
void check(const CublasLt& blas, cublasStatus_t status, const char* doing);

// Created once for each device and kept. The library takes the calling thread's device for it, so
// that must be `device`.
cublasLtHandle_t cublaslt_handle(const CublasLt& blas, const Device& device);

// The library with a handle for the device; null, and the library left out, where there is none:
// its build and the driver may not suit each other.
const CublasLt* open_cublaslt(const Device& device);

// The three kinds of descriptor: created, attributes set, destroyed.
template <class Handle>
class CublasLtObject {
 public:
  CublasLtObject(const CublasLtObject&) = delete;
  CublasLtObject& operator=(const CublasLtObject&) = delete;
  Handle get() const { return handle_; }

 protected:
  explicit CublasLtObject(const CublasLt& blas) : blas_(blas) {}
  ~CublasLtObject() = default;
  const CublasLt& blas_;
  Handle handle_ = nullptr;
};

class MatrixLayout : public CublasLtObject<cublasLtMatrixLayout_t> {
 public:
  MatrixLayout(const CublasLt& blas, cudaDataType type, std::int64_t rows, std::int64_t columns,
               std::int64_t ld)
      : CublasLtObject(blas) {
    check(blas_,
          blas_.cublasLtMatrixLayoutCreate(&handle_, type, static_cast<std::uint64_t>(rows),
                                           static_cast<std::uint64_t>(columns), ld),
          "describing a matrix");
  }
  ~MatrixLayout() { blas_.cublasLtMatrixLayoutDestroy(handle_); }
  template <class T>
  void set(cublasLtMatrixLayoutAttribute_t attribute, const T& value) {
    check(blas_, blas_.cublasLtMatrixLayoutSetAttribute(handle_, attribute, &value, sizeof value),
          "describing a matrix");
  }
};

class MatmulDescription : public CublasLtObject<cublasLtMatmulDesc_t> {
 public:
  MatmulDescription(const CublasLt& blas, cublasComputeType_t compute, cudaDataType scale)
      : CublasLtObject(blas) {
    check(blas_, blas_.cublasLtMatmulDescCreate(&handle_, compute, scale), "describing a product");
  }
  ~MatmulDescription() { blas_.cublasLtMatmulDescDestroy(handle_); }
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check(blas_, blas_.cublasLtMatmulDescSetAttribute(handle_, attribute, &value, sizeof value),
          "describing a product");
  }
};

class MatmulPreference : public CublasLtObject<cublasLtMatmulPreference_t> {
 public:
  explicit MatmulPreference(const CublasLt& blas) : CublasLtObject(blas) {
    check(blas_, blas_.cublasLtMatmulPreferenceCreate(&handle_), "choosing an algorithm");
  }
  ~MatmulPreference() { blas_.cublasLtMatmulPreferenceDestroy(handle_); }
  template <class T>
  void set(cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
    check(blas_,
          blas_.cublasLtMatmulPreferenceSetAttribute(handle_, attribute, &value, sizeof value),
          "choosing an algorithm");
  }
};

}  // namespace convoy::vendor
