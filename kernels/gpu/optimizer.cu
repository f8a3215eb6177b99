// SPDX-License-Identifier: MIT
// Steps that look at one element at a time. Arithmetic and new state are f32; what is stored is
// rounded once, and a parameter's update takes the state before that rounding.
#include "kernels/optimizer.h"

#include <cmath>

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/step_values.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

struct SgdFactors {
  float momentum, decay;
  bool nesterov;
};

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    sgd_each(Flat flat, SgdFactors o, const StepState* state, int group, T* parameter,
             HalfCopy half, const T* gradient, T* momentum) {
  begin_kernel();
  if (state->found_inf) return;
  const StepValues step = step_values(*state, group);
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    float p[N], g[N];
    load_floats(parameter + first, p);
    load_floats(gradient + first, g);
    for (int j = 0; j < N; ++j) g[j] = decayed(g[j], step, o.decay, p[j]);
    if (o.momentum != 0.0f) {
      float b[N];
      load_floats(momentum + first, b);
      for (int j = 0; j < N; ++j) {
        b[j] = o.momentum * b[j] + g[j];
        g[j] = o.nesterov ? g[j] + o.momentum * b[j] : b[j];
      }
      store_floats(momentum + first, b);
    }
    for (int j = 0; j < N; ++j) p[j] -= step.learning_rate * g[j];
    store_floats(parameter + first, p);
    store_half<T>(half, first, p);
  });
}

struct AdamFactors {
  float rest1, beta2, rest2;  // 1 - beta1, beta2, 1 - beta2
  double log_beta1, log_beta2;
  float eps, decay;
  bool decoupled;
};

// 1 - beta^t without a power in double precision, which most GPUs are slow at, and without the
// cancellation that f32 would have.
__device__ __forceinline__ float one_minus_power(double log_beta, std::int64_t t) {
  return -expm1f(static_cast<float>(log_beta * static_cast<double>(t)));
}

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    adam_each(Flat flat, AdamFactors o, const StepState* state, int group, T* parameter,
              HalfCopy half, const T* gradient, T* exp_avg, T* exp_avg_sq) {
  begin_kernel();
  if (state->found_inf) return;
  const StepValues step = step_values(*state, group);
  const float step_size = step.learning_rate / one_minus_power(o.log_beta1, state->updates + 1);
  const float root = 1.0f / sqrtf(one_minus_power(o.log_beta2, state->updates + 1));
  const float keep = o.decoupled ? 1.0f - step.learning_rate * o.decay : 1.0f;
  const float decay = o.decoupled ? 0.0f : o.decay;
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    float p[N], g[N], m[N], v[N];
    load_floats(parameter + first, p);
    load_floats(gradient + first, g);
    load_floats(exp_avg + first, m);
    load_floats(exp_avg_sq + first, v);
    for (int j = 0; j < N; ++j) {
      g[j] = decayed(g[j], step, decay, p[j]);
      m[j] += o.rest1 * (g[j] - m[j]);
      v[j] = fmaf(o.beta2, v[j], o.rest2 * g[j] * g[j]);
      p[j] = keep * p[j] - step_size * m[j] / (sqrtf(v[j]) * root + o.eps);
    }
    store_floats(exp_avg + first, m);
    store_floats(exp_avg_sq + first, v);
    store_floats(parameter + first, p);
    store_half<T>(half, first, p);
  });
}

struct RmspropFactors {
  float alpha, rest;  // alpha, 1 - alpha
  float eps, decay, momentum;
};

// `average` and `momentum` may be null.
template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    rmsprop_each(Flat flat, RmspropFactors o, const StepState* state, int group, T* parameter,
                 HalfCopy half, const T* gradient, T* square, T* average, T* momentum) {
  begin_kernel();
  if (state->found_inf) return;
  const StepValues step = step_values(*state, group);
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    float p[N], g[N], s[N], a[N];
    load_floats(parameter + first, p);
    load_floats(gradient + first, g);
    load_floats(square + first, s);
    for (int j = 0; j < N; ++j) {
      g[j] = decayed(g[j], step, o.decay, p[j]);
      s[j] = fmaf(o.alpha, s[j], o.rest * g[j] * g[j]);
    }
    store_floats(square + first, s);
    if (average) {
      load_floats(average + first, a);
      for (int j = 0; j < N; ++j) {
        a[j] += o.rest * (g[j] - a[j]);
        s[j] -= a[j] * a[j];
        s[j] = s[j] < 0.0f ? 0.0f : s[j];
      }
      store_floats(average + first, a);
    }
    for (int j = 0; j < N; ++j) g[j] = g[j] / (sqrtf(s[j]) + o.eps);
    if (o.momentum != 0.0f) {
      load_floats(momentum + first, a);
      for (int j = 0; j < N; ++j) g[j] += o.momentum * a[j];
      store_floats(momentum + first, g);
    }
    for (int j = 0; j < N; ++j) p[j] -= step.learning_rate * g[j];
    store_floats(parameter + first, p);
    store_half<T>(half, first, p);
  });
}

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    ema_each(Flat flat, const StepState* state, T* average, const T* parameter) {
  begin_kernel();
  if (state->found_inf) return;
  const float rest = 1.0f - state->ema_decay;
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    float a[N], p[N];
    load_floats(average + first, a);
    load_floats(parameter + first, p);
    for (int j = 0; j < N; ++j) a[j] += rest * (p[j] - a[j]);
    store_floats(average + first, a);
  });
}

