// SPDX-License-Identifier: MIT
#pragma once
// Pooling layers, PyTorch's arguments (runtime/ops/pool2d.h).

#include "nn/module.h"
#include "runtime/ops/pool2d.h"

namespace convoy::nn {

class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(const Pool2dOptions& options) : options_(options) {}
  // stride 0: the kernel's size
  explicit MaxPool2d(std::int64_t kernel_size, std::int64_t stride = 0, std::int64_t padding = 0)
      : MaxPool2d(Pool2dOptions{.kernel_size = {kernel_size, kernel_size},
                                .stride = {stride, stride},
                                .padding = {padding, padding}}) {}
  Tensor forward(const Tensor& x) override { return max_pool2d(x, options_); }

 private:
  Pool2dOptions options_;
};

class AvgPool2d : public Module {
 public:
  explicit AvgPool2d(const Pool2dOptions& options) : options_(options) {}
  explicit AvgPool2d(std::int64_t kernel_size, std::int64_t stride = 0, std::int64_t padding = 0)
      : AvgPool2d(Pool2dOptions{.kernel_size = {kernel_size, kernel_size},
                                .stride = {stride, stride},
                                .padding = {padding, padding}}) {}
  Tensor forward(const Tensor& x) override { return avg_pool2d(x, options_); }

 private:
  Pool2dOptions options_;
};

class AdaptiveAvgPool2d : public Module {
 public:
  explicit AdaptiveAvgPool2d(PoolSize output_size) : output_size_(output_size) {}
  Tensor forward(const Tensor& x) override { return adaptive_avg_pool2d(x, output_size_); }

 private:
  PoolSize output_size_;
};

}  // namespace convoy::nn
