// SPDX-License-Identifier: MIT
#include "nn/layers/norm.h"

#include "nn/fusion.h"
#include "runtime/autograd.h"
#include "runtime/ops/batch_norm.h"
#include "runtime/ops/binary.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/layer_norm.h"

namespace convoy::nn {

BatchNorm2d::BatchNorm2d(std::int64_t num_features, double eps, double momentum)
    : eps_(eps),
      momentum_(momentum),
      weight_(add_parameter("weight", {num_features}, Init::constant(1))),
      bias_(add_parameter("bias", {num_features}, Init::constant(0))),
      running_mean_(add_buffer("running_mean", {num_features}, 0)),
      running_var_(add_buffer("running_var", {num_features}, 1)) {}

Tensor BatchNorm2d::forward(const Tensor& x) { return normalised(x, {}, false); }

Tensor BatchNorm2d::normalised(const Tensor& x, const Tensor& residual, bool relu) {
  if (training() && is_synchronised()) {
    return synchronised_batch_norm_act(x, weight_, bias_, running_mean_, running_var_, momentum_,
                                       eps_, residual, relu, ranks_);
  }
  return batch_norm_act(x, weight_, bias_, running_mean_, running_var_, training(), momentum_, eps_,
                        residual, relu);
}

Tensor BatchNorm2d::composed(const Tensor& x, const Tensor& residual, bool with_relu) {
  const Tensor normed = forward(x);
  const Tensor sum = residual.defined() ? normed + residual : normed;
  return with_relu ? relu(sum) : sum;
}

Tensor BatchNorm2d::fused(const Tensor& x, const Tensor& residual, bool relu) {
  return fusion_enabled() ? normalised(x, residual, relu) : composed(x, residual, relu);
}

Tensor BatchNorm2d::in_place(const Tensor& x, const Tensor& residual, bool relu) {
  batch_norm_act_(x, weight_, bias_, running_mean_, running_var_, eps_, residual, relu);
  return x;
}

bool BatchNorm2d::reuses(const Tensor& x) const {
  return fusion_enabled() && !training() && !grad_enabled() && x.is_contiguous() &&
         x.impl().use_count() == 1 && x.impl()->storage.use_count() == 1;
}

LayerNorm::LayerNorm(std::int64_t num_features, double eps)
    : eps_(eps),
      weight_(add_parameter("weight", {num_features}, Init::constant(1))),
      bias_(add_parameter("bias", {num_features}, Init::constant(0))) {}

Tensor LayerNorm::forward(const Tensor& x) { return layer_norm(x, weight_, bias_, eps_); }

LayerScale::LayerScale(std::int64_t num_features, double init_value)
    : gamma_(add_parameter("gamma", {num_features}, Init::constant(init_value))) {}

Tensor LayerScale::forward(const Tensor& x) { return x * gamma_; }

}  // namespace convoy::nn
