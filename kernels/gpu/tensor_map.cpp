// SPDX-License-Identifier: MIT
#include "kernels/gpu/tensor_map.h"

#include "kernels/require.h"

// Limits: CUDA driver API, cuTensorMapEncodeTiled.
namespace convoy::CONVOY_TARGET {

TensorMap tensor_map(const TensorMapSpec& spec) {
  require(spec.rank >= 1 && spec.rank <= 4, "tensor map: rank expects 1 to 4, found {}", spec.rank);
  require(reinterpret_cast<std::uintptr_t>(spec.data) % 16 == 0 && spec.data != nullptr,
          "tensor map: data expects an address that is a multiple of 16, found {}", spec.data);
  const auto bytes = static_cast<std::int64_t>(size_of(spec.dtype));
  require(spec.stride[0] == 1, "tensor map: innermost stride expects 1, found {}", spec.stride[0]);
  for (int d = 0; d < spec.rank; ++d) {
    require(spec.extent[d] >= 1 && spec.extent[d] <= std::int64_t{1} << 32,
            "tensor map: extent {} expects 1 to 2^32, found {}", d, spec.extent[d]);
    require(spec.box[d] >= 1 && spec.box[d] <= 256, "tensor map: box {} expects 1 to 256, found {}",
            d, spec.box[d]);
    const std::int64_t stride = spec.stride[d] * bytes;
    require(d == 0 || (stride % 16 == 0 && stride > 0 && stride < std::int64_t{1} << 40),
            "tensor map: stride {} expects a multiple of 16 bytes below 2^40, found {} bytes", d,
            stride);
  }
  const std::int64_t row = spec.box[0] * bytes;
  require(row % 16 == 0, "tensor map: innermost box expects a multiple of 16 bytes, found {}", row);
  require(spec.swizzle == Swizzle::none || row == 128,
          "tensor map: swizzled, the innermost box expects 128 bytes, found {}", row);
  return encode(spec);
}

}  // namespace convoy::CONVOY_TARGET
