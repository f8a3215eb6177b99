// SPDX-License-Identifier: MIT
#include "kernels/cross_entropy.h"

#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/reference/cross_entropy.h"
#include "tests/support/run_kernel.h"

namespace convoy {
namespace {

using testing::dtype_of;
using testing::expect_close;
using testing::random_values;
using testing::run_kernel;
using testing::to_double;

struct Case {
  std::int64_t rows, classes;
  bool soft = false, weights = false;
  double smoothing = 0;
  int ignore_every = 0;  // rows that carry ignore_index: every so many, the first among them
};
const Case kCases[] = {
    {1, 1},
    {2, 3},
    {7, 10},
    {129, 17, false, true},
    {31, 10, false, false, 0.1},
    {31, 10, false, true, 0.1, 3},
    {13, 5, false, true, 0, 2},
    {13, 5, false, false, 0, 4},
    {3, 1000, false, true, 0.2},
    {5, 4, true},
    {31, 10, true, false, 0.1},
    {31, 10, true, true, 0.3},
};

template <class T>
struct Problem {
  explicit Problem(const Case& c)
      : logits(random_values<T>(c.rows * c.classes, 1)),
        weight(random_values<T>(c.classes, 2)),
        soft(random_values<T>(c.rows * c.classes, 3)),
        row_loss(c.rows, NAN),
        lse(c.rows, NAN) {
    for (T& v : logits) v *= 8;
    for (T& v : weight) v = std::abs(v) + T(0.1);
    for (T& v : soft) v = std::abs(v);  // need not sum to one
    for (std::int64_t r = 0; r < c.rows; ++r) {
      index.push_back(c.ignore_every > 0 && r % c.ignore_every == 0 ? -100 : (r * 7) % c.classes);
      index32.push_back(static_cast<std::int32_t>(index.back()));
    }
    ref = {c.rows, c.classes, to_double(logits), {}, {}, {}, c.smoothing};
    if (c.soft) ref.soft = to_double(soft);
    if (!c.soft) ref.index = index;
    if (c.weights) ref.weight = to_double(weight);
    const CrossEntropyTarget target{
        .target = c.soft ? static_cast<const void*>(soft.data()) : index.data(),
        .dtype = c.soft ? dtype_of<T> : DType::i64,
        .class_weight = c.weights ? weight.data() : nullptr,
        .label_smoothing = c.smoothing};
    forward = {.rows = c.rows,
               .classes = c.classes,
               .logits = logits.data(),
               .target = target,
               .row_loss = row_loss.data(),
               .lse = lse.data(),
               .loss = &loss,
               .divisor = &divisor,
               .dtype = dtype_of<T>};
    backward = {.rows = c.rows,
                .classes = c.classes,
                .logits = logits.data(),
                .target = target,
                .lse = lse.data(),
                .divisor = &divisor,
                .dlogits = dlogits.data(),
                .dtype = dtype_of<T>};
  }
  std::vector<T> logits, weight, soft, row_loss, lse;
  std::vector<T> dlogits = std::vector<T>(logits.size(), NAN);
  std::vector<std::int64_t> index;
  std::vector<std::int32_t> index32;
  T loss = NAN, divisor = NAN;
  reference::CrossEntropy ref;
  CrossEntropyForward forward;
  CrossEntropyBackward backward;
};

template <class T>
class CrossEntropy : public ::testing::Test {};
using Dtypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CrossEntropy, Dtypes);

TYPED_TEST(CrossEntropy, LossAndGradientMatchReference) {
  using T = TypeParam;
  for (const Case& c : kCases) {
    for (const Reduction reduction : {Reduction::none, Reduction::sum, Reduction::mean}) {
      SCOPED_TRACE(
          fmt::format("{} x {}, reduction {}", c.rows, c.classes, static_cast<int>(reduction)));
      Problem<T> p(c);
      p.forward.reduction = p.backward.reduction = reduction;
      const bool none = reduction == Reduction::none;
      if (none) p.forward.loss = p.forward.divisor = nullptr, p.backward.divisor = nullptr;
      run_kernel(p.forward);
      const std::vector<double> rows = p.ref.row_losses();
      const double k = static_cast<double>(c.classes), scale = 16 * (c.soft ? k : 1);
      expect_close(p.row_loss, rows, {.k = 1, .scale = scale}, "row loss");
      const double divisor = reduction == Reduction::mean ? p.ref.divisor() : 1;
      if (!none) {
        double sum = 0;
        for (const double l : rows) sum += l;
        const double n = static_cast<double>(c.rows);
        expect_close(std::vector<T>{p.loss}, {sum / divisor}, {.k = n, .scale = scale / divisor},
                     "loss");
      }
      const std::vector<T> dloss = random_values<T>(none ? c.rows : 1, 5);
      p.backward.dloss = dloss.data();
      run_kernel(p.backward);
      std::vector<double> per_row(c.rows);
      for (std::int64_t r = 0; r < c.rows; ++r) {
        per_row[r] = static_cast<double>(dloss[none ? r : 0]) / divisor;
      }
      auto expected = p.ref.backward(per_row);
      expect_close(p.dlogits, expected, {.k = 1, .scale = scale / divisor}, "gradient");
      p.backward.accumulate = true;
      run_kernel(p.backward);
      for (double& v : expected) v *= 2;
      expect_close(p.dlogits, expected, {.k = 1, .scale = scale / divisor}, "gradient twice");
    }
  }
}

TYPED_TEST(CrossEntropy, IndexMayBe32Bits) {
  Problem<TypeParam> p({31, 10, false, true, 0.1, 3});
  run_kernel(p.forward);
  const TypeParam loss = p.loss;
  p.forward.target.target = p.index32.data();
  p.forward.target.dtype = DType::i32;
  run_kernel(p.forward);
  EXPECT_EQ(p.loss, loss);
}

TYPED_TEST(CrossEntropy, MeanOfNothingIsNaNAndItsGradientZero) {
  Problem<TypeParam> p({3, 4, false, false, 0.1, 1});
  run_kernel(p.forward);
  EXPECT_TRUE(std::isnan(p.loss));
  const TypeParam one = 1;
  p.backward.dloss = &one;
  run_kernel(p.backward);
  EXPECT_EQ(p.dlogits, std::vector<TypeParam>(12));
  p.forward.reduction = Reduction::sum;
  run_kernel(p.forward);
  EXPECT_EQ(p.loss, 0);
  p.forward.rows = 0;
  run_kernel(p.forward);
  EXPECT_EQ(p.loss, 0);
}

TYPED_TEST(CrossEntropy, LogitsOfAnySizeAreSafe) {
  const std::vector<TypeParam> z{1000, 0, -1000, 0};
  const std::vector<std::int64_t> y{0, 1};
  std::vector<TypeParam> rows(2), lse(2);
  run_kernel(CrossEntropyForward{.rows = 2,
                                 .classes = 2,
                                 .logits = z.data(),
                                 .target = {.target = y.data()},
                                 .reduction = Reduction::none,
                                 .row_loss = rows.data(),
                                 .lse = lse.data(),
                                 .dtype = dtype_of<TypeParam>});
  EXPECT_EQ(rows, (std::vector<TypeParam>{0, 0}));
}

TEST(CrossEntropyErrors, ClassOutOfRangeNamesRowAndValue) {
  for (const std::int64_t bad : {10, -1, -99}) {
    Problem<float> p({7, 10});
    p.index[5] = bad;
    try {
      run_kernel(p.forward);
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find(fmt::format(
                    "cross_entropy: target expects a class in [0, 10) or ignore_index -100, "
                    "found {} in row 5",
                    bad)),
                0u)
          << e.what();
    }
  }
  Problem<float> p({7, 10});
  p.forward.target.dtype = DType::u8;
  EXPECT_THROW(run_kernel(p.forward), Error);
}

