// SPDX-License-Identifier: MIT
// Stands in for cuBLASLt where there is no GPU: the calls that ours makes, as NVIDIA's
// documentation has them, on host memory. Matrices are column-major; operands of a wrong size or an
// attribute that nobody knows is an error, as there. It offers three algorithms: one without and
// one with a workspace, and between them one that it says cannot run.
#include <cublasLt.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "kernels/half.h"

namespace {

using Bytes = std::vector<unsigned char>;

// Attributes as they were set, by number.
struct Attributes {
  std::map<int, Bytes> values;

  cublasStatus_t set(int attribute, const void* value, std::size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(value);
    values[attribute] = Bytes(bytes, bytes + size);
    return CUBLAS_STATUS_SUCCESS;
  }
  // False if one of another size was set.
  template <class T>
  bool get(int attribute, T& value) const {
    const auto found = values.find(attribute);
    if (found == values.end()) return true;
    if (found->second.size() != sizeof value) return false;
    std::memcpy(&value, found->second.data(), sizeof value);
    return true;
  }
};

struct Layout {
  cudaDataType type;
  std::int64_t rows, columns, ld;
  Attributes attributes;
};
struct Description {
  cublasComputeType_t compute;
  cudaDataType scale;
  Attributes attributes;
};

struct Batch {
  std::int32_t count = 1;
  std::int64_t stride = 0;
  bool read(const Layout& l) {
    return l.attributes.get(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count) &&
           l.attributes.get(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }
};

struct Settings {
  std::int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  bool read(const Description& d) {
    return d.attributes.get(CUBLASLT_MATMUL_DESC_TRANSA, transpose_a) &&
           d.attributes.get(CUBLASLT_MATMUL_DESC_TRANSB, transpose_b) &&
           d.attributes.get(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue) &&
           d.attributes.get(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
};

float load(const void* data, cudaDataType type, std::int64_t i) {
  if (type == CUDA_R_16F) return convoy::to_float(static_cast<const convoy::F16*>(data)[i]);
  if (type == CUDA_R_16BF) return convoy::to_float(static_cast<const convoy::BF16*>(data)[i]);
  return static_cast<const float*>(data)[i];
}
void store(void* data, cudaDataType type, std::int64_t i, float value) {
  if (type == CUDA_R_16F) {
    static_cast<convoy::F16*>(data)[i] = convoy::from_float<convoy::F16>(value);
  } else if (type == CUDA_R_16BF) {
    static_cast<convoy::BF16*>(data)[i] = convoy::from_float<convoy::BF16>(value);
  } else {
    static_cast<float*>(data)[i] = value;
  }
}

// op(X)(i, j) of a column-major X.
float element(const void* data, const Layout& l, std::int64_t start, bool transposed,
              std::int64_t i, std::int64_t j) {
  return load(data, l.type, start + (transposed ? j + i * l.ld : i + j * l.ld));
}

// What the documentation demands of the shapes, leading dimensions and types.
bool fits(const Description& d, const Layout& a, const Layout& b, const Layout& c) {
  Settings s;
  if (!s.read(d) || d.compute != CUBLAS_COMPUTE_32F || d.scale != CUDA_R_32F) return false;
  if (a.ld < a.rows || b.ld < b.rows || c.ld < c.rows) return false;
  const bool ta = s.transpose_a == CUBLAS_OP_T, tb = s.transpose_b == CUBLAS_OP_T;
  if ((ta ? a.columns : a.rows) != c.rows || (tb ? b.rows : b.columns) != c.columns) return false;
  if ((ta ? a.rows : a.columns) != (tb ? b.columns : b.rows)) return false;
  return a.type == b.type && (c.type == a.type || c.type == CUDA_R_32F);
}

constexpr std::size_t kScratch = 4096;

}  // namespace

extern "C" {

std::size_t cublasLtGetVersion() { return 130100; }

const char* cublasLtGetStatusName(cublasStatus_t status) {
  return status == CUBLAS_STATUS_INVALID_VALUE ? "CUBLAS_STATUS_INVALID_VALUE" : "another";
}
const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_INVALID_VALUE ? "an unsupported value" : "something else";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  static int opened = 0;
  *handle = reinterpret_cast<cublasLtHandle_t>(&opened);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t ld) {
  *layout = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{
      type, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), ld, {}});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete reinterpret_cast<Layout*>(layout);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t size) {
  return reinterpret_cast<Layout*>(layout)->attributes.set(attribute, value, size);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description,
                                        cublasComputeType_t compute, cudaDataType_t scale) {
  *description = reinterpret_cast<cublasLtMatmulDesc_t>(new Description{compute, scale, {}});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  delete reinterpret_cast<Description*>(description);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t size) {
  return reinterpret_cast<Description*>(description)->attributes.set(attribute, value, size);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new Attributes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete reinterpret_cast<Attributes*>(preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t size) {
  return reinterpret_cast<Attributes*>(preference)->set(attribute, value, size);
}

// How often it was asked: a plan for the same op must not ask again.
int fake_heuristic_calls = 0;

// The number of an algorithm is the first word of its data.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* count) {
  ++fake_heuristic_calls;
  *count = 0;
  std::uint64_t workspace = 0;
  if (requested < 3 ||
      !fits(*reinterpret_cast<Description*>(description), *reinterpret_cast<Layout*>(a),
            *reinterpret_cast<Layout*>(b), *reinterpret_cast<Layout*>(c)) ||
      !reinterpret_cast<Attributes*>(preference)
           ->get(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace) ||
      workspace < kScratch) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  for (int i = 0; i < 3; ++i) {
    results[i] = {};
    results[i].algo.data[0] = static_cast<std::uint64_t>(i);
    results[i].workspaceSize = i == 2 ? kScratch : 0;
    results[i].state = i == 1 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
  }
  *count = 3;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t description, const void* alpha,
                              const void* a_data, cublasLtMatrixLayout_t a_layout,
                              const void* b_data, cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void* c_data, cublasLtMatrixLayout_t c_layout, void* d_data,
                              cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t* algorithm,
                              void* workspace, std::size_t workspace_size, cudaStream_t) {
  const auto& a = *reinterpret_cast<Layout*>(a_layout);
  const auto& b = *reinterpret_cast<Layout*>(b_layout);
  const auto& c = *reinterpret_cast<Layout*>(c_layout);
  const auto& d = *reinterpret_cast<Description*>(description);
  Settings s;
  Batch of_a, of_b, of_c;
  if (!fits(d, a, b, c) || !s.read(d) || !of_a.read(a) || !of_b.read(b) || !of_c.read(c) ||
      of_a.count != of_c.count || of_b.count != of_c.count || algorithm->data[0] == 1) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (algorithm->data[0] == 2) {
    if (workspace_size < kScratch || reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
    std::memset(workspace, 0xff, kScratch);
  }
  const bool ta = s.transpose_a == CUBLAS_OP_T, tb = s.transpose_b == CUBLAS_OP_T;
  const std::int64_t depth = ta ? a.rows : a.columns;
  const float factor = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  for (std::int64_t n = 0; n < of_c.count; ++n) {
    for (std::int64_t i = 0; i < c.rows; ++i) {
      for (std::int64_t j = 0; j < c.columns; ++j) {
        float sum = 0;
        for (std::int64_t k = 0; k < depth; ++k) {
          sum += element(a_data, a, n * of_a.stride, ta, i, k) *
                 element(b_data, b, n * of_b.stride, tb, k, j);
        }
        sum *= factor;
        if (keep != 0) sum += keep * element(c_data, c, n * of_c.stride, false, i, j);
        if ((s.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0) sum += load(s.bias, c.type, i);
        if ((s.epilogue & CUBLASLT_EPILOGUE_RELU) != 0 && sum < 0) sum = 0;
        store(d_data, c.type, n * of_c.stride + i + j * c.ld, sum);
      }
    }
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
