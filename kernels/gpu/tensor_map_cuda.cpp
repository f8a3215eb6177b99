// SPDX-License-Identifier: MIT
#include <cuda.h>

#include "kernels/gpu/tensor_map.h"
#include "kernels/require.h"

namespace convoy::on_cuda {
namespace {

// Looked up and not linked: the driver is not there where the program is built.
auto encode_tiled() {
  static const auto function = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000,
                                           cudaEnableDefault, &result),
          "looking up cuTensorMapEncodeTiled");
    require(result == cudaDriverEntryPointSuccess,
            "tensor map: expects a driver that has cuTensorMapEncodeTiled, found one without");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
  }();
  return function;
}

CUtensorMapDataType data_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    case DType::f16:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case DType::bf16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case DType::u8:
      return CU_TENSOR_MAP_DATA_TYPE_UINT8;
    case DType::i32:
      return CU_TENSOR_MAP_DATA_TYPE_INT32;
    case DType::i64:
      return CU_TENSOR_MAP_DATA_TYPE_INT64;
    case DType::f64:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT64;
  }
  throw Error(
      fmt::format("tensor map: dtype expects one of ours, found {}", static_cast<int>(dtype)));
}

}  // namespace

TensorMap encode(const TensorMapSpec& spec) {
  static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) &&
                alignof(TensorMap) >= alignof(CUtensorMap));
  cuuint64_t extent[4], stride_bytes[4];
  cuuint32_t box[4], step[4] = {1, 1, 1, 1};
  for (int d = 0; d < spec.rank; ++d) {
    extent[d] = static_cast<cuuint64_t>(spec.extent[d]);
    stride_bytes[d] = static_cast<cuuint64_t>(spec.stride[d]) * size_of(spec.dtype);
    box[d] = static_cast<cuuint32_t>(spec.box[d]);
  }
  TensorMap map;
  const CUresult result = encode_tiled()(
      reinterpret_cast<CUtensorMap*>(&map), data_type(spec.dtype),
      static_cast<cuuint32_t>(spec.rank), const_cast<void*>(spec.data), extent, stride_bytes + 1,
      box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
      spec.swizzle == Swizzle::bytes128 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(result == CUDA_SUCCESS, "tensor map: cuTensorMapEncodeTiled expects success, found {}",
          static_cast<int>(result));
  return map;
}

}  // namespace convoy::on_cuda
