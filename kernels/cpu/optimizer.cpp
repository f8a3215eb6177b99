// SPDX-License-Identifier: MIT
#include "kernels/optimizer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "kernels/cpu/parallel.h"
#include "kernels/half.h"

namespace convoy::on_cpu {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements that are worth waking a thread for

// What every step reads from StepState, in the type that it computes in.
template <class T>
struct StepValues {
  T learning_rate;
  T gradient_factor;
};

template <class T>
StepValues<T> read(const StepState& state, int group) {
  return {static_cast<T>(state.learning_rate[group]),
          static_cast<T>(unscale_factor(state)) * static_cast<T>(state.clip_factor)};
}

// Calls f(i) for all elements. Steps read and write element i only, so lanes are independent.
template <class F>
void for_each_element(std::int64_t count, F f) {
  parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    F local = f;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) local(i);
  });
}

// The model's weights, rounded from the masters in [begin, end).
void round_to_half(const HalfCopy& half, const void* masters, std::int64_t begin,
                   std::int64_t end) {
  if (half.data == nullptr) return;
  const auto* const p = static_cast<const float*>(masters);
  const auto round = [&]<class H>(H* to) {
    for_each_element(end - begin,
                     [=](std::int64_t i) { to[begin + i] = from_float<H>(p[begin + i]); });
  };
  half.dtype == DType::f16 ? round(static_cast<F16*>(half.data))
                           : round(static_cast<BF16*>(half.data));
}

template <class T>
void sgd(const SgdStep& op) {
  const auto [lr, factor] = read<T>(*op.state, op.group);
  const T momentum = static_cast<T>(op.options.momentum);
  const T decay = static_cast<T>(op.options.weight_decay);
  T* const p = static_cast<T*>(op.parameter);
  const T* const gradient = static_cast<const T*>(op.gradient);
  T* const buffer = static_cast<T*>(op.momentum);
  if (momentum == 0) {
    for_each_element(op.count, [=, lr = lr, factor = factor](std::int64_t i) {
      p[i] -= lr * (gradient[i] * factor + decay * p[i]);
    });
  } else if (op.options.nesterov) {
    for_each_element(op.count, [=, lr = lr, factor = factor](std::int64_t i) {
      const T g = gradient[i] * factor + decay * p[i];
      buffer[i] = momentum * buffer[i] + g;
      p[i] -= lr * (g + momentum * buffer[i]);
    });
  } else {
    for_each_element(op.count, [=, lr = lr, factor = factor](std::int64_t i) {
      buffer[i] = momentum * buffer[i] + (gradient[i] * factor + decay * p[i]);
      p[i] -= lr * buffer[i];
    });
  }
}

template <class T>
void adam(const AdamWStep& op) {
  const auto [lr, factor] = read<T>(*op.state, op.group);
  const AdamOptions& o = op.options;
  const double t = static_cast<double>(op.state->updates) + 1;
  const T step_size = static_cast<T>(lr / (1 - std::pow(o.beta1, t)));
  const T root = static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, t)));
  const T keep = o.decoupled ? 1 - lr * static_cast<T>(o.weight_decay) : T(1);
  const T decay = o.decoupled ? T(0) : static_cast<T>(o.weight_decay);
  const T rest1 = static_cast<T>(1 - o.beta1), rest2 = static_cast<T>(1 - o.beta2);
  const T beta2 = static_cast<T>(o.beta2), eps = static_cast<T>(o.eps);
  T* const p = static_cast<T*>(op.parameter);
  const T* const gradient = static_cast<const T*>(op.gradient);
  T *const m = static_cast<T*>(op.exp_avg), *const v = static_cast<T*>(op.exp_avg_sq);
  for_each_element(op.count, [=, factor = factor](std::int64_t i) {
    const T g = gradient[i] * factor + decay * p[i];
    m[i] += rest1 * (g - m[i]);
    v[i] = beta2 * v[i] + rest2 * g * g;
    p[i] = keep * p[i] - step_size * m[i] / (std::sqrt(v[i]) * root + eps);
  });
}

