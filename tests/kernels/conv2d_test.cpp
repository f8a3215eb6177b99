// SPDX-License-Identifier: MIT
#include "kernels/conv2d.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cpu/parallel.h"
#include "tests/support/compare.h"
#include "tests/support/reference/conv2d.h"
#include "tests/support/run_kernel.h"

namespace convoy {
namespace {

using testing::Bound;
using testing::expect_close;
using testing::random_values;
using testing::sum_bound;
using testing::to_double;

struct Case {
  const char* what;
  Shape x, weight;
  Conv2dOptions options;
};

// Ragged on purpose: channels off every vector width, sizes that a stride does not divide.
const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {"one of everything", {1, 1, 1, 1}, {1, 1, 1, 1}, {}},
      {"empty batch", {0, 5, 5, 3}, {4, 3, 3, 3}, {}},
      {"tiny", {2, 5, 4, 3}, {4, 3, 2, 3}, {.stride = {2, 1}, .padding = {1, 0}}},
      {"first layer", {3, 17, 19, 3}, {16, 3, 3, 3}, {.padding = {1, 1}}},
      {"stem", {2, 33, 30, 3}, {24, 7, 7, 3}, {.stride = {2, 2}, .padding = {3, 3}}},
      {"aligned", {2, 9, 8, 32}, {16, 3, 3, 32}, {.padding = {1, 1}}},
      {"strided", {3, 9, 11, 16}, {32, 3, 3, 16}, {.stride = {2, 2}, .padding = {1, 1}}},
      {"ragged channels", {2, 7, 9, 13}, {19, 3, 3, 13}, {.padding = {1, 1}}},
      {"aligned, odd", {3, 7, 5, 16}, {48, 3, 3, 16}, {.padding = {1, 1}}},
      {"aligned, no padding", {2, 9, 6, 48}, {32, 3, 3, 48}, {}},
      {"aligned, full padding", {2, 4, 5, 16}, {16, 3, 3, 16}, {.padding = {2, 2}}},
      {"aligned, uneven padding", {2, 6, 7, 16}, {16, 3, 3, 16}, {.padding = {0, 2}}},
      {"aligned, many tiles", {9, 17, 15, 16}, {16, 3, 3, 16}, {.padding = {1, 1}}},
      {"deep", {5, 3, 4, 32}, {192, 3, 3, 32}, {.padding = {1, 1}}},
      {"deep, strided", {19, 5, 4, 32}, {64, 3, 3, 32}, {.stride = {2, 2}, .padding = {1, 1}}},
      {"deep, uneven",
       {17, 4, 6, 64},
       {64, 3, 2, 64},
       {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}}},
      {"deep, dilated", {16, 5, 5, 64}, {80, 3, 3, 64}, {.padding = {3, 2}, .dilation = {3, 2}}},
      {"deep, dilated by the stride",
       {16, 6, 5, 64},
       {64, 3, 3, 64},
       {.stride = {2, 2}, .padding = {2, 1}, .dilation = {2, 2}}},
      {"deep 1x1 strided", {40, 3, 5, 64}, {64, 1, 1, 64}, {.stride = {2, 3}}},
      {"deep 1x1, few pixels", {70, 1, 1, 64}, {128, 1, 1, 64}, {}},
      {"2x2 map", {5, 2, 2, 48}, {40, 3, 3, 48}, {.padding = {1, 1}}},
      {"one output", {7, 5, 5, 16}, {120, 5, 5, 16}, {}},
      {"1x1", {2, 7, 5, 24}, {17, 1, 1, 24}, {}},
      {"1x1 strided", {2, 9, 9, 16}, {32, 1, 1, 16}, {.stride = {2, 2}}},
      {"1x1 padded", {2, 6, 5, 8}, {16, 1, 1, 8}, {.padding = {1, 2}}},
      {"dilated", {2, 13, 11, 16}, {16, 3, 3, 16}, {.padding = {2, 3}, .dilation = {2, 3}}},
      {"all at once",
       {2, 12, 15, 12},
       {18, 3, 2, 4},
       {.stride = {2, 3}, .padding = {2, 1}, .dilation = {2, 1}, .groups = 3}},
      {"grouped", {2, 8, 9, 32}, {48, 3, 3, 16}, {.padding = {1, 1}, .groups = 2}},
      {"depthwise", {2, 11, 10, 19}, {19, 3, 3, 1}, {.padding = {1, 1}, .groups = 19}},
      {"depthwise 7x7", {2, 9, 9, 32}, {32, 7, 7, 1}, {.padding = {3, 3}, .groups = 32}},
      {"depthwise strided 5x5",
       {2, 12, 11, 16},
       {16, 5, 5, 1},
       {.stride = {2, 2}, .padding = {2, 2}, .groups = 16}},
      {"depthwise 7x7, dilated",
       {3, 9, 12, 16},
       {16, 7, 7, 1},
       {.stride = {1, 2}, .padding = {5, 6}, .dilation = {2, 2}, .groups = 16}},
      {"depth multiplier", {2, 8, 7, 6}, {18, 3, 3, 1}, {.padding = {1, 1}, .groups = 6}},
      {"more padding than kernel", {2, 4, 3, 16}, {16, 2, 2, 16}, {.padding = {3, 4}}},
  };
  return list;
}

