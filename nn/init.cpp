// SPDX-License-Identifier: MIT
#include "nn/init.h"

#include <cmath>

#include "runtime/autograd.h"
#include "runtime/random.h"

namespace convoy::nn {

Fan fan_of(const Shape& weight) {
  require(weight.rank() == 2 || weight.rank() == 4,
          "init: fans are those of a [out, in] or KRSC weight, found shape {}", weight);
  double taps = 1;
  for (int i = 1; i + 1 < weight.rank(); ++i) taps *= static_cast<double>(weight[i]);
  return {taps * static_cast<double>(weight.back()), taps * static_cast<double>(weight[0])};
}

double leaky_relu_gain(double negative_slope) {
  return std::sqrt(2 / (1 + negative_slope * negative_slope));
}

namespace {

double kaiming_std(const Shape& weight, double gain, FanMode mode) {
  const Fan fan = fan_of(weight);
  return gain / std::sqrt(mode == FanMode::fan_in ? fan.in : fan.out);
}

double xavier_std(const Shape& weight, double gain) {
  const Fan fan = fan_of(weight);
  return gain * std::sqrt(2 / (fan.in + fan.out));
}

Init uniform_of_std(double std) {
  return Init::uniform(-std::sqrt(3.0) * std, std::sqrt(3.0) * std);
}

}  // namespace

Init kaiming_uniform(const Shape& weight, double gain, FanMode mode) {
  return uniform_of_std(kaiming_std(weight, gain, mode));
}
Init kaiming_normal(const Shape& weight, double gain, FanMode mode) {
  return Init::normal(0, kaiming_std(weight, gain, mode));
}
Init xavier_uniform(const Shape& weight, double gain) {
  return uniform_of_std(xavier_std(weight, gain));
}
Init xavier_normal(const Shape& weight, double gain) {
  return Init::normal(0, xavier_std(weight, gain));
}
Init default_init(const Shape& weight) {
  const double bound = 1 / std::sqrt(fan_of(weight).in);
  return Init::uniform(-bound, bound);
}

void fill(const Tensor& tensor, const Init& init, const PhiloxKey& key) {
  const NoGrad inference;
  Tensor target = tensor;
  switch (init.kind) {
    case Init::Kind::constant:
      return target.fill_(init.a);
    case Init::Kind::uniform:
      return target.copy_(uniform(tensor.shape(), init.a, init.b, key, tensor.like()));
    case Init::Kind::normal:
      return target.copy_(normal(tensor.shape(), init.a, init.b, key, tensor.like()));
    case Init::Kind::trunc_normal:
      return target.copy_(truncated_normal(tensor.shape(), init.a, init.b, init.low, init.high, key,
                                           tensor.like()));
  }
}

}  // namespace convoy::nn
