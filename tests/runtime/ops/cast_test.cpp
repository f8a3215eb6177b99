// SPDX-License-Identifier: MIT
#include "runtime/ops/cast.h"

#include <gtest/gtest.h>

#include "runtime/ops/binary.h"
#include "runtime/ops/view.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

TEST(Cast, ChangesTheDType) {
  const Tensor x = from_vector<float>({-1.5f, 2, 300}, {3});
  EXPECT_EQ(to_vector<std::int64_t>(cast(x, DType::i64)), (std::vector<std::int64_t>{-1, 2, 300}));
  EXPECT_EQ(to_vector<std::uint8_t>(cast(x, DType::u8)), (std::vector<std::uint8_t>{0, 2, 255}));
  EXPECT_EQ(to_vector<float>(cast(cast(x, DType::bf16), DType::f32)),
            (std::vector<float>{-1.5f, 2, 300}));
}

TEST(Cast, GradientsComeBackInTheInputsDType) {
  Tensor x = from_vector<double>({1, 2, 3}, {3});
  x.set_requires_grad(true);
  const Tensor y = cast(x, DType::f32);
  (y * y).backward(full({3}, 1));
  EXPECT_EQ(to_vector<double>(x.grad()), (std::vector<double>{2, 4, 6}));
  EXPECT_FALSE(cast(x, DType::i32).requires_grad());
}

}  // namespace

GRADCHECK(cast) {
  using testing::Inputs;
  // To the same dtype: f32 is too coarse for differences.
  const auto f = [](const Inputs& x) { return cast(x[0], DType::f64); };
  for (const Shape& s : {Shape{}, Shape{0}, Shape{1}, Shape{7}, Shape{3, 5}, Shape{2, 1, 3}}) {
    g.check({g.random(s)}, f);
  }
  g.check({g.noncontiguous({3, 5})}, f);
  g.check({g.noncontiguous({2, 3, 2})}, f);
}

}  // namespace convoy
