// SPDX-License-Identifier: MIT
#pragma once
// From a batch of u8 pictures to what the model takes: moved to the device, shifted, mirrored,
// normalised there.

#include "apps/trainer/open_data.h"
#include "data/loader.h"
#include "runtime/ops/image.h"
#include "runtime/tensor.h"

namespace convoy::apps {

struct DeviceBatch {
  Tensor x;       // [rows, height, width, channels] of the dtype
  Tensor target;  // [rows] i32; kNoLabel in rows that fill up
  std::int64_t valid = 0;
};

class InputPipeline {
 public:
  InputPipeline(const InputFormat& format, const Device& device, DType dtype = DType::f32);
  DeviceBatch operator()(const data::Batch& batch) const;

 private:
  Device device_;
  NormalizeOptions options_;
};

}  // namespace convoy::apps
