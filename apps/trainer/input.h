// SPDX-License-Identifier: MIT
#pragma once
// From a batch of u8 pictures to what the model takes: moved to the device, shifted, mirrored,
// normalised there.

#include <vector>

#include "apps/trainer/open_data.h"
#include "data/loader.h"
#include "runtime/ops/image.h"
#include "runtime/pinned.h"
#include "runtime/stream.h"
#include "runtime/tensor.h"

namespace convoy::apps {

struct DeviceBatch {
  Tensor x;       // [rows, height, width, channels] of the dtype
  Tensor target;  // [rows] i32; kNoLabel in rows that fill up
  std::int64_t valid = 0;
};

// A fixed place on the device for batches of one shape, so that a step that is replayed finds each
// where it found the first.
class InputSlot {
 public:
  InputSlot(const Device& device, std::int64_t rows, const data::ImageExtent& extent);
  ~InputSlot();
  InputSlot(InputSlot&&) = default;
  InputSlot& operator=(InputSlot&&) = delete;

  // Enqueues the copy of the batch, which may be changed as soon as this returns. Throws Error for
  // a batch of another shape.
  void load(const data::Batch& batch);

  const Tensor& images() const { return images_; }  // u8 [rows, height, width, channels]
  const Tensor& rows() const { return rows_; }      // i32 [rows, 3]: data::ImageRow
  const Tensor& labels() const { return labels_; }  // i32 [rows]

 private:
  // Page-locked memory that the copies start from, one batch ahead of the device.
  struct Staging {
    PinnedBuffer memory;
    Event copied;
  };

  Device device_;
  Tensor images_, rows_, labels_;
  std::vector<Staging> staging_;
  std::size_t next_ = 0;
};

class InputPipeline {
 public:
  InputPipeline(const InputFormat& format, const Device& device, DType dtype = DType::f32);
  // Moves the batch; waits.
  DeviceBatch operator()(const data::Batch& batch) const;
  // Of what the slot holds when the device comes to it.
  DeviceBatch operator()(const InputSlot& slot) const;
  const Device& device() const { return device_; }

 private:
  Device device_;
  NormalizeOptions options_;
};

}  // namespace convoy::apps
