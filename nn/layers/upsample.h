// SPDX-License-Identifier: MIT
#pragma once
// Resizing as a layer (runtime/ops/upsample.h).
//
//   net.push<Upsample>(UpsampleOptions{.scale_factor = {2, 2}, .mode = UpsampleMode::bilinear});

#include "nn/module.h"
#include "runtime/ops/upsample.h"

namespace convoy::nn {

class Upsample : public Module {
 public:
  explicit Upsample(const UpsampleOptions& options) : options_(options) {}
  Tensor forward(const Tensor& x) override { return upsample(x, options_); }

 private:
  UpsampleOptions options_;
};

}  // namespace convoy::nn
