// SPDX-License-Identifier: MIT
#pragma once
// From a batch of u8 pictures to what the model takes: moved to the device, shifted, mirrored,
// normalised there.

#include <vector>

#include "apps/trainer/open_data.h"
#include "data/loader.h"
#include "runtime/ops/image.h"
#include "runtime/stream.h"
#include "runtime/tensor.h"

namespace convoy::apps {

struct DeviceBatch {
  Tensor x;       // [rows, height, width, channels] of the dtype
  Tensor target;  // [rows] i32; kNoLabel in rows that fill up
  std::int64_t valid = 0;
};

// A fixed place on the device for batches of one shape, so that a step that is replayed finds each
// where it found the first. Pictures are not moved to it: they are copied on a stream of their own
// into one of two parts, while the step before reads the other, and the step is told by `index`
// which part to read.
//
// Of a data set whose pictures are all on the device, `index` says which ones a step reads, and no
// picture is copied.
//
//   slot.load(*loader.next());      // beside the step that runs
//   slot.enter();
//   step();                         // reads images, index, rows, labels
//   slot.leave();
class InputSlot {
 public:
  // Copies run on `copies`, which outlives this. `resident`: all pictures, u8 [count, height,
  // width, channels], or undefined.
  InputSlot(const Device& device, const Stream& copies, std::int64_t rows,
            const data::ImageExtent& extent, const Tensor& resident = {});
  ~InputSlot();
  InputSlot(InputSlot&&) = default;
  InputSlot& operator=(InputSlot&&) = delete;

  // Enqueues the batch's copy. Throws Error for a batch of another shape.
  void load(const data::Batch& batch);
  // The current stream's later work finds the batch that was loaded last ...
  void enter();
  // ... and this much of it reads the batch.
  void leave();

  // Where in images() the picture of a row of the batch that was loaded last lies.
  std::int64_t place_of(const data::Batch& batch, std::int64_t row) const;

  // u8 [parts rows, height, width, channels], or all pictures where they are resident.
  const Tensor& images() const { return images_; }
  const Tensor& index() const { return index_; }    // i64 [rows], into images
  const Tensor& rows() const { return rows_; }      // i32 [rows, 3]: data::ImageRow
  const Tensor& labels() const { return labels_; }  // i32 [rows]

 private:
  struct Part {
    Tensor index, rows, labels;
    Event copied, used;
  };

  Device device_;
  Stream copies_;
  bool resident_;
  Tensor images_, index_, rows_, labels_;
  std::vector<Part> parts_;
  std::size_t part_ = 0;  // that is loaded next, or has been
};

class InputPipeline {
 public:
  InputPipeline(const InputFormat& format, const Device& device, DType dtype = DType::f32);
  // Moves the batch; waits.
  DeviceBatch operator()(const data::Batch& batch) const;
  // Of what the slot holds when the device comes to it.
  DeviceBatch operator()(const InputSlot& slot) const;
  // Of any pictures u8 [count, height, width, channels], as normalize_images has them.
  Tensor images(const Tensor& images, const Tensor& index, const Tensor& rows) const;
  const Device& device() const { return device_; }

 private:
  Device device_;
  NormalizeOptions options_;
};

}  // namespace convoy::apps
