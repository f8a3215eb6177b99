// SPDX-License-Identifier: MIT
#pragma once
// What the registry (nn/models.cpp) calls: one builder per family. num_classes and in_channels are
// set by then.

#include <array>
#include <memory>
#include <vector>

#include "nn/models.h"

namespace convoy::nn {

std::unique_ptr<Module> build_lenet5(const ModelOptions& options);
// depth 11 or 16
std::unique_ptr<Module> build_vgg_bn(int depth, const ModelOptions& options);
// depth 18, 34 or 50
std::unique_ptr<Module> build_resnet(int depth, const ModelOptions& options);
// depth 6 n + 2
std::unique_ptr<Module> build_resnet_cifar(int depth, const ModelOptions& options);
std::unique_ptr<Module> build_mobilenetv2_100(const ModelOptions& options);
std::unique_ptr<Module> build_densenet121(const ModelOptions& options);
std::unique_ptr<Module> build_convnext_tiny(const ModelOptions& options);

// The rate of block i of `count`: a straight line from 0 to `rate`.
inline double drop_path_rate(double rate, int i, int count) {
  return count > 1 ? rate * i / (count - 1) : 0;
}

}  // namespace convoy::nn
