// SPDX-License-Identifier: MIT
#include "kernels/elementwise.h"

#include <cmath>

#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements that are worth waking a thread for

// Each function: value(x) and gradient(saved, dy), where saved is what gradient_reads_output says.
// Comparisons are written so that NaN falls through to the branch that keeps it.
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
void with_function(UnaryFn fn, F&& f) {
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

// `simd` asserts that elements do not depend on each other, so that y = x is vectorised too. Not
// inlined: g++ 12 gives up on some of the loops when it copies them into two callers.
template <class Fn, class T>
[[gnu::noinline]] void forward_range(const T* x, T* y, T alpha, T beta, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] = Fn::value(x[i], alpha, beta);
}

template <class Fn, bool accumulate, class T>
[[gnu::noinline]] void backward_range(const T* saved, const T* dy, T* dx, T alpha, T beta,
                                      std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T gradient = Fn::gradient(saved[i], dy[i], alpha, beta);
    if constexpr (accumulate) {
      dx[i] += gradient;
    } else {
      dx[i] = gradient;
    }
  }
}

}  // namespace

Plan plan(const Unary&, const Device&) { return {}; }

void run(const Unary& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    with_function(op.fn, [&]<class Fn>(Fn) {
      parallel_for(op.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        forward_range<Fn>(static_cast<const T*>(op.x) + begin, static_cast<T*>(op.y) + begin,
                          static_cast<T>(op.alpha), static_cast<T>(op.beta), end - begin);
      });
    });
  });
}

Plan plan(const UnaryBackward&, const Device&) { return {}; }

void run(const UnaryBackward& op, const Plan&, void*, const Stream&) {
  // A constant derivative reads nothing from `saved`; dy stands in for it.
  const void* saved = gradient_is_constant(op.fn) ? op.dy : op.saved;
  with_float(op.dtype, [&]<class T>(Type<T>) {
    with_function(op.fn, [&]<class Fn>(Fn) {
      parallel_for(op.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        const auto range =
            op.accumulate ? backward_range<Fn, true, T> : backward_range<Fn, false, T>;
        range(static_cast<const T*>(saved) + begin, static_cast<const T*>(op.dy) + begin,
              static_cast<T*>(op.dx) + begin, static_cast<T>(op.alpha), static_cast<T>(op.beta),
              end - begin);
      });
    });
  });
}

}  // namespace convoy::on_cpu
