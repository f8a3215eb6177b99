// SPDX-License-Identifier: MIT
#pragma once
// One pass of a convolution on one rung of conv2d's ladder, compared with the reference.

#include <cmath>
#include <optional>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/gpu/variants.h"
#include "tests/support/gpu_case.h"
#include "tests/support/reference/conv2d.h"

namespace convoy::testing {

using Values = std::vector<double>;

// With a workspace whose end is watched.
template <class Op>
void run_rung(const Op& op, const char* rung) {
  const Plan plan = plan_variant(op, case_device(), rung);
  const Values untouched(64, 0xff);
  const DeviceArray workspace(DType::u8,
                              static_cast<std::int64_t>(plan.workspace_bytes + untouched.size()));
  run(op, plan, workspace.data(), Stream{case_device()});
  const Values bytes = workspace.values();
  EXPECT_EQ(Values(bytes.end() - 64, bytes.end()), untouched) << rung << " passed its workspace";
}

// A result with more room than it needs: what is there before, and a tail that must stay.
constexpr std::int64_t kTail = 40;
inline Values destination(DType dtype, std::int64_t count, bool accumulate) {
  if (accumulate) return random_doubles(dtype, count + kTail, 77);
  return Values(static_cast<std::size_t>(count + kTail), std::nan(""));
}
inline Values expected(const Values& result, Values before, bool accumulate) {
  for (std::size_t i = 0; i < result.size(); ++i) {
    before[i] = accumulate ? before[i] + result[i] : result[i];
  }
  return before;
}

inline Bound bound(std::int64_t terms) { return sum_bound(static_cast<double>(terms) + 2); }

struct Problem {
  Conv2dGeometry g;
  DType dtype;
  Values x, weight, dy, bias;

  Problem(const Shape& x_shape, const Shape& weight_shape, const Conv2dOptions& options, DType type)
      : g(conv2d_geometry(x_shape, weight_shape, options)), dtype(type) {
    x = random_doubles(dtype, x_shape.count(), 1);
    weight = random_doubles(dtype, weight_shape.count(), 2);
    dy = random_doubles(dtype, g.output_shape().count(), 3);
    bias = random_doubles(dtype, g.K, 4);
  }
  std::int64_t taps() const { return g.R * g.S; }
};

inline void check_forward(const Problem& p, bool with_bias, const char* rung) {
  const DeviceArray x(p.dtype, p.x), weight(p.dtype, p.weight), bias(p.dtype, p.bias);
  const auto before = destination(p.dtype, p.g.output_shape().count(), false);
  const DeviceArray y(p.dtype, before);
  Conv2dForward op{p.g, x.data(), weight.data(), y.data(), p.dtype};
  op.epilogue.bias = with_bias ? bias.data() : nullptr;
  run_rung(op, rung);
  const auto ref = reference::conv2d_forward(p.g, p.x, p.weight, with_bias ? p.bias : Values{});
  expect_close(y, expected(ref, before, false), bound(p.taps() * p.g.C / p.g.groups), "forward");
}

inline void check_backward_input(const Problem& p, bool accumulate, const char* rung) {
  const DeviceArray dy(p.dtype, p.dy), weight(p.dtype, p.weight);
  const auto before = destination(p.dtype, p.g.input_shape().count(), accumulate);
  const DeviceArray dx(p.dtype, before);
  run_rung(Conv2dBackwardInput{p.g, dy.data(), weight.data(), dx.data(), accumulate, p.dtype},
           rung);
  const auto ref = reference::conv2d_backward_input(p.g, p.dy, p.weight);
  expect_close(dx, expected(ref, before, accumulate), bound(p.taps() * p.g.K / p.g.groups),
               "backward input");
}

inline void check_backward_weight(const Problem& p, bool wants_weight, bool wants_bias,
                                  bool accumulate, const char* rung,
                                  std::optional<DType> grad_dtype = {}) {
  const DType out = grad_dtype.value_or(p.dtype);
  const DeviceArray x(p.dtype, p.x), dy(p.dtype, p.dy);
  const auto before = destination(out, p.g.weight_shape().count(), accumulate);
  const auto bias_before = destination(out, p.g.K, !accumulate);
  const DeviceArray dweight(out, before), dbias(out, bias_before);
  run_rung(Conv2dBackwardWeight{p.g, x.data(), dy.data(), wants_weight ? dweight.data() : nullptr,
                                accumulate, wants_bias ? dbias.data() : nullptr, !accumulate,
                                p.dtype, grad_dtype},
           rung);
  const auto ref = reference::conv2d_backward_weight(p.g, p.x, p.dy);
  const auto ref_bias = reference::conv2d_backward_bias(p.g, p.dy);
  const Bound limit = bound(p.g.N * p.g.P * p.g.Q);
  expect_close(dweight, wants_weight ? expected(ref, before, accumulate) : before, limit,
               "backward weight");
  expect_close(dbias, wants_bias ? expected(ref_bias, bias_before, !accumulate) : bias_before,
               limit, "backward bias");
}

// All three, in order; `flag` is bias or accumulate.
inline void check_rung(const Problem& p, bool flag, const char* rung) {
  check_forward(p, flag, rung);
  check_backward_input(p, flag, rung);
  check_backward_weight(p, true, true, flag, rung);
}

}  // namespace convoy::testing
