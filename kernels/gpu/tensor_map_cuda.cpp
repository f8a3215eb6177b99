// SPDX-License-Identifier: MIT
#include <cuda.h>

#include "kernels/gpu/tensor_map.h"
#include "kernels/require.h"

namespace convoy::on_cuda {
namespace {

// Looked up and not linked: the driver is not there where the program is built.
template <class Function>
Function driver_function(const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  check(cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result),
        "looking up a function of the driver");
  require(result == cudaDriverEntryPointSuccess,
          "tensor map: expects a driver that has {}, found one without", name);
  return reinterpret_cast<Function>(found);
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

CUtensorMapSwizzle swizzle_of(Swizzle swizzle) {
  return swizzle == Swizzle::bytes128 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE;
}

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) &&
              alignof(TensorMap) >= alignof(CUtensorMap));
CUtensorMap* opaque(TensorMap& map) { return reinterpret_cast<CUtensorMap*>(&map); }

struct Layout {
  cuuint64_t extent[4], stride_bytes[4];

  template <class Spec>
  Layout(const Spec& spec, int rank) {
    for (int d = 0; d < rank; ++d) {
      extent[d] = static_cast<cuuint64_t>(spec.extent[d]);
      stride_bytes[d] = static_cast<cuuint64_t>(spec.stride[d]) * size_of(spec.dtype);
    }
  }
};

}  // namespace

TensorMap encode(const TensorMapSpec& spec) {
  static const auto call =
      driver_function<decltype(&cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
  const Layout layout(spec, spec.rank);
  cuuint32_t box[4], step[4] = {1, 1, 1, 1};
  for (int d = 0; d < spec.rank; ++d) box[d] = static_cast<cuuint32_t>(spec.box[d]);
  TensorMap map;
  const CUresult result =
      call(opaque(map), data_type(spec.dtype), static_cast<cuuint32_t>(spec.rank),
           const_cast<void*>(spec.data), layout.extent, layout.stride_bytes + 1, box, step,
           CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(spec.swizzle),
           CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(result == CUDA_SUCCESS, "tensor map: cuTensorMapEncodeTiled expects success, found {}",
          static_cast<int>(result));
  return map;
}

// Corners in the order of the extents, W first, although the driver's manual names them {H, W}.
TensorMap encode(const Im2colMapSpec& spec) {
  static const auto call =
      driver_function<decltype(&cuTensorMapEncodeIm2col)>("cuTensorMapEncodeIm2col");
  const Layout layout(spec, 4);
  int lower[2], upper[2];
  cuuint32_t step[4] = {1, 1, 1, 1};
  for (int d = 0; d < 2; ++d) {
    lower[d] = static_cast<int>(spec.walk.lower[d]);
    upper[d] = static_cast<int>(spec.walk.upper[d]);
    step[d + 1] = static_cast<cuuint32_t>(spec.walk.step[d]);
  }
  TensorMap map;
  const CUresult result =
      call(opaque(map), data_type(spec.dtype), 4, const_cast<void*>(spec.data), layout.extent,
           layout.stride_bytes + 1, lower, upper, static_cast<cuuint32_t>(spec.channels),
           static_cast<cuuint32_t>(spec.pixels), step, CU_TENSOR_MAP_INTERLEAVE_NONE,
           swizzle_of(spec.swizzle), CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
           CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(result == CUDA_SUCCESS, "tensor map: cuTensorMapEncodeIm2col expects success, found {}",
          static_cast<int>(result));
  return map;
}

}  // namespace convoy::on_cuda
