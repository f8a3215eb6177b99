// SPDX-License-Identifier: MIT
#include "runtime/ops/image.h"

#include <algorithm>

#include "runtime/run.h"

namespace convoy {
namespace {

std::int64_t or_else(std::int64_t wanted, std::int64_t otherwise) {
  return wanted > 0 ? wanted : otherwise;
}

void require_operand(const char* what, const Tensor& t, DType dtype, const Shape& shape) {
  require(t.dtype() == dtype && t.shape() == shape && t.is_contiguous(),
          "normalize_images: {} expects dense {} of shape {}, found {} of shape {}", what, dtype,
          shape, t.dtype(), t.shape());
}

}  // namespace

Tensor normalize_images(const Tensor& images, const Tensor& index, const Tensor& rows,
                        const NormalizeOptions& options) {
  require(images.rank() == 4, "normalize_images: images expect shape [count, H, W, C], found {}",
          images.shape());
  require_operand("images", images, DType::u8, images.shape());
  const std::int64_t batch = index.defined() ? index.count() : images.size(0);
  if (index.defined()) require_operand("index", index, DType::i64, {batch});
  if (rows.defined()) require_operand("rows", rows, DType::i32, {batch, 3});

  const std::int64_t h = images.size(1), w = images.size(2), c = images.size(3);
  const Tensor y = empty({batch, or_else(options.out_height, h), or_else(options.out_width, w),
                          or_else(options.out_channels, c)},
                         {options.dtype, images.device()});
  ImageNormalize op{batch,
                    images.size(0),
                    h,
                    w,
                    c,
                    y.size(1),
                    y.size(2),
                    y.size(3),
                    images.as<std::uint8_t>(),
                    index.defined() ? index.as<std::int64_t>() : nullptr,
                    rows.defined() ? static_cast<const ImageRow*>(rows.data()) : nullptr,
                    y.data(),
                    options.dtype};
  std::copy(options.mean.begin(), options.mean.end(), op.mean);
  std::copy(options.std.begin(), options.std.end(), op.std);
  run(op, images.stream());
  return y;
}

}  // namespace convoy
