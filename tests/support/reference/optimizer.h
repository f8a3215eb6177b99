// SPDX-License-Identifier: MIT
#pragma once
// Optimizers for one number at a time, in double precision, as PyTorch's documentation writes its
// algorithms: the first step is a case of its own, state lives in the object.

#include <cmath>

#include "kernels/optimizer.h"

namespace convoy::reference {

struct Sgd {
  SgdOptions o;
  double b = 0;
  bool first = true;
  double step(double p, double g, double lr) {
    if (o.weight_decay != 0) g = g + o.weight_decay * p;
    if (o.momentum != 0) {
      b = first ? g : o.momentum * b + g;
      first = false;
      g = o.nesterov ? g + o.momentum * b : b;
    }
    return p - lr * g;
  }
};

struct Adam {
  AdamOptions o;
  double m = 0, v = 0;
  int t = 0;
  double step(double p, double g, double lr) {
    ++t;
    if (o.decoupled) {
      p = p - lr * o.weight_decay * p;
    } else {
      g = g + o.weight_decay * p;
    }
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(o.beta1, t)), v_hat = v / (1 - std::pow(o.beta2, t));
    return p - lr * m_hat / (std::sqrt(v_hat) + o.eps);
  }
};

struct Rmsprop {
  RmspropOptions o;
  bool centered = false;
  double v = 0, average = 0, b = 0;
  double step(double p, double g, double lr) {
    if (o.weight_decay != 0) g = g + o.weight_decay * p;
    v = o.alpha * v + (1 - o.alpha) * g * g;
    double v_hat = v;
    if (centered) {
      average = average * o.alpha + (1 - o.alpha) * g;
      v_hat = v_hat - average * average;
    }
    if (o.momentum > 0) {
      b = o.momentum * b + g / (std::sqrt(v_hat) + o.eps);
      return p - lr * b;
    }
    return p - lr * g / (std::sqrt(v_hat) + o.eps);
  }
};

}  // namespace convoy::reference
