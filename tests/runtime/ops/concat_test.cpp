// SPDX-License-Identifier: MIT
#include "runtime/ops/concat.h"

#include <gtest/gtest.h>

#include "runtime/ops/view.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

TEST(ConcatOp, PutsPartsSideBySide) {
  const Tensor a = from_vector<float>({1, 2, 3, 4}, {2, 2});
  const Tensor b = from_vector<float>({5, 6}, {2, 1});
  EXPECT_EQ(to_vector<float>(concat({a, b, a}, -1)),
            (std::vector<float>{1, 2, 5, 1, 2, 3, 4, 6, 3, 4}));
  EXPECT_EQ(to_vector<float>(concat({a, transpose(a, 0, 1)}, 0)),
            (std::vector<float>{1, 2, 3, 4, 1, 3, 2, 4}));
  EXPECT_EQ(concat({zeros({0, 2}), a, zeros({0, 2})}, 0).shape(), (Shape{2, 2}));
  const Tensor bytes = from_vector<std::uint8_t>({1, 2}, {2});
  EXPECT_EQ(to_vector<std::uint8_t>(concat({bytes, bytes}, 0)),
            (std::vector<std::uint8_t>{1, 2, 1, 2}));
}

TEST(ConcatOp, OnePartTwiceAddsItsGradients) {
  const Tensor a = from_vector<double>({1, 2}, {2, 1}).set_requires_grad(true);
  concat({a, a}, 1).backward(from_vector<double>({1, 10, 2, 20}, {2, 2}));
  EXPECT_EQ(to_vector<double>(a.grad()), (std::vector<double>{11, 22}));
}

TEST(ConcatOp, WrongPartsAreErrors) {
  const Tensor a = zeros({2, 3});
  EXPECT_THROW(concat({}, 0), Error);
  EXPECT_THROW(concat({a, zeros({3, 3})}, 1), Error);
  EXPECT_THROW(concat({a, zeros({2, 3, 1})}, 0), Error);
  EXPECT_THROW(concat({a, zeros({2, 3}, {DType::f64})}, 0), Error);
  EXPECT_THROW(concat({a}, 2), Error);
}

}  // namespace

using testing::Inputs;

GRADCHECK(concat) {
  for (const int dim : {0, 1, 2, -1}) {
    const auto f = [dim](const Inputs& x) { return concat({x[0], x[1], x[0]}, dim); };
    g.check({g.random({2, 3, 5}), g.random({2, 3, 5})}, f);
    g.check({g.noncontiguous({2, 3, 5}), g.random({2, 3, 5})}, f);
  }
  const auto last = [](const Inputs& x) { return concat({x[0], x[1]}, -1); };
  g.check({g.random({7, 1}), g.random({7, 4})}, last);
  g.check({g.random({1}), g.random({11})}, last);
  g.check({g.random({3, 0}), g.random({3, 2})}, last);
  g.check({g.random({0, 2}), g.random({0, 3})}, last);
}

}  // namespace convoy
