// SPDX-License-Identifier: MIT
#pragma once
// A batch in host memory, page-locked where the device copies from it.
//
//   BatchMemory memory(device, 32, {224, 224, 3});
//   fill(memory.batch().images);
//   copy(x, batch.images, stream);
//   batch.read_by(stream);            // the memory stays as it is until the stream has passed

#include <cstdint>
#include <span>

#include "data/image.h"
#include "kernels/image.h"
#include "runtime/pinned.h"
#include "runtime/stream.h"

namespace convoy::data {

// The label of rows that fill up an incomplete batch: cross_entropy's default ignore_index.
inline constexpr std::int32_t kNoLabel = -100;

struct Batch {
  std::int64_t rows = 0;   // always those that the loader was asked for
  std::int64_t valid = 0;  // rows with a sample; the others are zero and have kNoLabel
  ImageExtent extent;
  std::span<std::uint8_t> images;   // [rows, height, width, channels], or none
  std::span<std::int32_t> labels;   // [rows], kNoLabel where there is no sample
  std::span<ImageRow> row;          // [rows], what the device does to each image
  std::span<std::int64_t> indices;  // [rows], in the data set; -1 where there is none
  std::int64_t epoch = 0;
  std::int64_t position = 0;  // of the global batch's first row in the epoch
  Event* read = nullptr;

  // The stream's work so far reads from the batch: it changes only after that.
  void read_by(const Stream& stream) const { read->record(stream); }
};

class BatchMemory {
 public:
  // Without pixels `images` is empty, and `extent` says what the pictures are elsewhere.
  BatchMemory(const Device& device, std::int64_t rows, const ImageExtent& extent,
              bool pixels = true);
  ~BatchMemory();
  BatchMemory(const BatchMemory&) = delete;
  BatchMemory& operator=(const BatchMemory&) = delete;

  Batch& batch() { return batch_; }
  bool is_free() const { return read_.has_passed(); }
  void wait_until_free() const { read_.synchronize(); }

 private:
  PinnedBuffer memory_;
  Event read_;
  Batch batch_;
};

}  // namespace convoy::data
