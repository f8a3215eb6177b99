// SPDX-License-Identifier: MIT
#pragma once
// The convolutions of the networks that we measure on, each geometry once.

#include <string>
#include <vector>

#include "apps/kbench/problem.h"
#include "kernels/conv2d_geometry.h"

namespace convoy::kbench {

struct ConvLayer {
  std::string name;
  Conv2dGeometry g;
  int count = 1;  // how often the network has it
};

// "resnet50" at 224 x 224 (batch 256), "cifar": the recipe of the CIFAR-10 speed records (batch
// 1024), "resnet20" at 32 x 32 (batch 128); or the one that the request's axes describe. --n is the
// batch.
std::vector<ConvLayer> conv_layers(const Request& request);

}  // namespace convoy::kbench
