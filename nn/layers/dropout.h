// SPDX-License-Identifier: MIT
#pragma once
// What is left out at random in training, and does nothing in evaluation. The draws are keyed by
// the seed given to initialize(), the module's place in the model and StepState's step.

#include "nn/module.h"

namespace convoy::nn {

// Each element is 0 with probability p, else divided by 1 - p.
class Dropout : public Module {
 public:
  explicit Dropout(double p = 0.5);
  Tensor forward(const Tensor& x) override;

 private:
  double p_;
};

// Stochastic depth (Huang et al., arXiv:1603.09382): each sample, the whole of it, is 0 with
// probability p, else divided by 1 - p. For the branch of a residual block.
class DropPath : public Module {
 public:
  explicit DropPath(double p = 0);
  Tensor forward(const Tensor& x) override;
  // Whether forward changes anything now: a block may then take a fused path around it.
  bool active() const { return p_ > 0 && training(); }

 private:
  double p_;
};

}  // namespace convoy::nn
