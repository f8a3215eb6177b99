// SPDX-License-Identifier: MIT
#include "kernels/gpu/tensor_map.h"

namespace convoy::on_sim {

namespace {

template <class Spec>
TensorMap tensor(const Spec& spec, int rank) {
  const auto bytes = static_cast<std::uint32_t>(size_of(spec.dtype));
  TensorMap map{.data = static_cast<std::byte*>(const_cast<void*>(spec.data)),
                .rank = static_cast<std::uint32_t>(rank),
                .element_bytes = bytes,
                .swizzled = spec.swizzle == Swizzle::bytes128,
                .extent = {1, 1, 1, 1},
                .stride_bytes = {},
                .box = {1, 1, 1, 1},
                .is_im2col = false,
                .im2col = {}};
  for (int d = 0; d < rank; ++d) {
    map.extent[d] = spec.extent[d];
    map.stride_bytes[d] = spec.stride[d] * bytes;
  }
  return map;
}

}  // namespace

TensorMap encode(const TensorMapSpec& spec) {
  TensorMap map = tensor(spec, spec.rank);
  for (int d = 0; d < spec.rank; ++d) map.box[d] = static_cast<std::uint32_t>(spec.box[d]);
  return map;
}

TensorMap encode(const Im2colMapSpec& spec) {
  TensorMap map = tensor(spec, 4);
  map.is_im2col = true;
  map.box[0] = static_cast<std::uint32_t>(spec.channels);
  map.box[1] = static_cast<std::uint32_t>(spec.pixels);
  for (int d = 0; d < 2; ++d) {
    map.im2col.first[d] = spec.walk.lower[d];
    map.im2col.last[d] = spec.extent[d + 1] - 1 + spec.walk.upper[d];
    map.im2col.step[d] = spec.walk.step[d];
  }
  return map;
}

}  // namespace convoy::on_sim
