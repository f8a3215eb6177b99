// SPDX-License-Identifier: MIT
#pragma once
// A tensor map tells the TMA unit how a tensor lies in global memory, and which box of it one copy
// moves. The launcher encodes one on each call and passes it by value:
//
//   __global__ void f(const __grid_constant__ TensorMap x);
//   const TensorMapSpec spec{.data = x, .dtype = DType::f16, .rank = 2, .extent = {K, M},
//                            .stride = {1, K}, .box = {64, 128}, .swizzle = Swizzle::bytes128};
//   launch({...}, f, tensor_map(spec));

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/gpu/target.h"
#include "kernels/sim/tensor_map.h"

namespace convoy::CONVOY_TARGET {

// Which 16-byte units of a box change places in shared memory, so that neither rows nor columns of
// it meet in a bank: none, or bits 4 to 6 of the address are xored with bits 7 to 9.
enum class Swizzle : std::uint8_t { none, bytes128 };

// Dimensions and strides in elements, innermost first.
struct TensorMapSpec {
  const void* data = nullptr;  // a multiple of 16 bytes
  DType dtype = DType::f16;
  int rank = 2;  // 1 to 4
  std::int64_t extent[4] = {1, 1, 1, 1};
  std::int64_t stride[4] = {1, 1, 1, 1};  // the first is 1, the others multiples of 16 bytes
  int box[4] = {1, 1, 1, 1};  // 1 to 256; the innermost a multiple of 16 bytes, swizzled it is 128
  Swizzle swizzle = Swizzle::none;
};

// What a filter's first tap walks over in im2col mode, in pixels of W and H: along a line from
// `lower` by `step` up to the line's last pixel + `upper`, then to the next line, likewise from the
// first to the last one, then to the next image.
struct Im2colWalk {
  std::int64_t lower[2] = {0, 0}, upper[2] = {0, 0};  // -128 to 127
  std::int64_t step[2] = {1, 1};                      // 1 to 8
};
// The largest offset that a load adds to the walk, which moves it to another tap, is 255.
bool fits_im2col(const Im2colWalk& walk, std::int64_t farthest_w, std::int64_t farthest_h);

// A map whose loads take `channels` of each of `pixels` places of the walk.
struct Im2colMapSpec {
  const void* data = nullptr;  // as above
  DType dtype = DType::f16;
  std::int64_t extent[4] = {1, 1, 1, 1};  // C, W, H, N
  std::int64_t stride[4] = {1, 1, 1, 1};
  Im2colWalk walk = {};
  int channels = 64;  // 1 to 256, a multiple of 16 bytes, swizzled 128
  int pixels = 64;    // 1 to 1024
  Swizzle swizzle = Swizzle::none;
};

struct alignas(128) EncodedTensorMap {
  std::uint64_t words[16];
};
using TensorMap = std::conditional_t<kSim, ::convoy::sim::TensorMap, EncodedTensorMap>;

// Throws where the TMA unit could not take it: "tensor map: ...".
TensorMap tensor_map(const TensorMapSpec& spec);
TensorMap tensor_map(const Im2colMapSpec& spec);

// The spec is already checked. One body per target: tensor_map_cuda.cpp and sim/tensor_map.cpp.
TensorMap encode(const TensorMapSpec& spec);
TensorMap encode(const Im2colMapSpec& spec);

}  // namespace convoy::CONVOY_TARGET
