// SPDX-License-Identifier: MIT
#pragma once
// The networks, by the names of timm and torchvision, with their parameter counts and state keys:
// weights load unchanged.
//
//   auto model = create_model("resnet18", {.num_classes = 10});
//   initialize(*model, 42);                         // or load_weights(*model, path)

#include <memory>
#include <span>
#include <string_view>

#include "nn/module.h"

namespace convoy::nn {

struct ModelOptions {
  int num_classes = 0;   // 0: the model's own
  int in_channels = 0;   // 0: the model's own
  double drop = 0;       // dropout before the classifier, and between its layers where it has some
  double drop_path = 0;  // stochastic depth of the last block, rising from 0 at the first
  int base_width = 0;    // channels behind the stem of resnet18, 34 and 50, the others take none;
                         // 0: 64
};

struct ModelInfo {
  const char* name;
  const char* description;
  int num_classes;  // as published
  int in_channels;
  int image_size;  // that it was designed for; all but lenet5 take others
};

std::span<const ModelInfo> model_list();
// Throws a usage error with the nearest names for an unknown one.
const ModelInfo& model_info(std::string_view name);

// A model in training mode, its parameters not yet set. Throws a usage error for an unknown name,
// and for options that the model cannot take.
std::unique_ptr<Module> create_model(std::string_view name, const ModelOptions& options = {});

}  // namespace convoy::nn
