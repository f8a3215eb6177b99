// SPDX-License-Identifier: MIT
#include "kernels/image.h"

#include <limits>

#include "kernels/gpu/flat.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

// (u8 / 255 - mean) / std as u8 * scale + shift.
struct Affine {
  float scale[kMaxImageChannels], shift[kMaxImageChannels];
};

// A thread writes one output pixel, N channels at a time.
template <class T, int N>
__global__ void __launch_bounds__(kFlatThreads)
    normalize_pixels(const __grid_constant__ ImageNormalize op,
                     const __grid_constant__ Affine affine, std::int64_t pixels) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, pixels)) return;
  const std::int64_t line = i / op.out_width, w = i - line * op.out_width;
  const std::int64_t n = line / op.out_height, h = line - n * op.out_height;
  const ImageRow row = op.rows ? op.rows[n] : ImageRow{};
  const std::int64_t image = op.index ? op.index[n] : n;
  const std::int64_t from_h = h + row.offset_y;
  const std::int64_t from_w = (row.flip ? op.out_width - 1 - w : w) + row.offset_x;
  const bool known = inside(image, op.images);
  const bool visible = known && inside(from_h, op.height) && inside(from_w, op.width);
  const std::uint8_t* const x =
      op.x + ((image * op.height + from_h) * op.width + from_w) * op.channels;
  T* const y = static_cast<T*>(op.y) + i * op.out_channels;
  for (std::int64_t first = 0; first < op.out_channels; first += N) {
    float v[N];
    for (int j = 0; j < N; ++j) {
      const std::int64_t c = first + j;
      v[j] = known ? 0.0f : std::numeric_limits<float>::quiet_NaN();
      if (known && inside(c, op.channels)) {
        v[j] = affine.scale[c] * (visible ? static_cast<float>(x[c]) : 0.0f) + affine.shift[c];
      }
    }
    store_floats(y + first, v);
  }
}

}  // namespace

Plan plan(const ImageNormalize&, const Device&) { return {.variant = "pixel_per_thread"}; }

void run(const ImageNormalize& op, const Plan&, void*, const Stream& stream) {
  require_valid(op);
  Affine affine{};
  for (int c = 0; c < kMaxImageChannels; ++c) {
    const double std = op.std[c], mean = op.mean[c];
    affine.scale[c] = static_cast<float>(1 / (255 * std));
    affine.shift[c] = static_cast<float>(-mean / std);
  }
  const std::int64_t pixels = op.batch * op.out_height * op.out_width;
  with_dtype("image", op.out_dtype, [&]<class T>(Type<T>) {
    constexpr int kPack = Packed<T>::kCount;
    const bool packed = op.out_channels % kPack == 0 && is_packed_aligned(op.y);
    launch({.grid = blocks_for(pixels, kFlatThreads), .block = kFlatThreads, .stream = stream},
           packed ? normalize_pixels<T, kPack> : normalize_pixels<T, 1>, op, affine, pixels);
  });
}

}  // namespace convoy::CONVOY_TARGET