template <class T>
void rmsprop(const RmspropStep& op) {
  const auto [lr, factor] = read<T>(*op.state, op.group);
  const T alpha = static_cast<T>(op.options.alpha), rest = static_cast<T>(1 - op.options.alpha);
  const T eps = static_cast<T>(op.options.eps), decay = static_cast<T>(op.options.weight_decay);
  const T momentum = static_cast<T>(op.options.momentum);
  T* const p = static_cast<T*>(op.parameter);
  const T* const gradient = static_cast<const T*>(op.gradient);
  T *const square = static_cast<T*>(op.square_avg), *const average = static_cast<T*>(op.grad_avg);
  T* const buffer = static_cast<T*>(op.momentum);
  const auto update = [=, factor = factor](std::int64_t i) {
    const T g = gradient[i] * factor + decay * p[i];
    square[i] = alpha * square[i] + rest * g * g;
    T spread = square[i];
    if (average) {
      average[i] += rest * (g - average[i]);
      spread = std::max(spread - average[i] * average[i], T(0));
    }
    return g / (std::sqrt(spread) + eps);
  };
  if (momentum == 0) {
    for_each_element(op.count, [=, lr = lr](std::int64_t i) { p[i] -= lr * update(i); });
  } else {
    for_each_element(op.count, [=, lr = lr](std::int64_t i) {
      buffer[i] = momentum * buffer[i] + update(i);
      p[i] -= lr * buffer[i];
    });
  }
}

// In eight lanes, so that the order of the sum does not depend on the compiler.
template <class T>
double sum_of_squares(const T* x, std::int64_t n) {
  double lane[8] = {};
  const std::int64_t whole = n - n % 8;
  for (std::int64_t i = 0; i < whole; i += 8) {
    for (int j = 0; j < 8; ++j) lane[j] += static_cast<double>(x[i + j]) * x[i + j];
  }
  for (std::int64_t i = whole; i < n; ++i) lane[i - whole] += static_cast<double>(x[i]) * x[i];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

double trust_ratio(const LarsOptions& o, double p_norm, double g_norm) {
  if (o.weight_decay == 0 || p_norm == 0 || g_norm == 0) return 1;
  return o.trust_coefficient * p_norm / (g_norm + o.weight_decay * p_norm + o.eps);
}

double sum_over_ranks(const SquaresOfRanks& squares, std::int64_t at) {
  double sum = 0;
  for (std::int64_t r = 0; r < squares.ranks; ++r) sum += squares.data[r * squares.stride + at];
  return sum;
}

template <class T>
void lars_slice(const LarsStep& op, std::int64_t index) {
  const ParameterSlice& slice = op.slices[index];
  const bool given = op.squares.data != nullptr;
  const auto [lr, factor] = read<T>(*op.state, op.group);
  T* const p = static_cast<T*>(op.parameter) + slice.begin;
  const T* const gradient = static_cast<const T*>(op.gradient) + slice.begin;
  T* const buffer = static_cast<T*>(op.momentum) + slice.begin;
  const double p_squared =
      given ? sum_over_ranks(op.squares, 2 * index) : sum_of_squares(p, slice.count);
  const double g_squared =
      given ? sum_over_ranks(op.squares, 2 * index + 1) : sum_of_squares(gradient, slice.count);
  const double p_norm = std::sqrt(p_squared);
  const double g_norm = std::sqrt(g_squared) * std::abs(double{factor});
  const T ratio = static_cast<T>(trust_ratio(op.options, p_norm, g_norm));
  const T momentum = static_cast<T>(op.options.momentum);
  const T decay = static_cast<T>(op.options.weight_decay);
  const T ahead = op.options.nesterov ? momentum : T(0);
  for (std::int64_t i = 0; i < slice.count; ++i) {
    const T g = (gradient[i] * factor + decay * p[i]) * ratio;
    buffer[i] = momentum * buffer[i] + g;
    p[i] -= lr * (op.options.nesterov ? g + ahead * buffer[i] : buffer[i]);
  }
  round_to_half(op.half, op.parameter, slice.begin, slice.begin + slice.count);
}

// The first slice that holds an element which is not finite.
template <class T>
void name_first_bad(const CheckFinite& op, const T* x) {
  const auto is_bad = [](T v) { return !(std::abs(v) <= std::numeric_limits<T>::max()); };
  for (std::int64_t i = 0; i < op.slice_count; ++i) {
    const T* const begin = x + op.slices[i].begin;
    if (std::none_of(begin, begin + op.slices[i].count, is_bad)) continue;
    const auto index = op.first_parameter + static_cast<std::int32_t>(i);
    op.state->first_bad = std::min(op.state->first_bad, index);
    return;
  }
}

std::int64_t blocks_of(std::int64_t count) { return (count + kGrain - 1) / kGrain; }

}  // namespace

Plan plan(const SgdStep&, const Device&) { return {}; }

void run(const SgdStep& op, const Plan&, void*, const Stream&) {
  require_half_copy("sgd", op.dtype, op.half);
  if (op.state->found_inf) return;
  with_float(op.dtype, [&]<class T>(Type<T>) { sgd<T>(op); });
  round_to_half(op.half, op.parameter, 0, op.count);
}