template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    scale_each(Flat flat, const StepState* state, T* gradient) {
  begin_kernel();
  const float factor = step_values(*state, 0).gradient_factor;
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    float g[N];
    load_floats(gradient + first, g);
    for (float& e : g) e *= factor;
    store_floats(gradient + first, g);
  });
}

}  // namespace

Plan plan(const SgdStep&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const SgdStep& op, const Plan&, void*, const Stream& stream) {
  const SgdFactors o{static_cast<float>(op.options.momentum),
                     static_cast<float>(op.options.weight_decay), op.options.nesterov};
  require_half_copy("sgd", op.dtype, op.half);
  with_dtype("sgd", op.dtype, [&]<class T>(Type<T>) {
    launch_flat(flat_over<T>(op.count, op.parameter, op.half.data, op.gradient, op.momentum),
                stream, sgd_each<T>, o, op.state, op.group, static_cast<T*>(op.parameter), op.half,
                static_cast<const T*>(op.gradient), static_cast<T*>(op.momentum));
  });
}

Plan plan(const AdamWStep&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const AdamWStep& op, const Plan&, void*, const Stream& stream) {
  const AdamOptions& a = op.options;
  const AdamFactors o{.rest1 = static_cast<float>(1 - a.beta1),
                      .beta2 = static_cast<float>(a.beta2),
                      .rest2 = static_cast<float>(1 - a.beta2),
                      .log_beta1 = std::log(a.beta1),
                      .log_beta2 = std::log(a.beta2),
                      .eps = static_cast<float>(a.eps),
                      .decay = static_cast<float>(a.weight_decay),
                      .decoupled = a.decoupled};
  require_half_copy("adamw", op.dtype, op.half);
  with_dtype("adamw", op.dtype, [&]<class T>(Type<T>) {
    launch_flat(
        flat_over<T>(op.count, op.parameter, op.half.data, op.gradient, op.exp_avg, op.exp_avg_sq),
        stream, adam_each<T>, o, op.state, op.group, static_cast<T*>(op.parameter), op.half,
        static_cast<const T*>(op.gradient), static_cast<T*>(op.exp_avg),
        static_cast<T*>(op.exp_avg_sq));
  });
}

Plan plan(const RmspropStep&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const RmspropStep& op, const Plan&, void*, const Stream& stream) {
  const RmspropOptions& r = op.options;
  const RmspropFactors o{.alpha = static_cast<float>(r.alpha),
                         .rest = static_cast<float>(1 - r.alpha),
                         .eps = static_cast<float>(r.eps),
                         .decay = static_cast<float>(r.weight_decay),
                         .momentum = static_cast<float>(r.momentum)};
  require_half_copy("rmsprop", op.dtype, op.half);
  with_dtype("rmsprop", op.dtype, [&]<class T>(Type<T>) {
    launch_flat(flat_over<T>(op.count, op.parameter, op.half.data, op.gradient, op.square_avg,
                             op.momentum, op.grad_avg),
                stream, rmsprop_each<T>, o, op.state, op.group, static_cast<T*>(op.parameter),
                op.half, static_cast<const T*>(op.gradient), static_cast<T*>(op.square_avg),
                static_cast<T*>(op.grad_avg), static_cast<T*>(op.momentum));
  });
}

Plan plan(const EmaStep&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const EmaStep& op, const Plan&, void*, const Stream& stream) {
  with_dtype("ema", op.dtype, [&]<class T>(Type<T>) {
    launch_flat(flat_over<T>(op.count, op.average, op.parameter), stream, ema_each<T>, op.state,
                static_cast<T*>(op.average), static_cast<const T*>(op.parameter));
  });
}

Plan plan(const ScaleGradients&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const ScaleGradients& op, const Plan&, void*, const Stream& stream) {
  with_dtype("scale gradients", op.dtype, [&]<class T>(Type<T>) {
    launch_flat(flat_over<T>(op.count, op.gradient), stream, scale_each<T>, op.state,
                static_cast<T*>(op.gradient));
  });
}

}  // namespace convoy::CONVOY_TARGET
