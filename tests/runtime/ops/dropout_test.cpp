// SPDX-License-Identifier: MIT
#include "runtime/ops/dropout.h"

#include <gtest/gtest.h>

#include "runtime/ops/elementwise.h"
#include "runtime/ops/view.h"
#include "runtime/random.h"
#include "runtime/step_state.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

constexpr PhiloxKey kKey{.seed = 42, .stream = 1};

TEST(Dropout, FollowsTheStep) {
  StepStateBuffer& state = step_state(Device{});
  const std::int64_t before = state.host().step;
  const auto draw = [&](std::int64_t step) {
    state.host().step = step;
    state.upload(current_stream(Device{}));
    return to_vector<float>(dropout(full({101}, 1), 0.5, kKey));
  };
  const auto first = draw(0), second = draw(1);
  EXPECT_NE(first, second);
  EXPECT_EQ(first, draw(0));
  draw(before);
}

TEST(Dropout, BackwardInAnotherStepIsAnError) {
  StepState& state = step_state(Device{}).host();
  const Tensor x = full({7}, 1).set_requires_grad(true);
  const Tensor y = dropout(x, 0.5, kKey);
  ++state.step;
  EXPECT_THROW(y.backward(full({7}, 1)), Error);
  --state.step;
  y.backward(full({7}, 1));
  EXPECT_EQ(to_vector<float>(x.grad()), to_vector<float>(y));
}

TEST(Dropout, PathsAreDroppedBySample) {
  const auto y = to_vector<float>(drop_path(full({64, 3, 5}, 1), 0.5, kKey));
  int dropped = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    EXPECT_EQ(y[i], y[i / 15 * 15]);
    EXPECT_TRUE(y[i] == 0 || y[i] == 2);
    dropped += y[i] == 0;
  }
  EXPECT_GT(dropped, 15 * 16);
  EXPECT_LT(dropped, 15 * 48);
  EXPECT_EQ(drop_path(zeros({0, 3}), 0.5, kKey).shape(), (Shape{0, 3}));
  EXPECT_THROW(drop_path(zeros({}), 0.5, kKey), Error);
  EXPECT_THROW(dropout(zeros({3}), -0.5, kKey), Error);
}

// The rows [begin, end) of x, and of what drop and its backward pass make of it, in a process that
// has these.
std::vector<float> drop_rows(Tensor (*op)(const Tensor&, double, const PhiloxKey&), const Tensor& x,
                             std::int64_t begin, std::int64_t end) {
  set_first_row(begin);
  const Tensor part = slice(x, 0, begin, end).contiguous().detach().set_requires_grad(true);
  const Tensor y = op(part, 0.5, kKey);
  set_first_row(0);  // the backward pass takes what the forward pass took
  y.backward(part.detach());
  EXPECT_EQ(to_vector<float>(part.grad()), to_vector<float>(y));
  return to_vector<float>(y);
}

TEST(Dropout, RowsOfABatchAreDrawnAsTheWholeBatchIs) {
  for (const auto op : {dropout, drop_path}) {
    for (const Shape& shape : {Shape{9, 3, 5}, Shape{9, 8}, Shape{9}}) {
      const Tensor x = uniform(shape, 1, 2, kKey);
      const std::vector<float> whole = to_vector<float>(op(x, 0.5, kKey));
      std::vector<float> joined;
      for (const auto& [begin, end] : {std::pair{0, 3}, {3, 4}, {4, 9}}) {
        const std::vector<float> part = drop_rows(op, x, begin, end);
        joined.insert(joined.end(), part.begin(), part.end());
      }
      EXPECT_EQ(joined, whole) << fmt::format("{}", shape);
    }
  }
  EXPECT_THROW(set_first_row(-1), Error);
  EXPECT_EQ(first_row(), 0);
}

}  // namespace

using testing::Inputs;

static void check_drop(testing::Gradchecker& g,
                       Tensor (*op)(const Tensor&, double, const PhiloxKey&)) {
  for (const double p : {0.0, 0.3, 0.5}) {
    const auto f = [=](const Inputs& x) { return op(x[0], p, kKey); };
    g.check({g.random({7, 3})}, f);
    g.check({g.random({1})}, f);
    g.check({g.noncontiguous({5, 2, 3})}, f);
  }
  g.check({g.random({0, 3})}, [=](const Inputs& x) { return op(x[0], 0.5, kKey); });
  g.check({g.random({3})}, [=](const Inputs& x) { return op(x[0], 1, kKey); });
  // One after the other, with streams of their own.
  g.check({g.random({11})}, [=](const Inputs& x) {
    return op(op(x[0], 0.2, {1, 2}), 0.2, {1, 3});
  });
}

GRADCHECK(dropout) { check_drop(g, dropout); }
GRADCHECK(drop_path) { check_drop(g, drop_path); }

}  // namespace convoy
