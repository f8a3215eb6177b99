// SPDX-License-Identifier: MIT
#include "apps/trainer/input.h"

#include <algorithm>

#include "runtime/ops/image.h"

namespace convoy::apps {

InputPipeline::InputPipeline(const InputFormat& format, const Device& device, DType dtype)
    : device_(device) {
  options_.dtype = dtype;
  std::copy(format.mean.begin(), format.mean.end(), options_.mean.begin());
  std::copy(format.std.begin(), format.std.end(), options_.std.begin());
}

DeviceBatch InputPipeline::operator()(const data::Batch& batch) const {
  const auto [height, width, channels] = batch.extent;
  const Tensor images = from_vector(batch.images, {batch.rows, height, width, channels}, device_);
  const Tensor rows = from_host(batch.row.data(), {batch.rows, 3}, {DType::i32, device_});
  return {normalize_images(images, Tensor(), rows, options_),
          from_vector(batch.labels, {batch.rows}, device_), batch.valid};
}

}  // namespace convoy::apps
