// SPDX-License-Identifier: MIT
#include "runtime/ops/cross_entropy.h"

#include <gtest/gtest.h>

#include "runtime/ops/softmax.h"
#include "tests/support/gradcheck.h"
#include "tests/support/wave.h"

namespace convoy {
namespace {

using testing::expect_golden;
using testing::wave;
using Index = std::vector<std::int64_t>;

Tensor weights() { return from_vector<double>({0.5, 1, 2}, {3}); }

// PyTorch 2: F.cross_entropy(wave(4 x 3), [2, 0, -100, 1], weight, label_smoothing=0.1).
TEST(CrossEntropyOp, ClassIndexIsPyTorchs) {
  const Tensor t = from_vector(Index{2, 0, -100, 1}, {4});
  const auto loss = [&](Reduction reduction, const Tensor& z) {
    return cross_entropy(
        z, t, {.class_weight = weights(), .label_smoothing = 0.1, .reduction = reduction});
  };
  const Tensor z = wave({4, 3}, 0).set_requires_grad(true);
  const Tensor mean = loss(Reduction::mean, z);
  EXPECT_EQ(mean.rank(), 0);
  expect_golden(mean, {0.849020796});
  mean.backward();
  expect_golden(z.grad(), {0.093315963, 0.17726515, -0.270581113, -0.0475178751, 0.0410775245,
                           0.00644035059, 0, 0, 0, 0.0476864501, -0.167182185, 0.119495735});
  const Tensor z2 = wave({4, 3}, 0).set_requires_grad(true);
  const Tensor sum = loss(Reduction::sum, z2);
  expect_golden(sum, {2.97157279});
  sum.backward();
  expect_golden(z2.grad(), {0.32660587, 0.620428024, -0.947033894, -0.166312563, 0.143771336,
                            0.0225412271, 0, 0, 0, 0.166902575, -0.585137648, 0.418235073});
  expect_golden(loss(Reduction::none, z), {1.43533803, 0.45826538, 0, 1.07796938});
  expect_golden(cross_entropy(z, t), {0.813565826});
}

TEST(CrossEntropyOp, SoftTargetsArePyTorchs) {
  const Tensor z = wave({4, 3}, 0).set_requires_grad(true), q = softmax(wave({4, 3}, 9));
  const Tensor loss = cross_entropy(z, q, {.class_weight = weights(), .label_smoothing = 0.1});
  loss.backward();
  expect_golden(loss, {1.39553532});
  expect_golden(z.grad(), {-0.0260832176, 0.00606113507, 0.0200220825, 0.157100946, 0.0380634162,
                           -0.195164362, 0.0625061013, -0.00848918756, -0.0540169137, -0.0256589634,
                           0.00655801906, 0.0191009443});
}

TEST(CrossEntropyOp, RowsMayHaveManyDimensions) {
  const Tensor z = wave({2, 2, 3}, 0), t = from_vector(Index{2, 0, -100, 1}, {2, 2});
  expect_golden(cross_entropy(z, t), {0.813565826});
  EXPECT_EQ(cross_entropy(z, t, {.reduction = Reduction::none}).shape(), (Shape{2, 2}));
}

TEST(CrossEntropyOp, WrongOperandsAreErrors) {
  const Tensor z = wave({4, 3}, 0), t = from_vector(Index{0, 1, 2, 0}, {4});
  EXPECT_THROW(cross_entropy(z, from_vector(Index{0, 1, 2}, {3})), Error);
  EXPECT_THROW(cross_entropy(z, from_vector(Index{0, 1, 2, 3}, {4})), Error);
  EXPECT_THROW(cross_entropy(z, wave({4}, 0)), Error);
  EXPECT_THROW(cross_entropy(z, zeros({4, 3})), Error);  // f32 beside f64
  EXPECT_THROW(cross_entropy(z, t, {.class_weight = wave({4}, 0)}), Error);
  EXPECT_THROW(cross_entropy(z, t, {.label_smoothing = 1.5}), Error);
  EXPECT_THROW(cross_entropy(z, wave({4, 3}, 1).set_requires_grad(true)), Error);
  EXPECT_THROW(cross_entropy(zeros({4, 0}), t), Error);
  EXPECT_THROW(top_k_correct(z, wave({4}, 0)), Error);
}

TEST(TopKCorrectOp, CountsBestBestFiveAndAll) {
  const Tensor z = from_vector<float>({1, 2, 3, 4, 5, 6, 6, 5, 4, 3, 2, 1}, {2, 6});
  EXPECT_EQ(to_vector<std::int64_t>(top_k_correct(z, from_vector(Index{5, 4}, {2}))),
            (Index{1, 2, 2}));
  EXPECT_EQ(to_vector<std::int64_t>(top_k_correct(z, from_vector(Index{0, -100}, {2}))),
            (Index{0, 0, 1}));
}

}  // namespace

using testing::Inputs;

GRADCHECK(cross_entropy) {
  for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
    for (const double smoothing : {0.0, 0.2}) {
      for (const bool weighted : {false, true}) {
        const CrossEntropyOptions o{.class_weight = weighted ? weights() : Tensor(),
                                    .label_smoothing = smoothing,
                                    .reduction = reduction};
        const Tensor t = from_vector(Index{2, 0, -100, 1, 1}, {5}), q = softmax(wave({5, 3}, 2));
        g.check({g.random({5, 3})}, [=](const Inputs& x) { return cross_entropy(x[0], t, o); });
        g.check({g.noncontiguous({5, 3})},
                [=](const Inputs& x) { return cross_entropy(x[0], q, o); });
      }
    }
  }
  const Tensor one = from_vector(Index{0}, {1}), none = from_vector(Index{}, {0});
  g.check({g.random({1, 1})}, [=](const Inputs& x) { return cross_entropy(x[0], one); });
  g.check({g.random({1, 7})}, [=](const Inputs& x) { return cross_entropy(x[0], one); });
  g.check({g.random({0, 7})}, [=](const Inputs& x) {
    return cross_entropy(x[0], none, {.reduction = Reduction::sum});
  });
}

}  // namespace convoy
