// SPDX-License-Identifier: MIT
#pragma once
// Normalisations and layer-scale, all over the last dimension (the channels of NHWC).

#include <memory>

#include "nn/module.h"
#include "runtime/ops/conv2d_norm_act.h"
#include "runtime/rank_exchange.h"

namespace convoy::nn {

// Parameters: weight and bias [C]; buffers: running_mean and running_var [C]. PyTorch's counter
// num_batches_tracked is not kept: nothing needs it when the momentum is given.
class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(std::int64_t num_features, double eps = 1e-5, double momentum = 0.1);
  Tensor forward(const Tensor& x) override;
  // relu(forward(x)) and relu(forward(x) + residual), in one pass over memory.
  Tensor forward_relu(const Tensor& x, const Tensor& residual = {}) {
    return fused(x, residual, true);
  }
  // forward(x) + residual
  Tensor forward_add(const Tensor& x, const Tensor& residual) { return fused(x, residual, false); }

  // For conv2d_norm_act.
  NormOperands operands() const {
    return {weight_, bias_, running_mean_, running_var_, momentum_, eps_};
  }

  // From now on training takes mean and variance of all ranks' rows (nn/batch_norm_ranks.h).
  void synchronise(std::shared_ptr<RankExchange> ranks) { ranks_ = std::move(ranks); }
  bool is_synchronised() const { return ranks_ != nullptr; }

  // A temporary is written over in inference (evaluation under NoGrad), if nobody else holds it.
  Tensor forward_relu(Tensor&& x, const Tensor& residual = {}) {
    return reuses(x) ? in_place(x, residual, true) : fused(x, residual, true);
  }
  Tensor forward_add(Tensor&& x, const Tensor& residual) {
    return reuses(x) ? in_place(x, residual, false) : fused(x, residual, false);
  }

 private:
  Tensor fused(const Tensor& x, const Tensor& residual, bool relu);
  Tensor normalised(const Tensor& x, const Tensor& residual, bool relu);
  Tensor composed(const Tensor& x, const Tensor& residual, bool with_relu);
  Tensor in_place(const Tensor& x, const Tensor& residual, bool relu);
  bool reuses(const Tensor& x) const;

  double eps_, momentum_;
  Tensor weight_, bias_, running_mean_, running_var_;
  std::shared_ptr<RankExchange> ranks_;
};

// Of each vector along the last dimension. Parameters: weight and bias [C]. On NHWC images this is
// also timm's LayerNorm2d.
class LayerNorm : public Module {
 public:
  explicit LayerNorm(std::int64_t num_features, double eps = 1e-5);
  Tensor forward(const Tensor& x) override;

 private:
  double eps_;
  Tensor weight_, bias_;
};

// x * gamma, gamma [C] starting small (Touvron et al., arXiv:2103.17239).
class LayerScale : public Module {
 public:
  explicit LayerScale(std::int64_t num_features, double init_value = 1e-6);
  Tensor forward(const Tensor& x) override;

 private:
  Tensor gamma_;
};

}  // namespace convoy::nn
