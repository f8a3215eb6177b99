// SPDX-License-Identifier: MIT
#pragma once
// The rows of one batch, spread over ranks, against batch normalisation of them all by its
// definition, on any device.

#include <gtest/gtest.h>

#include "kernels/copy.h"
#include "runtime/autograd.h"
#include "runtime/ops/batch_norm.h"
#include "runtime/run.h"
#include "tests/support/compare.h"
#include "tests/support/reference/batch_norm.h"
#include "tests/support/replayed_ranks.h"

namespace convoy::spread_batch {

using Doubles = std::vector<double>;

inline Doubles to_doubles(const Tensor& t) {
  const Tensor host = t.detach().to({}), wide = empty(t.shape(), {DType::f64});
  run(Cast{host.count(), host.data(), host.dtype(), wide.data(), DType::f64}, wide.stream());
  return to_vector<double>(wide);
}

// Rounded to the dtype.
inline Tensor tensor_of(const Doubles& values, const Shape& shape, const TensorOptions& options) {
  const Tensor wide = from_vector(values, shape), host = empty(shape, {options.dtype});
  run(Cast{wide.count(), wide.data(), DType::f64, host.data(), options.dtype}, host.stream());
  return host.to(options.device);
}

struct Case {
  std::vector<std::int64_t> cuts;  // where the ranks' rows begin, and end
  std::int64_t channels;
  double shift = 0;  // added to x
  bool residual = false, relu = false;
};

inline double eps_of(DType dtype) {
  return dtype == DType::f16 ? 0x1p-10 : dtype == DType::bf16 ? 0x1p-7 : 0x1p-23;
}

inline void expect_near(const Doubles& found, const Doubles& expected, DType dtype, double scale,
                        const char* what) {
  const double arithmetic = dtype == DType::f64 ? 0x1p-52 : 0x1p-23;
  const double rounding = dtype == DType::f64 ? 0x1p-52 : eps_of(dtype);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double limit = 4 * arithmetic * (std::abs(expected[i]) + scale) +
                         rounding * std::abs(expected[i]) + 0x1p-24 * (dtype == DType::f16);
    ASSERT_NEAR(found[i], expected[i], limit) << what << " " << i;
  }
}

// What each rank is to have in the end.
struct Found {
  Doubles y, dx, d_residual, d_scale, d_bias, running_mean, running_var;
};

class Whole {
 public:
  Whole(const Case& c, DType dtype, const Device& device)
      : c_(c), options_{dtype, device}, statistics_{statistics_dtype(dtype), device} {
    const std::int64_t rows = c.cuts.back(), n = rows * c.channels;
    const auto values = [&](std::int64_t count, std::uint32_t seed, double shift = 0) {
      Doubles v = testing::random_values<double>(count, seed);
      for (double& e : v) e += shift;
      return to_doubles(tensor_of(v, {count}, {dtype}));
    };
    ref = {rows, c.channels, values(n, 1, c.shift), {}, {}, {}, {}, {}, 1e-5, c.relu};
    if (c.residual) ref.residual = values(n, 2);
    ref.scale = values(c.channels, 3);
    ref.bias = values(c.channels, 4);
    ref.take_batch_statistics();
    dy = values(n, 5);
  }

  Found run_rank(const std::shared_ptr<RankExchange>& ranks) const {
    const auto r = static_cast<std::size_t>(ranks->rank());
    const auto rows = [&](const Doubles& all) {
      return all.empty() ? Tensor() : rows_of(all, c_.cuts[r], c_.cuts[r + 1]);
    };
    Tensor x = rows(ref.x), residual = rows(ref.residual);
    Tensor scale = tensor_of(ref.scale, {c_.channels}, options_);
    Tensor bias = tensor_of(ref.bias, {c_.channels}, options_);
    for (Tensor* t : {&x, &residual, &scale, &bias}) {
      if (t->defined()) t->set_requires_grad(true);
    }
    const Tensor mean = full({c_.channels}, 2, statistics_),
                 var = full({c_.channels}, 3, statistics_);
    const Tensor y = synchronised_batch_norm_act(x, scale, bias, mean, var, 0.25, 1e-5, residual,
                                                 c_.relu, ranks);
    y.backward(rows(dy));
    return {to_doubles(y),
            to_doubles(x.grad()),
            residual.defined() ? to_doubles(residual.grad()) : Doubles(),
            to_doubles(scale.grad()),
            to_doubles(bias.grad()),
            to_doubles(mean),
            to_doubles(var)};
  }