TEST(TopK, CountsByHand) {
  const std::vector<float> z{
      1,   2, 3, 4, 5, 6, 7,  // class 6 first, class 2 fifth, class 1 sixth
      1,   2, 3, 4, 5, 6, 7,  //
      1,   2, 3, 4, 5, 6, 7,  //
      0,   0, 0, 0, 0, 0, 0,  // ties: in order of class
      0,   0, 0, 0, 0, 0, 0,  //
      0,   0, 0, 0, 0, 0, 0,  //
      NAN, 9, 0, 0, 0, 0, 0,  // NaN stands before 9
      NAN, 9, 0, 0, 0, 0, 0,  // and is never right itself
      0,   0, 0, 0, 0, 0, 0,  // ignored
  };
  const std::vector<std::int64_t> y{6, 2, 1, 0, 4, 5, 1, 0, -100};
  std::int64_t correct[3] = {-1, -1, -1};
  TopKCount op{.rows = 9, .classes = 7, .logits = z.data(), .target = y.data(), .correct = correct};
  run_kernel(op);
  EXPECT_EQ(correct[0], 2);  // rows 0, 3
  EXPECT_EQ(correct[1], 5);  // and 1, 4, 6
  EXPECT_EQ(correct[2], 8);
  op.accumulate = true;
  run_kernel(op);
  EXPECT_EQ(correct[1], 10);
  op.k = {7, 100};
  op.accumulate = false;
  run_kernel(op);
  EXPECT_EQ(correct[0], 7);  // all but the NaN
  EXPECT_EQ(correct[1], 7);
}

}  // namespace
}  // namespace convoy
