// SPDX-License-Identifier: MIT
#pragma once
// The functions of kernels/elementwise.h as types: value(x, alpha, beta) and gradient(saved, dy,
// alpha, beta), where saved is what gradient_reads_output says. Comparisons are written so that NaN
// falls through to the branch that keeps it. The switch is uniform: one branch for all threads.
//
//   with_unary(fn, [&]<class Fn>(Fn) { for (float& e : v) e = Fn::value(e, alpha, beta); });

#include "kernels/elementwise.h"
#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

struct Relu {
  __device__ static float value(float x, float, float) { return x < 0.0f ? 0.0f : x; }
  __device__ static float gradient(float y, float dy, float, float) {
    return y <= 0.0f ? 0.0f : dy;
  }
};

struct Relu6 {
  __device__ static float value(float x, float = 0, float = 0) {
    return x < 0.0f ? 0.0f : (x > 6.0f ? 6.0f : x);
  }
  __device__ static float gradient(float y, float dy, float, float) {
    return y <= 0.0f || y >= 6.0f ? 0.0f : dy;
  }
};

struct LeakyRelu {
  __device__ static float value(float x, float alpha, float) { return x > 0.0f ? x : alpha * x; }
  __device__ static float gradient(float x, float dy, float alpha, float) {
    return x > 0.0f ? dy : alpha * dy;
  }
};

struct Sigmoid {
  __device__ static float value(float x, float = 0, float = 0) { return 1.0f / (1.0f + expf(-x)); }
  __device__ static float gradient(float y, float dy, float, float) {
    return dy * (y * (1.0f - y));
  }
};

struct Tanh {
  __device__ static float value(float x, float, float) { return tanhf(x); }
  __device__ static float gradient(float y, float dy, float, float) { return dy * (1.0f - y * y); }
};

struct Gelu {
  __device__ static float cdf(float x) { return 0.5f * (1.0f + erff(x * 0.707106781f)); }
  __device__ static float value(float x, float, float) { return x * cdf(x); }
  __device__ static float gradient(float x, float dy, float, float) {
    const float density = 0.398942280f * expf(-0.5f * x * x);
    return dy * (cdf(x) + x * density);
  }
};

struct GeluTanh {
  static constexpr float kSqrt2OverPi = 0.797884561f;
  __device__ static float inner(float x) {
    return tanhf(kSqrt2OverPi * (x + 0.044715f * x * x * x));
  }
  __device__ static float value(float x, float, float) { return 0.5f * x * (1.0f + inner(x)); }
  __device__ static float gradient(float x, float dy, float, float) {
    const float t = inner(x);
    const float slope = kSqrt2OverPi * (1.0f + 3 * 0.044715f * x * x);
    return dy * (0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * slope);
  }
};

struct Silu {
  __device__ static float value(float x, float, float) { return x / (1.0f + expf(-x)); }
  __device__ static float gradient(float x, float dy, float, float) {
    const float s = Sigmoid::value(x);
    return dy * (s * (1.0f + x * (1.0f - s)));
  }
};

struct Hardswish {
  __device__ static float value(float x, float, float) {
    return x * (Relu6::value(x + 3.0f) / 6.0f);
  }
  __device__ static float gradient(float x, float dy, float, float) {
    return x <= -3.0f ? 0.0f : (x >= 3.0f ? dy : dy * (x / 3.0f + 0.5f));
  }
};

struct Hardsigmoid {
  __device__ static float value(float x, float, float) { return Relu6::value(x + 3.0f) / 6.0f; }
  __device__ static float gradient(float x, float dy, float, float) {
    return x <= -3.0f || x >= 3.0f ? 0.0f : dy / 6.0f;
  }
};

struct Exp {
  __device__ static float value(float x, float, float) { return expf(x); }
  __device__ static float gradient(float y, float dy, float, float) { return dy * y; }
};

struct Log {
  __device__ static float value(float x, float, float) { return logf(x); }
  __device__ static float gradient(float x, float dy, float, float) { return dy / x; }
};

struct Sqrt {
  __device__ static float value(float x, float, float) { return sqrtf(x); }
  __device__ static float gradient(float y, float dy, float, float) { return dy / (2.0f * y); }
};

struct Clamp {
  __device__ static float value(float x, float low, float high) {
    return x < low ? low : (x > high ? high : x);
  }
  __device__ static float gradient(float x, float dy, float low, float high) {
    return x >= low && x <= high ? dy : 0.0f;
  }
};

struct Neg {
  __device__ static float value(float x, float, float) { return -x; }
  __device__ static float gradient(float, float dy, float, float) { return -dy; }
};

struct Square {
  __device__ static float value(float x, float, float) { return x * x; }
  __device__ static float gradient(float x, float dy, float, float) { return dy * (2.0f * x); }
};

struct Pow {
  __device__ static float value(float x, float alpha, float) { return powf(x, alpha); }
  __device__ static float gradient(float x, float dy, float alpha, float) {
    return alpha == 0.0f ? 0.0f : dy * (alpha * powf(x, alpha - 1.0f));
  }
};

struct Affine {
  __device__ static float value(float x, float alpha, float beta) { return alpha * x + beta; }
  __device__ static float gradient(float, float dy, float alpha, float) { return alpha * dy; }
};

struct Reciprocal {
  __device__ static float value(float x, float alpha, float) { return alpha / x; }
  __device__ static float gradient(float x, float dy, float alpha, float) {
    return dy * (-alpha / (x * x));
  }
};

template <class F>
__device__ __forceinline__ void with_unary(UnaryFn fn, F&& f) {
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

}  // namespace convoy::CONVOY_TARGET