Plan plan(const AdamWStep&, const Device&) { return {}; }

void run(const AdamWStep& op, const Plan&, void*, const Stream&) {
  require_half_copy("adamw", op.dtype, op.half);
  if (op.state->found_inf) return;
  with_float(op.dtype, [&]<class T>(Type<T>) { adam<T>(op); });
  round_to_half(op.half, op.parameter, 0, op.count);
}

Plan plan(const RmspropStep&, const Device&) { return {}; }

void run(const RmspropStep& op, const Plan&, void*, const Stream&) {
  require_half_copy("rmsprop", op.dtype, op.half);
  if (op.state->found_inf) return;
  with_float(op.dtype, [&]<class T>(Type<T>) { rmsprop<T>(op); });
  round_to_half(op.half, op.parameter, 0, op.count);
}

Plan plan(const LarsStep&, const Device&) { return {}; }

// One thread to a parameter: a norm is needed before its first update.
void run(const LarsStep& op, const Plan&, void*, const Stream&) {
  require_half_copy("lars", op.dtype, op.half);
  if (op.state->found_inf) return;
  with_float(op.dtype, [&]<class T>(Type<T>) {
    parallel_for(op.slice_count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s) lars_slice<T>(op, s);
    });
  });
}

Plan plan(const EmaStep&, const Device&) { return {}; }

void run(const EmaStep& op, const Plan&, void*, const Stream&) {
  if (op.state->found_inf) return;
  with_float(op.dtype, [&]<class T>(Type<T>) {
    const T rest = static_cast<T>(1.0 - op.state->ema_decay);
    T* const average = static_cast<T*>(op.average);
    const T* const p = static_cast<const T*>(op.parameter);
    for_each_element(op.count, [=](std::int64_t i) { average[i] += rest * (p[i] - average[i]); });
  });
}

Plan plan(const ScaleGradients&, const Device&) { return {}; }

void run(const ScaleGradients& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    const T factor = read<T>(*op.state, 0).gradient_factor;
    T* const g = static_cast<T*>(op.gradient);
    for_each_element(op.count, [=](std::int64_t i) { g[i] *= factor; });
  });
}

Plan plan(const CheckFinite&, const Device&) { return {}; }

void run(const CheckFinite& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    const T* const x = static_cast<const T*>(op.x);
    parallel_for(op.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      int bad = 0;
#pragma omp simd reduction(| : bad)
      for (std::int64_t i = begin; i < end; ++i) {
        bad |= std::abs(x[i]) <= std::numeric_limits<T>::max() ? 0 : 1;
      }
      if (bad) std::atomic_ref(op.state->found_inf).store(1, std::memory_order_relaxed);
    });
    if (op.state->found_inf) name_first_bad(op, x);
  });
}

Plan plan(const SquaredNorm& op, const Device&) {
  return {"blocks", static_cast<std::size_t>(blocks_of(op.count)) * sizeof(double)};
}

void run(const SquaredNorm& op, const Plan&, void* workspace, const Stream&) {
  double* const partial = static_cast<double*>(workspace);
  const std::int64_t blocks = blocks_of(op.count);
  with_float(op.dtype, [&]<class T>(Type<T>) {
    const T* const x = static_cast<const T*>(op.x);
    parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) {
        const std::int64_t first = b * kGrain;
        partial[b] = sum_of_squares(x + first, std::min(kGrain, op.count - first));
      }
    });
  });
  double total = 0;
  for (std::int64_t b = 0; b < blocks; ++b) total += partial[b];
  *op.y = op.accumulate ? *op.y + total : total;
}

Plan plan(const ClipFactor&, const Device&) { return {}; }

void run(const ClipFactor& op, const Plan&, void*, const Stream&) {
  double squared = op.squared_norm[0];
  for (std::int64_t i = 1; i < op.parts; ++i) squared += op.squared_norm[i];
  const double norm = std::sqrt(squared) * std::abs(double{unscale_factor(*op.state)});
  if (!std::isfinite(norm)) {
    op.state->found_inf = 1;
    return;
  }
  op.state->gradient_norm = static_cast<float>(norm);
  op.state->clip_factor = static_cast<float>(std::min(1.0, op.max_norm / (norm + 1e-6)));
}

Plan plan(const AgreeOnFinite&, const Device&) { return {}; }

void run(const AgreeOnFinite& op, const Plan&, void*, const Stream&) {
  for (std::int64_t r = 0; r < op.ranks; ++r) {
    if (op.each[2 * r] != 0) op.state->found_inf = 1;
    op.state->first_bad = std::min(op.state->first_bad, op.each[2 * r + 1]);
  }
}

}  // namespace convoy::on_cpu
