// SPDX-License-Identifier: MIT
// The driver's functions for tensor maps, with what its manual asks of their arguments.
#include <cuda.h>
#include <cuda_runtime_api.h>

#include <string_view>

#include "tests/kernels/ptx/cudart/state.h"
#include "tests/kernels/ptx/tensor_map.h"

namespace convoy::ptx {
namespace {

std::size_t size_of(CUtensorMapDataType type) {
  switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8:
      return 1;
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16:
      return 2;
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32:
      return 4;
    case CU_TENSOR_MAP_DATA_TYPE_INT64:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT64:
      return 8;
    default:
      return 0;
  }
}

// Bytes of a line; -1: not known.
int line_of(CUtensorMapSwizzle swizzle) {
  switch (swizzle) {
    case CU_TENSOR_MAP_SWIZZLE_NONE:
      return 0;
    case CU_TENSOR_MAP_SWIZZLE_32B:
      return 32;
    case CU_TENSOR_MAP_SWIZZLE_64B:
      return 64;
    case CU_TENSOR_MAP_SWIZZLE_128B:
      return 128;
    default:
      return -1;
  }
}

struct Tensor {
  CUtensorMapDataType type;
  cuuint32_t rank;
  void* data;
  const cuuint64_t *extent, *stride;
  const cuuint32_t* step;
  CUtensorMapInterleave interleave;
  CUtensorMapSwizzle swizzle;
};

// False: the driver would refuse it.
bool describe(TensorMapInfo& m, const Tensor& t) {
  m.rank = static_cast<int>(t.rank), m.element = size_of(t.type);
  m.data = static_cast<std::uint8_t*>(t.data), m.swizzle = line_of(t.swizzle);
  bool good = t.rank >= 1 && t.rank <= 5 && m.element > 0 && m.swizzle >= 0 &&
              reinterpret_cast<std::uintptr_t>(t.data) % 16 == 0 &&
              t.interleave == CU_TENSOR_MAP_INTERLEAVE_NONE;
  for (cuuint32_t d = 0; good && d < t.rank; ++d) {
    m.extent[d] = static_cast<std::int64_t>(t.extent[d]), m.step[d] = t.step[d];
    good =
        t.extent[d] >= 1 && t.extent[d] <= cuuint64_t{1} << 32 && t.step[d] >= 1 && t.step[d] <= 8;
    if (d == 0) continue;
    m.stride[d] = static_cast<std::int64_t>(t.stride[d - 1]);
    good = good && t.stride[d - 1] % 16 == 0 && t.stride[d - 1] < cuuint64_t{1} << 40;
  }
  return good;
}

// What lies together in shared memory: whole units of 16 bytes, at most a line of the swizzle.
bool fits_line(const TensorMapInfo& m, std::size_t elements) {
  const std::size_t bytes = elements * m.element;
  return bytes % 16 == 0 && (m.swizzle == 0 || bytes <= static_cast<std::size_t>(m.swizzle));
}

CUresult encode_tiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data,
                      const cuuint64_t* extent, const cuuint64_t* stride, const cuuint32_t* box,
                      const cuuint32_t* step, CUtensorMapInterleave interleave,
                      CUtensorMapSwizzle swizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  TensorMapInfo m;
  bool good = describe(m, {type, rank, data, extent, stride, step, interleave, swizzle});
  for (cuuint32_t d = 0; good && d < rank; ++d) {
    m.box[d] = box[d];
    good = box[d] >= 1 && box[d] <= 256;
  }
  if (!good || !fits_line(m, box[0])) return CUDA_ERROR_INVALID_VALUE;
  write_map(m, map);
  return CUDA_SUCCESS;
}

CUresult encode_im2col(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank, void* data,
                       const cuuint64_t* extent, const cuuint64_t* stride, const int* lower,
                       const int* upper, cuuint32_t channels, cuuint32_t pixels,
                       const cuuint32_t* step, CUtensorMapInterleave interleave,
                       CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                       CUtensorMapFloatOOBfill) {
  TensorMapInfo m;
  m.im2col = true, m.channels = channels, m.pixels = pixels;
  bool good = describe(m, {type, rank, data, extent, stride, step, interleave, swizzle}) &&
              rank >= 3 && channels <= 256 && pixels <= 1024;
  const int most = rank == 3 ? 1 << 15 : rank == 4 ? 1 << 7 : 1 << 4;
  for (cuuint32_t d = 0; good && d < rank - 2; ++d) {
    m.lower[d] = lower[d], m.upper[d] = upper[d];
    good = lower[d] >= -most && lower[d] < most && upper[d] >= -most && upper[d] < most;
  }
  if (!good || !fits_line(m, channels)) return CUDA_ERROR_INVALID_VALUE;
  write_map(m, map);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace convoy::ptx

extern "C" cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned,
                                                        unsigned long long,
                                                        cudaDriverEntryPointQueryResult* result) {
  *function = nullptr;
  if (std::string_view(name) == "cuTensorMapEncodeTiled") {
    *function = reinterpret_cast<void*>(&convoy::ptx::encode_tiled);
  } else if (std::string_view(name) == "cuTensorMapEncodeIm2col") {
    *function = reinterpret_cast<void*>(&convoy::ptx::encode_im2col);
  }
  *result = *function == nullptr ? cudaDriverEntryPointSymbolNotFound : cudaDriverEntryPointSuccess;
  return cudaSuccess;
}
