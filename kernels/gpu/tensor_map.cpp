// SPDX-License-Identifier: MIT
#include "kernels/gpu/tensor_map.h"

#include <algorithm>

#include "kernels/require.h"

// Limits: CUDA driver API, cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col; PTX ISA, im2col
// mode.
namespace convoy::CONVOY_TARGET {
namespace {

template <class Spec>
void require_tensor(const Spec& spec, int rank) {
  require(reinterpret_cast<std::uintptr_t>(spec.data) % 16 == 0 && spec.data != nullptr,
          "tensor map: data expects an address that is a multiple of 16, found {}", spec.data);
  const auto bytes = static_cast<std::int64_t>(size_of(spec.dtype));
  require(spec.stride[0] == 1, "tensor map: innermost stride expects 1, found {}", spec.stride[0]);
  for (int d = 0; d < rank; ++d) {
    require(spec.extent[d] >= 1 && spec.extent[d] <= std::int64_t{1} << 32,
            "tensor map: extent {} expects 1 to 2^32, found {}", d, spec.extent[d]);
    const std::int64_t stride = spec.stride[d] * bytes;
    require(d == 0 || (stride % 16 == 0 && stride > 0 && stride < std::int64_t{1} << 40),
            "tensor map: stride {} expects a multiple of 16 bytes below 2^40, found {} bytes", d,
            stride);
  }
}

template <class Spec>
void require_row(const Spec& spec, int elements) {
  const std::int64_t row = elements * static_cast<std::int64_t>(size_of(spec.dtype));
  require(row % 16 == 0, "tensor map: innermost box expects a multiple of 16 bytes, found {}", row);
  require(spec.swizzle == Swizzle::none || row == 128,
          "tensor map: swizzled, the innermost box expects 128 bytes, found {}", row);
}

constexpr bool is_corner(std::int64_t corner) { return corner >= -128 && corner <= 127; }
constexpr bool is_step(std::int64_t step) { return step >= 1 && step <= 8; }

}  // namespace

TensorMap tensor_map(const TensorMapSpec& spec) {
  require(spec.rank >= 1 && spec.rank <= 4, "tensor map: rank expects 1 to 4, found {}", spec.rank);
  require_tensor(spec, spec.rank);
  for (int d = 0; d < spec.rank; ++d) {
    require(spec.box[d] >= 1 && spec.box[d] <= 256, "tensor map: box {} expects 1 to 256, found {}",
            d, spec.box[d]);
  }
  require_row(spec, spec.box[0]);
  return encode(spec);
}

bool fits_im2col(const Im2colWalk& walk, std::int64_t farthest_w, std::int64_t farthest_h) {
  bool fits = std::max(farthest_w, farthest_h) <= 255;
  for (int d = 0; d < 2; ++d) {
    fits = fits && is_corner(walk.lower[d]) && is_corner(walk.upper[d]) && is_step(walk.step[d]);
  }
  return fits;
}

TensorMap tensor_map(const Im2colMapSpec& spec) {
  require_tensor(spec, 4);
  require(spec.channels >= 1 && spec.channels <= 256,
          "tensor map: channels per pixel expect 1 to 256, found {}", spec.channels);
  require(spec.pixels >= 1 && spec.pixels <= 1024,
          "tensor map: pixels per column expect 1 to 1024, found {}", spec.pixels);
  require_row(spec, spec.channels);
  for (int d = 0; d < 2; ++d) {
    const std::int64_t lower = spec.walk.lower[d], upper = spec.walk.upper[d];
    require(is_corner(lower) && is_corner(upper),
            "tensor map: corners of the pixel box expect -128 to 127, found {} and {}", lower,
            upper);
    require(lower <= spec.extent[d + 1] - 1 + upper,
            "tensor map: the pixel box expects a pixel, found from {} to {}", lower,
            spec.extent[d + 1] - 1 + upper);
    require(is_step(spec.walk.step[d]), "tensor map: steps expect 1 to 8, found {}",
            spec.walk.step[d]);
  }
  return encode(spec);
}

}  // namespace convoy::CONVOY_TARGET
