// SPDX-License-Identifier: MIT
#include "apps/trainer/input.h"

#include <algorithm>
#include <numeric>

#include "runtime/ops/image.h"

namespace convoy::apps {
namespace {

std::size_t bytes_of(const Tensor& t) { return t.impl()->storage->bytes; }

std::vector<std::int64_t> numbers(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), first);
  return all;
}

}  // namespace

// Memory that comes from the current stream is used on another: that begins behind its coming.
InputSlot::InputSlot(const Device& device, const Stream& copies, std::int64_t rows,
                     const data::ImageExtent& e, const Tensor& resident)
    : device_(device),
      copies_(copies),
      resident_(resident.defined()),
      index_(empty({rows}, {DType::i64, device})),
      rows_(empty({rows, 3}, {DType::i32, device})),
      labels_(empty({rows}, {DType::i32, device})) {
  const std::int64_t parts = backend(device).is_asynchronous() ? 2 : 1;
  images_ = resident_ ? resident
                      : empty({parts * rows, e.height, e.width, e.channels}, {DType::u8, device});
  for (std::int64_t i = 0; i < parts; ++i) {
    parts_.push_back({from_vector(numbers(i * rows, rows), {rows}, device),
                      empty({rows, 3}, {DType::i32, device}), empty({rows}, {DType::i32, device}),
                      Event(device), Event(device)});
    parts_.back().used.record(current_stream(device));
  }
}

// A copy must not outlive what it writes to.
InputSlot::~InputSlot() {
  for (const Part& part : parts_) part.copied.settle();
}

void InputSlot::load(const data::Batch& batch) {
  const auto [height, width, channels] = batch.extent;
  const Shape shape{batch.rows, height, width, channels};
  const Shape expected{labels_.size(0), images_.size(1), images_.size(2), images_.size(3)};
  require(shape == expected, "input slot: expects a batch of shape {}, found {}", expected, shape);
  Part& part = parts_[part_];
  part.used.hold(copies_);
  const auto copy = [&](void* to, auto from) {
    backend(device_).copy(to, from.data(), from.size_bytes(), copies_);
  };
  if (resident_) {
    copy(part.index.data(), batch.indices);
  } else {
    copy(static_cast<std::byte*>(images_.data()) + part_ * batch.images.size_bytes(), batch.images);
  }
  copy(part.rows.data(), batch.row);
  copy(part.labels.data(), batch.labels);
  part.copied.record(copies_);
  batch.read_by(copies_);
}

std::int64_t InputSlot::place_of(const data::Batch& batch, std::int64_t row) const {
  if (resident_) return batch.indices[static_cast<std::size_t>(row)];
  return static_cast<std::int64_t>(part_) * batch.rows + row;
}

void InputSlot::enter() {
  const Stream stream = current_stream(device_);
  Part& part = parts_[part_];
  part.copied.hold(stream);
  const auto move = [&](const Tensor& to, const Tensor& from) {
    backend(device_).copy(to.data(), from.data(), bytes_of(to), stream);
  };
  move(index_, part.index);
  move(rows_, part.rows);
  move(labels_, part.labels);
}

void InputSlot::leave() {
  parts_[part_].used.record(current_stream(device_));
  part_ = (part_ + 1) % parts_.size();
}

InputPipeline::InputPipeline(const InputFormat& format, const Device& device, DType dtype)
    : device_(device) {
  options_.dtype = dtype;
  std::copy(format.mean.begin(), format.mean.end(), options_.mean.begin());
  std::copy(format.std.begin(), format.std.end(), options_.std.begin());
}

DeviceBatch InputPipeline::operator()(const data::Batch& batch) const {
  const auto [height, width, channels] = batch.extent;
  const Tensor images =
      from_host(batch.images.data(), {batch.rows, height, width, channels}, {DType::u8, device_});
  const Tensor rows = from_host(batch.row.data(), {batch.rows, 3}, {DType::i32, device_});
  return {this->images(images, Tensor(), rows),
          from_host(batch.labels.data(), {batch.rows}, {DType::i32, device_}), batch.valid};
}

DeviceBatch InputPipeline::operator()(const InputSlot& slot) const {
  return {images(slot.images(), slot.index(), slot.rows()), slot.labels(), slot.labels().size(0)};
}

Tensor InputPipeline::images(const Tensor& images, const Tensor& index, const Tensor& rows) const {
  return normalize_images(images, index, rows, options_);
}

}  // namespace convoy::apps
