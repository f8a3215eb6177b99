// SPDX-License-Identifier: MIT
// cuBLASLt is column-major, and a row-major matrix is its transpose in columns: so it is asked for
// c' = op(b)' op(a)', [N, M], with a and b in each other's places and their transposes as they are.
// The bias of c's columns is one value per row there, which is what its epilogue adds.
#include "kernels/vendor/gemm.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/vendor/cublaslt.h"
#include "kernels/vendor/names.h"

namespace convoy::vendor {
namespace {

// What the library recommends for Hopper, and more than enough before.
constexpr std::uint64_t kWorkspaceBytes = std::uint64_t{32} << 20;
constexpr std::size_t kAlignment = 256;  // of the workspace, and the most that operands can gain by

DType out_dtype(const Gemm& op) { return op.out_dtype.value_or(op.dtype); }

cudaDataType cuda_type(DType dtype) {
  if (dtype == DType::f16) return CUDA_R_16F;
  return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

std::uint32_t alignment_of(const void* place) {
  const auto address = reinterpret_cast<std::uintptr_t>(place) | kAlignment;
  return static_cast<std::uint32_t>(address & (~address + 1));
}

// Statistics are ours alone. The library's bias has the result's dtype, its epilogue reads it in
// packs whose alignment no preference names, and it adds one matrix: the residual or what was in c.
bool suits(const Gemm& op) {
  const Epilogue& e = op.epilogue;
  if (op.batch * op.M * op.N * op.K == 0 || e.statistics.mean != nullptr) return false;
  if (statistics_dtype(op.dtype) != DType::f32) return false;
  if (e.residual != nullptr && op.accumulate) return false;
  return e.bias == nullptr || (out_dtype(op) == op.dtype && alignment_of(e.bias) >= 16);
}

// The matrix that is added, laid out like c.
const void* addend(const Gemm& op) {
  return op.epilogue.residual != nullptr ? op.epilogue.residual : op.c;
}

// One product in the library's words; what differs between ops of one key is set by run.
struct Product {
  Product(const CublasLt& blas, const Gemm& op)
      : a(blas, cuda_type(op.dtype), op.transpose_b ? op.K : op.N, op.transpose_b ? op.N : op.K,
          op.ldb),
        b(blas, cuda_type(op.dtype), op.transpose_a ? op.M : op.K, op.transpose_a ? op.K : op.M,
          op.lda),
        c(blas, cuda_type(out_dtype(op)), op.N, op.M, op.ldc) {
    set_batch(a, op.batch, op.stride_b);
    set_batch(b, op.batch, op.stride_a);
    set_batch(c, op.batch, op.stride_c);
  }
  static void set_batch(MatrixLayout& layout, std::int64_t batch, std::int64_t stride) {
    layout.set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(batch));
    layout.set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }

  MatrixLayout a, b, c;  // b, a and c of the op
  std::vector<cublasLtMatmulHeuristicResult_t> algorithms;
};

// Not kept: the bias' place is part of it.
class Description : public MatmulDescription {
 public:
  Description(const CublasLt& blas, const Gemm& op)
      : MatmulDescription(blas, CUBLAS_COMPUTE_32F, CUDA_R_32F) {
    set(CUBLASLT_MATMUL_DESC_TRANSA, op.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, op.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    const bool relu = op.epilogue.activation == Activation::relu;
    const bool bias = op.epilogue.bias != nullptr;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE,
        bias ? (relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS)
             : (relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT));
    if (bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, op.epilogue.bias);
  }
};

// No sums in the result's dtype: a half result is rounded once.
void find_algorithms(const CublasLt& blas, const Gemm& op, const Device& device, Product& product) {
  MatmulPreference preference(blas);
  preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  preference.set(
      CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(op.b));
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(op.a));
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(addend(op)));
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(op.c));
  const Description description(blas, op);
  product.algorithms.resize(kNames.size());
  int found = 0;
  const cublasStatus_t status = blas.cublasLtMatmulAlgoGetHeuristic(
      cublaslt_handle(blas, device), description.get(), product.a.get(), product.b.get(),
      product.c.get(), product.c.get(), preference.get(), static_cast<int>(kNames.size()),
      product.algorithms.data(), &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) found = 0;
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) check(blas, status, "choosing an algorithm");
  product.algorithms.resize(static_cast<std::size_t>(found));
  std::erase_if(product.algorithms,
                [](const auto& result) { return result.state != CUBLAS_STATUS_SUCCESS; });
}

