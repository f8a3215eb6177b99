// SPDX-License-Identifier: MIT
#include "kernels/gpu/tensor_map.h"

namespace convoy::on_sim {

TensorMap encode(const TensorMapSpec& spec) {
  const auto bytes = static_cast<std::uint32_t>(size_of(spec.dtype));
  TensorMap map{.data = static_cast<std::byte*>(const_cast<void*>(spec.data)),
                .rank = static_cast<std::uint32_t>(spec.rank),
                .element_bytes = bytes,
                .swizzled = spec.swizzle == Swizzle::bytes128,
                .extent = {1, 1, 1, 1},
                .stride_bytes = {},
                .box = {1, 1, 1, 1}};
  for (int d = 0; d < spec.rank; ++d) {
    map.extent[d] = spec.extent[d];
    map.stride_bytes[d] = spec.stride[d] * bytes;
    map.box[d] = static_cast<std::uint32_t>(spec.box[d]);
  }
  return map;
}

}  // namespace convoy::on_sim
