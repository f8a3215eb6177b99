// SPDX-License-Identifier: MIT
#include "runtime/random.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace convoy {
namespace {

TEST(Random, StreamsOfAGeneratorDiffer) {
  Generator a(7), b(7);
  const auto first = to_vector<float>(uniform({100}, 0, 1, a.next_key()));
  EXPECT_NE(first, to_vector<float>(uniform({100}, 0, 1, a.next_key())));
  EXPECT_EQ(first, to_vector<float>(uniform({100}, 0, 1, b.next_key())));
  EXPECT_NE(first, to_vector<float>(uniform({100}, 0, 1, Generator(8).next_key())));
}

TEST(Random, EachDistributionReachesItsKernel) {
  const PhiloxKey key{1, 2};
  const auto flat = to_vector<double>(uniform({3, 5}, 2, 3, key, {DType::f64}));
  EXPECT_GE(*std::min_element(flat.begin(), flat.end()), 2);
  EXPECT_LT(*std::max_element(flat.begin(), flat.end()), 3);
  const auto bell = to_vector<float>(normal({1000}, 10, 0.1, key));
  EXPECT_NEAR(bell[500], 10, 1);
  const auto cut = to_vector<float>(truncated_normal({1000}, 0, 1, -0.5, 0.25, key));
  EXPECT_GE(*std::min_element(cut.begin(), cut.end()), -0.5f);
  EXPECT_LE(*std::max_element(cut.begin(), cut.end()), 0.25f);
  EXPECT_THROW(uniform({3}, 0, 1, key, {DType::i32}), Error);
}

TEST(Random, PermutationsChangeWithTheStep) {
  const PhiloxKey key{1, 2};
  auto order = to_vector<std::int64_t>(permutation(10, key, 3));
  EXPECT_NE(order, to_vector<std::int64_t>(permutation(10, key, 4)));
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

}  // namespace
}  // namespace convoy
