// SPDX-License-Identifier: MIT
#pragma once
// The functions of kernels/elementwise.h as types: value(x, alpha, beta) and gradient(saved, dy,
// alpha, beta), where saved is what gradient_reads_output says. Comparisons are written so that NaN
// falls through to the branch that keeps it.
//
//   with_unary(op.fn, [&]<class Fn>(Fn) { y = Fn::value(x, alpha, beta); });

#include <cmath>

#include "kernels/cpu/math.h"
#include "kernels/elementwise.h"

namespace convoy::on_cpu {

struct Relu {
  template <class T>
  static T value(T x, T, T) {
    return x < 0 ? T(0) : x;
  }
  template <class T>
  static T gradient(T y, T dy, T, T) {
    return y <= 0 ? T(0) : dy;
  }
};

struct Relu6 {
  template <class T>
  static T value(T x, T, T) {
    return x < 0 ? T(0) : (x > 6 ? T(6) : x);
  }
  template <class T>
  static T gradient(T y, T dy, T, T) {
    return y <= 0 || y >= 6 ? T(0) : dy;
  }
};

struct LeakyRelu {
  template <class T>
  static T value(T x, T alpha, T) {
    return x > 0 ? x : alpha * x;
  }
  template <class T>
  static T gradient(T x, T dy, T alpha, T) {
    return x > 0 ? dy : alpha * dy;
  }
};

struct Sigmoid {
  template <class T>
  static T value(T x, T = 0, T = 0) {
    return 1 / (1 + exp_of(-x));
  }
  template <class T>
  static T gradient(T y, T dy, T, T) {
    return dy * (y * (1 - y));
  }
};

struct Tanh {
  template <class T>
  static T value(T x, T, T) {
    return tanh_of(x);
  }
  template <class T>
  static T gradient(T y, T dy, T, T) {
    return dy * (1 - y * y);
  }
};

struct Gelu {
  template <class T>
  static T cdf(T x) {
    return T(0.5) * (1 + erf_of(x * T(0.70710678118654752)));
  }
  template <class T>
  static T value(T x, T, T) {
    return x * cdf(x);
  }
  template <class T>
  static T gradient(T x, T dy, T, T) {
    const T density = T(0.39894228040143268) * exp_of(T(-0.5) * x * x);
    return dy * (cdf(x) + x * density);
  }
};

struct GeluTanh {
  template <class T>
  static constexpr T kSqrt2OverPi = T(0.79788456080286536);
  template <class T>
  static T inner(T x) {
    return tanh_of(kSqrt2OverPi<T> * (x + T(0.044715) * x * x * x));
  }
  template <class T>
  static T value(T x, T, T) {
    return T(0.5) * x * (1 + inner(x));
  }
  template <class T>
  static T gradient(T x, T dy, T, T) {
    const T t = inner(x);
    const T slope = kSqrt2OverPi<T> * (1 + T(3 * 0.044715) * x * x);
    return dy * (T(0.5) * (1 + t) + T(0.5) * x * (1 - t * t) * slope);
  }
};

struct Silu {
  template <class T>
  static T value(T x, T, T) {
    return x / (1 + exp_of(-x));
  }
  template <class T>
  static T gradient(T x, T dy, T, T) {
    const T s = Sigmoid::value(x);
    return dy * (s * (1 + x * (1 - s)));
  }
};

struct Hardswish {
  template <class T>
  static T value(T x, T, T) {
    return x * (Relu6::value<T>(x + 3, 0, 0) / 6);
  }
  template <class T>
  static T gradient(T x, T dy, T, T) {
    return x <= -3 ? T(0) : (x >= 3 ? dy : dy * (x / 3 + T(0.5)));
  }
};

struct Hardsigmoid {
  template <class T>
  static T value(T x, T, T) {
    return Relu6::value<T>(x + 3, 0, 0) / 6;
  }
  template <class T>
  static T gradient(T x, T dy, T, T) {
    return x <= -3 || x >= 3 ? T(0) : dy * T(1.0 / 6);
  }
};

struct Exp {
  template <class T>
  static T value(T x, T, T) {
    return exp_of(x);
  }
  template <class T>
  static T gradient(T y, T dy, T, T) {
    return dy * y;
  }
};

struct Log {
  template <class T>
  static T value(T x, T, T) {
    return log_of(x);
  }
  template <class T>
  static T gradient(T x, T dy, T, T) {
    return dy / x;
  }
};

struct Sqrt {
  template <class T>
  static T value(T x, T, T) {
    return std::sqrt(x);
  }
  template <class T>
  static T gradient(T y, T dy, T, T) {
    return dy / (2 * y);
  }
};

struct Clamp {
  template <class T>
  static T value(T x, T low, T high) {
    return x < low ? low : (x > high ? high : x);
  }
  template <class T>
  static T gradient(T x, T dy, T low, T high) {
    return x >= low && x <= high ? dy : T(0);
  }
};

struct Neg {
  template <class T>
  static T value(T x, T, T) {
    return -x;
  }
  template <class T>
  static T gradient(T, T dy, T, T) {
    return -dy;
  }
};

struct Square {
  template <class T>
  static T value(T x, T, T) {
    return x * x;
  }
  template <class T>
  static T gradient(T x, T dy, T, T) {
    return dy * (2 * x);
  }
};

struct Pow {
  template <class T>
  static T value(T x, T alpha, T) {
    return pow_of(x, alpha);
  }
  template <class T>
  static T gradient(T x, T dy, T alpha, T) {
    return alpha == 0 ? T(0) : dy * (alpha * pow_of(x, alpha - 1));
  }
};

struct Affine {
  template <class T>
  static T value(T x, T alpha, T beta) {
    return alpha * x + beta;
  }
  template <class T>
  static T gradient(T, T dy, T alpha, T) {
    return alpha * dy;
  }
};

struct Reciprocal {
  template <class T>
  static T value(T x, T alpha, T) {
    return alpha / x;
  }
  template <class T>
  static T gradient(T x, T dy, T alpha, T) {
    return dy * (-alpha / (x * x));
  }
};

template <class F>
void with_unary(UnaryFn fn, F&& f) {
  switch (fn) {
    case UnaryFn::relu:
      return f(Relu{});
    case UnaryFn::relu6:
      return f(Relu6{});
    case UnaryFn::leaky_relu:
      return f(LeakyRelu{});
    case UnaryFn::sigmoid:
      return f(Sigmoid{});
    case UnaryFn::tanh:
      return f(Tanh{});
    case UnaryFn::gelu:
      return f(Gelu{});
    case UnaryFn::gelu_tanh:
      return f(GeluTanh{});
    case UnaryFn::silu:
      return f(Silu{});
    case UnaryFn::hardswish:
      return f(Hardswish{});
    case UnaryFn::hardsigmoid:
      return f(Hardsigmoid{});
    case UnaryFn::exp:
      return f(Exp{});
    case UnaryFn::log:
      return f(Log{});
    case UnaryFn::sqrt:
      return f(Sqrt{});
    case UnaryFn::clamp:
      return f(Clamp{});
    case UnaryFn::neg:
      return f(Neg{});
    case UnaryFn::square:
      return f(Square{});
    case UnaryFn::pow:
      return f(Pow{});
    case UnaryFn::affine:
      return f(Affine{});
    case UnaryFn::reciprocal:
      return f(Reciprocal{});
  }
}

}  // namespace convoy::on_cpu