  reference::BatchNorm ref;
  Doubles dy;

 private:
  Tensor rows_of(const Doubles& all, std::int64_t begin, std::int64_t end) const {
    return tensor_of(Doubles(all.begin() + begin * c_.channels, all.begin() + end * c_.channels),
                     {end - begin, 1, c_.channels}, options_);
  }

  Case c_;
  TensorOptions options_, statistics_;
};

inline void append(Doubles& all, const Doubles& more) {
  all.insert(all.end(), more.begin(), more.end());
}

inline void expect_the_whole(const Case& c, DType dtype, const Device& device) {
  const Whole whole(c, dtype, device);
  std::vector<Found> found(c.cuts.size() - 1);
  testing::replay_ranks(static_cast<int>(found.size()), [&](const auto& ranks) {
    found[static_cast<std::size_t>(ranks->rank())] = whole.run_rank(ranks);
  });
  Found all;
  all.d_scale.resize(static_cast<std::size_t>(c.channels)), all.d_bias = all.d_scale;
  Doubles running_mean, running_var;
  const double rows = static_cast<double>(c.cuts.back());
  for (std::size_t k = 0; k < whole.ref.mean.size(); ++k) {
    running_mean.push_back(0.75 * 2 + 0.25 * whole.ref.mean[k]);
    running_var.push_back(0.75 * 3 + 0.25 * whole.ref.var[k] * rows / (rows - 1));
  }
  const DType statistics = statistics_dtype(dtype);
  for (const Found& f : found) {
    append(all.y, f.y), append(all.dx, f.dx), append(all.d_residual, f.d_residual);
    all.d_scale = testing::plus(all.d_scale, f.d_scale);
    all.d_bias = testing::plus(all.d_bias, f.d_bias);
    expect_near(f.running_mean, running_mean, statistics, 1, "running mean");
    expect_near(f.running_var, running_var, statistics, 1, "running variance");
    EXPECT_EQ(f.running_var, found[0].running_var);
  }
  double gain = 1;
  for (const double v : whole.ref.var) gain = std::max(gain, 1 / std::sqrt(v + 1e-5));
  const double size = gain * (3 + c.shift);  // the mean's rounding counts
  expect_near(all.y, whole.ref.forward(), dtype, size, "y");
  const auto d = whole.ref.backward(whole.dy, true);
  expect_near(all.dx, d.x, dtype, gain * 4 * size, "dx");
  if (c.residual) {
    EXPECT_EQ(all.d_residual, d.residual);
  }
  // Each rank's sum is rounded to the dtype.
  const double of_ranks = std::sqrt(rows) * eps_of(dtype) / 0x1p-23;
  expect_near(all.d_scale, d.scale, dtype, of_ranks * size, "d_scale");
  expect_near(all.d_bias, d.bias, dtype, of_ranks, "d_bias");
}

inline const Case kCases[] = {{{0, 17, 34}, 5},
                              {{0, 5, 19, 33}, 3, 0, true, true},
                              {{0, 1, 40, 41, 64}, 8, 0, false, true},
                              {{0, 9, 9, 30}, 4, 0, true},  // a rank without rows
                              {{0, 300, 700}, 3, 1000},     // a large mean
                              {{0, 1, 2}, 2},
                              {{0, 12}, 3, 0, true, true}};

}  // namespace convoy::spread_batch
