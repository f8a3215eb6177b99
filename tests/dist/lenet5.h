// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>

#include "nn/init.h"
#include "nn/models.h"
#include "nn/parameter_store.h"

namespace convoy::dist {

// The same weights each time; in half precision with f32 masters.
struct Lenet5 {
  std::unique_ptr<nn::Module> net =
      nn::create_model("lenet5", {.num_classes = 10, .in_channels = 1});
  nn::ParameterStore store;
  explicit Lenet5(std::optional<DType> half)
      : store((nn::initialize(*net, 1), *net), {}, {}, half) {}
};

}  // namespace convoy::dist
