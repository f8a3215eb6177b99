// SPDX-License-Identifier: MIT
#include "runtime/ops/view.h"

#include <gtest/gtest.h>

#include <numeric>

#include "runtime/ops/binary.h"
#include "tests/support/gradcheck.h"

namespace convoy {
namespace {

Tensor counting(const Shape& shape) {
  std::vector<float> values(static_cast<std::size_t>(shape.count()));
  std::iota(values.begin(), values.end(), 0.0f);
  return from_vector(values, shape);
}

TEST(View, ReshapeKeepsRowMajorOrderAndWorksOutOneExtent) {
  const Tensor y = reshape(transpose(counting({2, 3}), 0, 1), {-1, 2, 1});
  EXPECT_EQ(y.shape(), (Shape{3, 2, 1}));
  EXPECT_EQ(to_vector<float>(y), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_THROW(reshape(counting({2, 3}), {4}), Error);
  EXPECT_THROW(reshape(counting({2, 3}), {-1, 4}), Error);
  EXPECT_THROW(reshape(counting({2, 3}), {-1, -1}), Error);
  EXPECT_THROW(reshape(counting({2, 3}), {-2, -3}), Error);
  EXPECT_THROW(reshape(counting({0, 3}), {0, -1}), Error) << "any extent would do";
}

TEST(View, ReshapeOfADenseTensorSharesMemory) {
  const Tensor x = counting({2, 3});
  EXPECT_EQ(reshape(x, {6}).data(), x.data());
  EXPECT_EQ(flatten(counting({2, 3, 2})).shape(), (Shape{2, 6}));
  EXPECT_EQ(reshape(counting({0, 3}), {3, 0}).shape(), (Shape{3, 0}));
}

TEST(View, PermuteMovesDimensions) {
  const Tensor y = permute(counting({2, 3, 4}), {2, 0, 1});
  EXPECT_EQ(y.shape(), (Shape{4, 2, 3}));
  EXPECT_EQ(to_vector<float>(y)[5], 20);  // y[0][1][2] = x[1][2][0]
  EXPECT_THROW(permute(counting({2, 3}), {0, 0}), Error);
  EXPECT_THROW(permute(counting({2, 3}), {0, 1, 2}), Error);
}

TEST(View, SliceTakesARange) {
  const Tensor y = slice(counting({3, 4}), -1, 1, 3);
  EXPECT_EQ(to_vector<float>(y), (std::vector<float>{1, 2, 5, 6, 9, 10}));
  EXPECT_EQ(slice(counting({3, 4}), 0, 2, 2).count(), 0);
  EXPECT_THROW(slice(counting({3, 4}), 0, 2, 4), Error);
  EXPECT_THROW(slice(counting({3, 4}), 0, 2, 1), Error);
}

TEST(View, ExpandRepeatsWithoutACopy) {
  const Tensor x = counting({2, 1}), y = expand(x, {2, 2, 3});
  EXPECT_EQ(y.data(), x.data());
  EXPECT_EQ(to_vector<float>(y), (std::vector<float>{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(expand(counting({1, 3}), {0, 3}).count(), 0);
  EXPECT_THROW(expand(counting({2, 3}), {2, 6}), Error);
  EXPECT_THROW(expand(counting({2, 3}), {3}), Error);
  EXPECT_THROW(expand(counting({1, 3}), {-2, 3}), Error);
}

}  // namespace

using testing::Inputs;

const std::initializer_list<Shape> kMatrices{{0, 3}, {1, 1}, {1, 7}, {5, 1},
                                             {2, 3}, {7, 5}, {11, 2}};

GRADCHECK(reshape) {
  for (const Shape& s : kMatrices) {
    g.check({g.random(s)}, [](const Inputs& x) { return reshape(x[0], {x[0].count()}); });
  }
  g.check({g.noncontiguous({3, 5})}, [](const Inputs& x) { return reshape(x[0], {5, 3}); });
}

GRADCHECK(contiguous) {
  for (const Shape& s : kMatrices) {
    g.check({g.noncontiguous(s)}, [](const Inputs& x) { return x[0].contiguous(); });
  }
  g.check({g.noncontiguous({2, 3, 5})}, [](const Inputs& x) { return x[0].contiguous(); });
  EXPECT_EQ(g.samples(), 8);
  g.check({g.random({3, 4})}, [](const Inputs& x) { return transpose(x[0], 0, 1).contiguous(); });
}

GRADCHECK(permute) {
  for (const Shape& s : kMatrices) {
    g.check({g.random(s)}, [](const Inputs& x) { return permute(x[0], {1, 0}); });
  }
  g.check({g.random({2, 3, 5})}, [](const Inputs& x) { return permute(x[0], {2, 0, 1}); });
  g.check({g.noncontiguous({2, 3, 5})}, [](const Inputs& x) { return permute(x[0], {1, 2, 0}); });
}

GRADCHECK(slice) {
  for (const Shape& s : kMatrices) {
    g.check({g.random(s)},
            [](const Inputs& x) { return slice(x[0], 1, 1 - (x[0].size(1) < 2), x[0].size(1)); });
  }
  g.check({g.noncontiguous({4, 5})}, [](const Inputs& x) { return slice(x[0], 0, 1, 3); });
  g.check({g.random({2, 0, 3})}, [](const Inputs& x) { return slice(x[0], 0, 1, 2); });
  g.check({g.random({5, 3})}, [](const Inputs& x) {
    return reshape(slice(slice(x[0], 0, 1, 4), 1, 0, 2), {3, 2});
  });
  // Two slices of one tensor that overlap: their gradients add.
  g.check({g.random({5, 3})},
          [](const Inputs& x) { return slice(x[0], 0, 0, 3) * slice(x[0], 0, 2, 5); });
}

GRADCHECK(expand) {
  for (const Shape& s : {Shape{}, Shape{5}, Shape{1}, Shape{3, 1}, Shape{3, 5}, Shape{1, 1}}) {
    g.check({g.random(s)}, [](const Inputs& x) { return expand(x[0], {2, 3, 5}); });
  }
  g.check({g.noncontiguous({3, 5})}, [](const Inputs& x) { return expand(x[0], {2, 3, 5}); });
  g.check({g.random({0, 1})}, [](const Inputs& x) { return expand(x[0], {0, 7}); });
  g.check({g.random({1, 3})}, [](const Inputs& x) { return expand(x[0], {0, 3}); });
}

}  // namespace convoy
