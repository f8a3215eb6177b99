// SPDX-License-Identifier: MIT
#include "kernels/base.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

TEST(Shape, CountsAndPrints) {
  const Shape s{2, 3, 5};
  EXPECT_EQ(s.rank(), 3);
  EXPECT_EQ(s.count(), 30);
  EXPECT_EQ(to_text(s), "[2, 3, 5]");
  EXPECT_EQ(Shape{}.count(), 1);
  EXPECT_EQ((Shape{4, 0}).count(), 0);
  EXPECT_NE(s, (Shape{2, 3}));
}

TEST(Shape, StridesAreRowMajorAlsoWhenEmpty) {
  EXPECT_EQ(contiguous_strides(Shape{2, 3, 5}), (Shape{15, 5, 1}));
  EXPECT_EQ(contiguous_strides(Shape{2, 0, 5}), (Shape{5, 5, 1}));
}

TEST(Shape, BroadcastFollowsNumPy) {
  EXPECT_EQ(broadcast_shapes("add", Shape{4, 1, 3}, Shape{2, 1}), (Shape{4, 2, 3}));
  EXPECT_EQ(broadcast_shapes("add", Shape{}, Shape{2}), (Shape{2}));
  EXPECT_EQ(broadcast_shapes("add", Shape{1}, Shape{0}), (Shape{0}));
}

TEST(Shape, ErrorsNameTheOpAndBothShapes) {
  try {
    broadcast_shapes("add", Shape{4, 3}, Shape{2, 2});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find("add: shapes [4, 3] and [2, 2] do not broadcast"), 0u)
        << e.what();
    EXPECT_EQ(e.where().find("kernels/shape.cpp:"), 0u) << e.where();
  }
}

TEST(Shape, TooManyExtentsIsAnError) {
  EXPECT_THROW((Shape{1, 2, 3, 4, 5, 6, 7}), Error);
  EXPECT_THROW(normalize_dim("sum", 3, 3), Error);
  EXPECT_EQ(normalize_dim("sum", -1, 3), 2);
}

TEST(DType, SizesAndNames) {
  EXPECT_EQ(size_of(DType::bf16), 2u);
  EXPECT_EQ(size_of(DType::i64), 8u);
  EXPECT_STREQ(name(DType::f64), "f64");
  EXPECT_FALSE(is_floating(DType::u8));
}

}  // namespace
}  // namespace convoy
