// SPDX-License-Identifier: MIT
#include "nn/layers/linear.h"

#include "runtime/ops/gemm.h"
#include "runtime/ops/view.h"

namespace convoy::nn {

Linear::Linear(std::int64_t in_features, std::int64_t out_features, bool bias) {
  require(in_features > 0 && out_features > 0,
          "Linear: features expect 1 or more, found {} in and {} out", in_features, out_features);
  const Shape shape{out_features, in_features};
  weight_ = add_parameter("weight", shape, default_init(shape));
  if (bias) bias_ = add_parameter("bias", {out_features}, default_init(shape));
}

Tensor Linear::forward(const Tensor& x) { return linear(x, weight_, bias_); }

Tensor flatten_nchw(const Tensor& x) {
  // A single pixel or channel has the same order in both layouts.
  const bool same = x.rank() != 4 || x.size(3) == 1 || (x.size(1) == 1 && x.size(2) == 1);
  return flatten(same ? x : permute(x, {0, 3, 1, 2}));
}

}  // namespace convoy::nn
