// SPDX-License-Identifier: MIT
#include "apps/trainer/input.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/ops/image.h"

namespace convoy::apps {
namespace {

constexpr int kStaging = 2;

std::size_t bytes_of(const Tensor& t) { return t.impl()->storage->bytes; }

}  // namespace

InputSlot::InputSlot(const Device& device, std::int64_t rows, const data::ImageExtent& e)
    : device_(device),
      images_(empty({rows, e.height, e.width, e.channels}, {DType::u8, device})),
      rows_(empty({rows, 3}, {DType::i32, device})),
      labels_(empty({rows}, {DType::i32, device})) {
  const std::size_t bytes = bytes_of(images_) + bytes_of(rows_) + bytes_of(labels_);
  for (int i = 0; i < kStaging; ++i) {
    staging_.push_back({PinnedBuffer(device, bytes), Event(device)});
  }
}

// A copy must not outlive what it reads from.
InputSlot::~InputSlot() {
  try {
    for (const Staging& staging : staging_) staging.copied.synchronize();
  } catch (...) {
    backend(device_).defer(std::current_exception());
  }
}

void InputSlot::load(const data::Batch& batch) {
  const auto [height, width, channels] = batch.extent;
  const Shape shape{batch.rows, height, width, channels};
  require(shape == images_.shape(), "input slot: expects a batch of shape {}, found {}",
          images_.shape(), shape);
  Staging& staging = staging_[next_++ % staging_.size()];
  staging.copied.synchronize();
  const Stream stream = current_stream(device_);
  auto* from = static_cast<std::byte*>(staging.memory.data());
  const auto move = [&](const Tensor& to, const void* source) {
    std::memcpy(from, source, bytes_of(to));
    backend(device_).copy(to.data(), from, bytes_of(to), stream);
    from += bytes_of(to);
  };
  move(rows_, batch.row.data());
  move(labels_, batch.labels.data());
  move(images_, batch.images.data());
  staging.copied.record(stream);
}

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

DeviceBatch InputPipeline::operator()(const InputSlot& slot) const {
  return {normalize_images(slot.images(), Tensor(), slot.rows(), options_), slot.labels(),
          slot.images().size(0)};
}

}  // namespace convoy::apps
