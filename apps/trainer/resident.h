// SPDX-License-Identifier: MIT
#pragma once
// A data set that stays on the device: its pictures are copied there once, as u8, and each step
// reads those that its indices name (apps/trainer/input.h).

#include "apps/trainer/config.h"
#include "apps/trainer/open_data.h"
#include "runtime/tensor.h"

namespace convoy::apps {

// All pictures in the data set's order, u8 [count, height, width, channels]. Throws Error
// for images that are not stored at the size that the model sees, where the device has no room, and
// what reading them throws: none may be left out.
Tensor upload_images(const DataConfig& config, const DataSource& source, const Device& device);

}  // namespace convoy::apps
