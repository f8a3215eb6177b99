// SPDX-License-Identifier: MIT
#pragma once
// Activations as modules, for Sequential; code that knows its activation calls the op.
//
//   net.push<Conv2d>(3, 16, 3);
//   net.push<ReLU>();

#include "nn/module.h"
#include "runtime/ops/elementwise.h"

namespace convoy::nn {

class Activation : public Module {
 public:
  explicit Activation(UnaryFn fn, double alpha = 0) : fn_(fn), alpha_(alpha) {}
  Tensor forward(const Tensor& x) override { return unary(fn_, x, alpha_); }

 private:
  UnaryFn fn_;
  double alpha_;
};

struct ReLU : Activation {
  ReLU() : Activation(UnaryFn::relu) {}
};
struct ReLU6 : Activation {
  ReLU6() : Activation(UnaryFn::relu6) {}
};
struct LeakyReLU : Activation {
  explicit LeakyReLU(double negative_slope = 0.01)
      : Activation(UnaryFn::leaky_relu, negative_slope) {}
};
struct Sigmoid : Activation {
  Sigmoid() : Activation(UnaryFn::sigmoid) {}
};
struct Tanh : Activation {
  Tanh() : Activation(UnaryFn::tanh) {}
};
struct GELU : Activation {
  explicit GELU(GeluForm form = GeluForm::erf)
      : Activation(form == GeluForm::erf ? UnaryFn::gelu : UnaryFn::gelu_tanh) {}
};
struct SiLU : Activation {
  SiLU() : Activation(UnaryFn::silu) {}
};
struct Hardswish : Activation {
  Hardswish() : Activation(UnaryFn::hardswish) {}
};
struct Hardsigmoid : Activation {
  Hardsigmoid() : Activation(UnaryFn::hardsigmoid) {}
};

}  // namespace convoy::nn
