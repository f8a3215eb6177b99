// SPDX-License-Identifier: MIT
#pragma once
// Convolution of NHWC images with a KRSC filter. The fields are the same for height and width, as
// in nearly every network; what needs more calls the op, conv2d.

#include "kernels/conv2d_geometry.h"
#include "nn/module.h"

namespace convoy::nn {

struct Conv2dSettings {
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t dilation = 1;
  std::int64_t groups = 1;  // in_channels: depthwise
  bool bias = true;
};

// [N, H, W, in_channels] -> [N, P, Q, out_channels]. Parameters: weight [out, k, k, in / groups],
// bias [out].
class Conv2d : public Module {
 public:
  Conv2d(std::int64_t in_channels, std::int64_t out_channels, std::int64_t kernel_size,
         const Conv2dSettings& settings = {});
  Tensor forward(const Tensor& x) override;

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }  // undefined without one
  const Conv2dSettings& settings() const { return settings_; }
  Conv2dOptions options() const;

 private:
  Conv2dSettings settings_;
  Tensor weight_, bias_;
};

}  // namespace convoy::nn
