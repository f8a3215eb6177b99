// SPDX-License-Identifier: MIT
// Plain loops: on cpu the fused convolution is composed of the ops of kernels/conv2d.h and
// batch_norm.h, which are the quick ones.
#include "kernels/norm_act.h"

#include <cmath>
#include <vector>

#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

template <class T>
T value_or(const void* values, std::int64_t c, T missing) {
  return values == nullptr ? missing : static_cast<const T*>(values)[c];
}

template <class T>
T normed(const NormLine& line, T x) {
  return (x - static_cast<T>(line.mean)) * static_cast<T>(line.gain) + static_cast<T>(line.bias);
}

// Calls f(element, channel) in the order of memory.
template <class F>
void for_each_element(std::int64_t rows, std::int64_t channels, F&& f) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < channels; ++c) f(r * channels + c, c);
  }
}

void move_running(float* running, std::int64_t c, double momentum, double batch) {
  if (running == nullptr) return;
  running[c] =
      static_cast<float>((1 - momentum) * static_cast<double>(running[c]) + momentum * batch);
}

template <class T>
void put(void* out, std::int64_t c, double value, bool accumulate) {
  if (out == nullptr) return;
  T& to = static_cast<T*>(out)[c];
  to = static_cast<T>(accumulate ? static_cast<double>(to) + value : value);
}

template <class T>
void add_sums(const NormActBackward& op) {
  const auto* dy = static_cast<const T*>(op.dy);
  const auto *x = static_cast<const T*>(op.x), *y = static_cast<const T*>(op.y);
  auto* g = static_cast<T*>(op.g);
  std::vector<double> sums(static_cast<std::size_t>(2 * op.channels));
  for_each_element(op.rows, op.channels, [&](std::int64_t i, std::int64_t c) {
    const T z = y != nullptr ? y[i] : normed(op.lines[c], x[i]);
    const T passed = op.relu && z <= 0 ? T{0} : dy[i];
    double* const of = &sums[static_cast<std::size_t>(2 * c)];
    of[0] += static_cast<double>(passed);
    of[1] += static_cast<double>(passed) * (static_cast<double>(x[i]) - op.lines[c].mean);
    if (g != nullptr) g[i] = passed;
  });
  for (std::int64_t c = 0; c < op.channels; ++c) {
    const double* const of = &sums[static_cast<std::size_t>(2 * c)];
    op.sums[c] = static_cast<float>(of[0]);
    op.sums[op.channels + c] = static_cast<float>(of[1]);
  }
}

}  // namespace

Plan plan(const NormLinesFromBatch&, const Device&) { return {}; }
Plan plan(const NormAct&, const Device&) { return {}; }
Plan plan(const NormActBackward&, const Device&) { return {}; }
Plan plan(const NormGradientLines&, const Device&) { return {}; }

void run(const NormLinesFromBatch& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    const double n = static_cast<double>(op.rows);
    for (std::int64_t c = 0; c < op.channels; ++c) {
      const double rstd = 1 / std::sqrt(op.var[c] + op.eps);
      op.lines[c] = {op.mean[c], static_cast<float>(value_or<T>(op.scale, c, 1) * rstd),
                     static_cast<float>(value_or<T>(op.bias, c, 0)), static_cast<float>(rstd)};
      move_running(op.running_mean, c, op.momentum, op.mean[c]);
      move_running(op.running_var, c, op.momentum, op.var[c] * (n / (n - 1)));
    }
  });
}

void run(const NormAct& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    const auto *x = static_cast<const T*>(op.x), *residual = static_cast<const T*>(op.residual);
    for_each_element(op.rows, op.channels, [&](std::int64_t i, std::int64_t c) {
      T v = normed(op.lines[c], x[i]);
      if (op.residual_lines != nullptr) {
        v += normed(op.residual_lines[c], residual[i]);
      } else if (residual != nullptr) {
        v += residual[i];
      }
      static_cast<T*>(op.y)[i] = op.relu && v < 0 ? T{0} : v;
    });
  });
}

void run(const NormActBackward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { add_sums<T>(op); });
}

void run(const NormGradientLines& op, const Plan&, void*, const Stream&) {
  with_float(op.grad_dtype, [&]<class T>(Type<T>) {
    const double rows = static_cast<double>(op.rows);
    for (std::int64_t c = 0; c < op.channels; ++c) {
      const NormLine line = op.lines[c];
      const double rstd = line.rstd;
      put<T>(op.d_scale, c, op.dot[c] * rstd, op.accumulate_scale);
      put<T>(op.d_bias, c, op.sum[c], op.accumulate_bias);
      op.out[c] = {line.mean, line.gain, static_cast<float>(op.sum[c] / rows),
                   static_cast<float>(op.dot[c] * rstd * rstd / rows)};
    }
  });
}

}  // namespace convoy::on_cpu