template <class T>
constexpr DType dtype_of = sizeof(T) == 4 ? DType::f32 : DType::f64;

// What `old` becomes: replaced by the gradient, or added to. NaN shows that replacing reads
// nothing.
template <class T>
std::vector<T> destination(std::int64_t count, bool accumulate) {
  if (accumulate) return random_values<T>(count, 77);
  return std::vector<T>(static_cast<std::size_t>(count), std::numeric_limits<T>::quiet_NaN());
}
template <class T>
std::vector<double> expected(std::vector<double> gradient, const std::vector<T>& old,
                             bool accumulate) {
  for (std::size_t i = 0; accumulate && i < old.size(); ++i) gradient[i] += old[i];
  return gradient;
}

template <class T>
class Conv2d : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Conv2d, Types);

TYPED_TEST(Conv2d, ForwardAgreesWithTheDefinition) {
  using T = TypeParam;
  for (const Case& c : cases()) {
    const Conv2dGeometry g = conv2d_geometry(c.x, c.weight, c.options);
    const auto x = random_values<T>(c.x.count(), 1), w = random_values<T>(c.weight.count(), 2);
    const auto biases = random_values<T>(g.K, 3);
    const auto residual = random_values<T>(g.output_shape().count(), 4);
    for (int bits = 0; bits < 8; ++bits) {
      const bool has_bias = (bits & 1) != 0, adds = (bits & 2) != 0, relu = (bits & 4) != 0;
      auto y = destination<T>(g.output_shape().count(), false);
      Conv2dForward op{g, x.data(), w.data(), y.data(), dtype_of<T>};
      op.epilogue = {.bias = has_bias ? biases.data() : nullptr,
                     .residual = adds ? residual.data() : nullptr,
                     .activation = relu ? Activation::relu : Activation::none};
      testing::run_kernel(op);
      auto ref = reference::conv2d_forward(g, to_double(x), to_double(w),
                                           has_bias ? to_double(biases) : std::vector<double>{});
      for (std::size_t i = 0; i < ref.size(); ++i) {
        if (adds) ref[i] += residual[i];
        if (relu) ref[i] = std::max(ref[i], 0.0);
      }
      expect_close(y, ref, sum_bound(static_cast<double>(g.R * g.S * g.C / g.groups) + 2), c.what);
    }
  }
}

TYPED_TEST(Conv2d, BackwardInputAgreesWithTheDefinition) {
  using T = TypeParam;
  for (const Case& c : cases()) {
    const Conv2dGeometry g = conv2d_geometry(c.x, c.weight, c.options);
    const auto dy = random_values<T>(g.output_shape().count(), 1);
    const auto w = random_values<T>(c.weight.count(), 2);
    const auto ref = reference::conv2d_backward_input(g, to_double(dy), to_double(w));
    for (const bool accumulate : {false, true}) {
      auto dx = destination<T>(c.x.count(), accumulate);
      const auto want = expected(ref, dx, accumulate);
      testing::run_kernel(
          Conv2dBackwardInput{g, dy.data(), w.data(), dx.data(), accumulate, dtype_of<T>});
      expect_close(dx, want, sum_bound(static_cast<double>(g.R * g.S * g.K / g.groups)), c.what);
    }
  }
}

TYPED_TEST(Conv2d, BackwardWeightAndBiasAgreeWithTheDefinition) {
  using T = TypeParam;
  for (const Case& c : cases()) {
    const Conv2dGeometry g = conv2d_geometry(c.x, c.weight, c.options);
    const auto x = random_values<T>(c.x.count(), 1);
    const auto dy = random_values<T>(g.output_shape().count(), 2);
    const auto ref = reference::conv2d_backward_weight(g, to_double(x), to_double(dy));
    const auto ref_bias = reference::conv2d_backward_bias(g, to_double(dy));
    const Bound bound = sum_bound(static_cast<double>(g.N * g.P * g.Q));
    for (const bool accumulate : {false, true}) {
      auto dw = destination<T>(c.weight.count(), accumulate);
      auto db = destination<T>(g.K, !accumulate);
      const auto want = expected(ref, dw, accumulate);
      const auto want_bias = expected(ref_bias, db, !accumulate);
      testing::run_kernel(Conv2dBackwardWeight{g, x.data(), dy.data(), dw.data(), accumulate,
                                               db.data(), !accumulate, dtype_of<T>});
      expect_close(dw, want, bound, c.what);
      expect_close(db, want_bias, bound, c.what);
    }
  }
}