// Everything that the choice of an algorithm depends on.
using Key = std::array<std::int64_t, 22>;
Key key_of(const Gemm& op, const Device& device) {
  return {device.index,
          op.M,
          op.N,
          op.K,
          op.batch,
          op.transpose_a,
          op.transpose_b,
          op.lda,
          op.ldb,
          op.ldc,
          op.stride_a,
          op.stride_b,
          op.stride_c,
          op.accumulate,
          static_cast<std::int64_t>(op.dtype),
          static_cast<std::int64_t>(out_dtype(op)),
          alignment_of(op.a),
          alignment_of(op.b),
          alignment_of(op.c),
          op.epilogue.bias == nullptr ? 0 : alignment_of(op.epilogue.bias),
          op.epilogue.residual == nullptr ? 0 : alignment_of(op.epilogue.residual),
          static_cast<std::int64_t>(op.epilogue.activation)};
}

// Never destroyed: plans point to it.
const Product& product_of(const CublasLt& blas, const Gemm& op, const Device& device) {
  static std::mutex mutex;
  static auto& products = *new std::map<Key, std::unique_ptr<Product>>();
  const std::lock_guard lock(mutex);
  std::unique_ptr<Product>& product = products[key_of(op, device)];
  if (product == nullptr) {
    auto made = std::make_unique<Product>(blas, op);
    find_algorithms(blas, op, device, *made);
    product = std::move(made);
  }
  return *product;
}

void* aligned(void* workspace) {
  const auto address = reinterpret_cast<std::uintptr_t>(workspace);
  return reinterpret_cast<void*>((address + kAlignment - 1) / kAlignment * kAlignment);
}

}  // namespace

std::vector<const char*> variants(const Gemm& op, const Device& device, std::size_t limit) {
  if (!suits(op) || limit == 0) return {};
  const CublasLt* blas = open_cublaslt(device);
  if (blas == nullptr) return {};
  const std::size_t count = std::min(product_of(*blas, op, device).algorithms.size(), limit);
  return {kNames.begin(), kNames.begin() + static_cast<std::ptrdiff_t>(count)};
}

Plan plan(const Gemm& op, const Device& device, std::string_view variant) {
  const CublasLt* blas = open_cublaslt(device);
  const std::size_t index = index_of(variant);
  const Product* product = nullptr;
  if (blas != nullptr && suits(op)) product = &product_of(*blas, op, device);
  require(product != nullptr && index < product->algorithms.size(),
          "gemm: variant expects one that cuBLASLt has for the op, found {}", variant);
  const std::size_t bytes = product->algorithms[index].workspaceSize;
  return {.variant = kNames[index],
          .workspace_bytes = bytes == 0 ? 0 : bytes + kAlignment,
          .state = product};
}

void run(const Gemm& op, const Plan& plan, void* workspace, const Stream& stream) {
  const CublasLt& blas = *cublaslt();
  const auto& product = *static_cast<const Product*>(plan.state);
  const cublasLtMatmulHeuristicResult_t& chosen = product.algorithms[index_of(plan.variant)];
  const Description description(blas, op);
  const float alpha = 1, beta = op.accumulate || op.epilogue.residual != nullptr ? 1 : 0;
  check(
      blas,
      blas.cublasLtMatmul(cublaslt_handle(blas, stream.device), description.get(), &alpha, op.b,
                          product.a.get(), op.a, product.b.get(), &beta, addend(op),
                          product.c.get(), op.c, product.c.get(), &chosen.algo, aligned(workspace),
                          chosen.workspaceSize, static_cast<cudaStream_t>(stream.handle)),
      "running a product");
}

}  // namespace convoy::vendor
