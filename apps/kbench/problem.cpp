// SPDX-License-Identifier: MIT
#include "apps/kbench/problem.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace convoy::kbench {

void require_countable(std::initializer_list<std::int64_t> extents) {
  constexpr double kMost = std::int64_t{1} << 50;
  double count = 1;
  for (const std::int64_t extent : extents) count *= std::max(static_cast<double>(extent), 1.0);
  if (count < kMost) return;
  fail_usage("sizes expect operands of fewer than 2^50 elements, found one of {}",
             fmt::join(extents, " x "));
}

bool Request::wants_pass(const std::string& pass) const {
  return passes.empty() || std::find(passes.begin(), passes.end(), pass) != passes.end();
}

bool Request::has(const std::string& flag) const {
  return std::any_of(sizes.begin(), sizes.end(), [&](const auto& s) { return s.first == flag; });
}

std::int64_t Request::size(const std::string& flag, std::int64_t absent, std::int64_t least) const {
  for (const auto& [name, value] : sizes) {
    if (name != flag) continue;
    if (value < least) fail_usage("--{} expects {} or more, found {}", flag, least, value);
    require_countable({value});
    return value;
  }
  return absent;
}

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"gemm",
       "matrix products; passes are those of a linear layer: nt, nn and tn",
       {"m", "n", "k"},
       {"forward", "backward_input", "backward_weight"},
       {"square", "cifar"},
       nullptr,
       true,
       gemm_problems},
      {"conv2d",
       "convolutions, NHWC",
       {"n", "c", "h", "w", "k", "r", "s", "stride", "pad", "groups"},
       {"forward", "backward_input", "backward_weight"},
       {"resnet50", "cifar", "resnet20"},
       "n",
       true,
       conv2d_problems},
      {"batch_norm",
       "batch normalisation in training",
       {"n", "c", "h", "w"},
       {"forward", "backward"},
       {"resnet50", "cifar", "resnet20"},
       "n",
       true,
       batch_norm_problems},
      {"memory",
       "kernels that memory bounds: copies, elementwise ops, sums, softmax, pooling, optimizers",
       {"count"},
       {"copy", "cast", "relu", "relu_backward", "add", "column_sum", "softmax", "layer_norm",
        "max_pool2d", "sgd", "adamw"},
       {},
       nullptr,
       false,
       memory_problems},
  };
  return all;
}

}  // namespace convoy::kbench
