// SPDX-License-Identifier: MIT
#include "nn/layers/dropout.h"

#include "runtime/ops/dropout.h"

namespace convoy::nn {
namespace {

void require_rate(const char* layer, double p) {
  require(p >= 0 && p < 1, "{}: p expects a value in [0, 1), found {}", layer, p);
}

}  // namespace

Dropout::Dropout(double p) : p_(p) { require_rate("Dropout", p); }

Tensor Dropout::forward(const Tensor& x) {
  return p_ > 0 && training() ? dropout(x, p_, random_key()) : x;
}

DropPath::DropPath(double p) : p_(p) { require_rate("DropPath", p); }

Tensor DropPath::forward(const Tensor& x) { return active() ? drop_path(x, p_, random_key()) : x; }

}  // namespace convoy::nn
