// SPDX-License-Identifier: MIT
#include "runtime/ops/gemm.h"

#include <gtest/gtest.h>

#include "runtime/ops/view.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

TEST(Matmul, MultipliesAHandMadeCase) {
  const Tensor a = from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor b = from_vector<float>({1, 0, 0, 1, 2, -1}, {3, 2});
  EXPECT_EQ(to_vector<float>(matmul(a, b)), (std::vector<float>{7, -1, 16, -1}));
  EXPECT_EQ(to_vector<float>(matmul(transpose(b, 0, 1), transpose(a, 0, 1))),
            (std::vector<float>{7, 16, -1, -1}));
}

TEST(Matmul, BatchesAndSharesOperands) {
  const Tensor a = from_vector<float>({1, 2, 3, 4}, {2, 1, 2});
  const Tensor b = from_vector<float>({1, 1, 2, -1}, {2, 2, 1});
  EXPECT_EQ(to_vector<float>(matmul(a, b)), (std::vector<float>{3, 2}));
  const Tensor shared = from_vector<float>({1, 10}, {2, 1});
  const Tensor y = matmul(a, shared);
  EXPECT_EQ(y.shape(), (Shape{2, 1, 1}));
  EXPECT_EQ(to_vector<float>(y), (std::vector<float>{21, 43}));
}

TEST(Matmul, WrongShapesAreErrors) {
  EXPECT_THROW(matmul(zeros({2, 3}), zeros({2, 3})), Error);
  EXPECT_THROW(matmul(zeros({2, 3}), zeros({3})), Error);
  EXPECT_THROW(matmul(zeros({2, 3, 4}), zeros({3, 4, 5})), Error);
  EXPECT_THROW(matmul(zeros({3, 4}), zeros({2, 4, 5})), Error);
  EXPECT_THROW(matmul(zeros({2, 2}), zeros({2, 2}, {.dtype = DType::f64})), Error);
}

TEST(Linear, IsAProductWithTheTransposedWeight) {
  const Tensor x = from_vector<float>({1, 2, 3, 4}, {2, 1, 2});
  const Tensor weight = from_vector<float>({1, 0, 0, 1, 1, 1}, {3, 2});
  const Tensor y = linear(x, weight, from_vector<float>({0, 0, 10}, {3}));
  EXPECT_EQ(y.shape(), (Shape{2, 1, 3}));
  EXPECT_EQ(to_vector<float>(y), (std::vector<float>{1, 2, 13, 3, 4, 17}));
  EXPECT_EQ(linear(zeros({0, 2}), weight).shape(), (Shape{0, 3}));
}

TEST(Linear, WrongOperandsAreErrors) {
  EXPECT_THROW(linear(zeros({2, 3}), zeros({4, 2})), Error);
  EXPECT_THROW(linear(zeros({2, 3}), zeros({4, 3}), zeros({3})), Error);
  EXPECT_THROW(linear(zeros({2, 3}), zeros({3})), Error);
}

}  // namespace

using testing::Inputs;

GRADCHECK(matmul) {
  const auto product = [](const Inputs& x) { return matmul(x[0], x[1]); };
  g.check({g.random({1, 1}), g.random({1, 1})}, product);
  g.check({g.random({0, 3}), g.random({3, 2})}, product);
  g.check({g.random({2, 0}), g.random({0, 3})}, product);
  g.check({g.random({5, 3}), g.random({3, 7})}, product);
  g.check({g.random({1, 11}), g.random({11, 1})}, product);
  g.check({g.noncontiguous({3, 5}), g.random({5, 2})}, product);
  g.check({g.random({3, 5}), g.noncontiguous({5, 2})}, product);
  g.check({g.random({3, 2, 5}), g.random({3, 5, 4})}, product);
  g.check({g.noncontiguous({3, 2, 5}), g.noncontiguous({3, 5, 4})}, product);
  g.check({g.random({2, 3, 5}), g.random({5, 4})}, product);
  g.check({g.random({3, 3})}, [](const Inputs& x) { return matmul(x[0], x[0]); });
  g.check({g.random({5, 3}), g.random({7, 3})},
          [](const Inputs& x) { return matmul(x[0], transpose(x[1], 0, 1)); });
}

GRADCHECK(linear) {
  const auto layer = [](const Inputs& x) {
    return linear(x[0], x[1], x.size() > 2 ? x[2] : Tensor());
  };
  g.check({g.random({1, 1}), g.random({1, 1}), g.random({1})}, layer);
  g.check({g.random({0, 3}), g.random({2, 3}), g.random({2})}, layer);
  g.check({g.random({5, 3}), g.random({7, 3})}, layer);
  g.check({g.random({5, 3}), g.random({7, 3}), g.random({7})}, layer);
  g.check({g.random({2, 3, 5}), g.random({4, 5}), g.random({4})}, layer);
  g.check({g.random({11}), g.random({2, 11}), g.random({2})}, layer);
  g.check({g.noncontiguous({3, 5}), g.random({2, 5}), g.random({2})}, layer);
  g.check({g.random({3, 5}), g.noncontiguous({2, 5}), g.noncontiguous({2})}, layer);
}

}  // namespace convoy