TYPED_TEST(Conv2d, EitherGradientOfTheParametersMayBeLeftOut) {
  using T = TypeParam;
  const Conv2dGeometry g = conv2d_geometry({2, 5, 5, 8}, {16, 3, 3, 8}, {});
  const auto x = random_values<T>(g.input_shape().count(), 1);
  const auto dy = random_values<T>(g.output_shape().count(), 2);
  auto dw = destination<T>(g.weight_shape().count(), false);
  auto db = destination<T>(g.K, false);
  testing::run_kernel(
      Conv2dBackwardWeight{g, x.data(), dy.data(), nullptr, false, db.data(), false, dtype_of<T>});
  testing::run_kernel(
      Conv2dBackwardWeight{g, x.data(), dy.data(), dw.data(), false, nullptr, false, dtype_of<T>});
  const Bound bound = sum_bound(static_cast<double>(g.N * g.P * g.Q));
  expect_close(db, reference::conv2d_backward_bias(g, to_double(dy)), bound, "bias alone");
  expect_close(dw, reference::conv2d_backward_weight(g, to_double(x), to_double(dy)), bound,
               "weight alone");
}

TEST(Conv2dKernel, TheSameCallGivesTheSameBits) {
  const Conv2dGeometry g = conv2d_geometry({9, 9, 7, 24}, {40, 3, 3, 24}, {.padding = {1, 1}});
  const auto x = random_values<float>(g.input_shape().count(), 1);
  const auto dy = random_values<float>(g.output_shape().count(), 2);
  std::vector<float> first(static_cast<std::size_t>(g.weight_shape().count())), again = first;
  for (auto* dw : {&first, &again}) {
    testing::run_kernel(Conv2dBackwardWeight{g, x.data(), dy.data(), dw->data(), false, nullptr,
                                             false, DType::f32});
  }
  EXPECT_EQ(first, again);
}

// Which variant runs depends on the number of threads too; a run of this program with two of them
// is part of the tests.
TEST(Conv2dKernel, EveryVariantHasItsShapes) {
  if (on_cpu::thread_count() != 2) GTEST_SKIP() << "the table is for two threads";
  const auto variant = [](const Shape& x, const Shape& w, const Conv2dOptions& o, auto pass) {
    const Conv2dGeometry g = conv2d_geometry(x, w, o);
    float data = 0;
    auto op = pass;
    op.g = g;
    op.dtype = DType::f32;
    if constexpr (requires { op.dweight; }) op.dweight = &data;
    return std::string(plan(op, Device{}).variant);
  };
  const Conv2dOptions same{.padding = {1, 1}}, half{.stride = {2, 2}, .padding = {1, 1}};
  EXPECT_EQ(variant({8, 8, 8, 32}, {32, 3, 3, 32}, same, Conv2dForward{}), "winograd");
  EXPECT_EQ(variant({32, 4, 4, 64}, {128, 3, 3, 64}, half, Conv2dForward{}), "taps");
  EXPECT_EQ(variant({32, 4, 4, 64}, {128, 3, 3, 64}, half, Conv2dBackwardInput{}), "taps");
  EXPECT_EQ(variant({32, 4, 4, 64}, {128, 3, 3, 64}, half, Conv2dBackwardWeight{}), "taps");
  EXPECT_EQ(variant({8, 32, 32, 3}, {16, 3, 3, 3}, same, Conv2dForward{}), "onednn");
  EXPECT_EQ(variant({2, 9, 9, 32}, {32, 7, 7, 1}, {.padding = {3, 3}, .groups = 32},
                    Conv2dBackwardWeight{}),
            "depthwise");
  EXPECT_EQ(variant({1, 4, 4, 2}, {2, 3, 3, 2}, same, Conv2dForward{}), "plain");
}

TEST(Conv2dKernel, OtherDtypesAndStatisticsAreRefused) {
  const Conv2dGeometry g = conv2d_geometry({1, 2, 2, 1}, {1, 1, 1, 1}, {});
  EXPECT_THROW(plan(Conv2dForward{g, nullptr, nullptr, nullptr, DType::f16}, Device{}), Error);
  Conv2dForward op{g, nullptr, nullptr, nullptr, DType::f32};
  float mean = 0;
  op.epilogue.statistics.mean = &mean;
  EXPECT_THROW(plan(op, Device{}), Error);
}

}  // namespace
}  // namespace convoy
