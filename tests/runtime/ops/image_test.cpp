// SPDX-License-Identifier: MIT
#include "runtime/ops/image.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

Tensor images() {  // two of them, 1 x 2 pixels, one channel
  return from_vector<std::uint8_t>({0, 51, 102, 255}, {2, 1, 2, 1});
}

TEST(NormalizeImages, TakesAllInOrderWithoutIndex) {
  const Tensor y = normalize_images(images(), {}, {}, {});
  EXPECT_EQ(y.shape(), (Shape{2, 1, 2, 1}));
  EXPECT_EQ(to_vector<float>(y), (std::vector<float>{0, 0.2f, 0.4f, 1}));
}

TEST(NormalizeImages, GathersFlipsAndPads) {
  const Tensor index = from_vector<std::int64_t>({1, 0, 1}, {3});
  const Tensor rows = from_vector<std::int32_t>({0, 0, 1, 0, 1, 0, 1, 0, 0}, {3, 3});
  const Tensor y = normalize_images(images(), index, rows, {.mean = {1}, .out_channels = 2});
  EXPECT_EQ(y.shape(), (Shape{3, 1, 2, 2}));
  EXPECT_EQ(to_vector<float>(y),
            (std::vector<float>{0, 0, -0.6f, 0, -0.8f, 0, -1, 0, -1, 0, -1, 0}));
}

TEST(NormalizeImages, RefusesOtherShapesAndDTypes) {
  const Tensor index = from_vector<std::int64_t>({2}, {1});
  EXPECT_THROW(normalize_images(images(), index, {}, {}), Error);
  EXPECT_THROW(normalize_images(zeros({2, 1, 2, 1}), {}, {}, {}), Error);
  EXPECT_THROW(normalize_images(zeros({2, 2}, {DType::u8}), {}, {}, {}), Error);
  EXPECT_THROW(normalize_images(images(), {}, zeros({1, 3}, {DType::i32}), {}), Error);
  EXPECT_THROW(normalize_images(images(), zeros({1}, {DType::i32}), {}, {}), Error);
}

}  // namespace
}  // namespace convoy
