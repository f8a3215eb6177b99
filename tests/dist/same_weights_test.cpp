// SPDX-License-Identifier: MIT
#include "dist/same_weights.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/require.h"
#include "tests/dist/lenet5.h"
#include "tests/support/communicators.h"

namespace convoy::dist {
namespace {

using Hashes = std::vector<std::int64_t>;

// By hand: (offset ^ word) * prime, and its upper half onto its lower.
std::uint64_t mixed(std::uint64_t hash, std::uint64_t word) {
  const std::uint64_t product = (hash ^ word) * 1099511628211u;
  return product ^ (product / 4294967296u);
}

TEST(SameWeights, HashIsThatOfItsWords) {
  constexpr std::uint64_t kOffset = 14695981039346656037u;
  EXPECT_EQ(hash_words(nullptr, 0), kOffset);
  const std::uint64_t word = 0x0123456789abcdef;
  EXPECT_EQ(hash_words(&word, 8), mixed(kOffset, word));
  EXPECT_EQ(hash_words("\x05\x01", 2), mixed(kOffset, 0x0105));
  const unsigned char bytes[9] = {0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 7};
  EXPECT_EQ(hash_words(bytes, 9), mixed(mixed(kOffset, word), 7));
}

// Two signs at the same place of two words.
TEST(SameWeights, ChangesDoNotCancel) {
  const std::vector<float> values(16, 0.5f);
  const auto hash = [](const std::vector<float>& v) {
    return hash_words(v.data(), v.size() * sizeof(float));
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      std::vector<float> changed = values;
      changed[i] = changed[j] = -0.5f;
      EXPECT_NE(hash(changed), hash(values)) << i << " " << j;
    }
  }
}

TEST(SameWeights, EveryBitCounts) {
  for (const std::size_t size : {1u, 7u, 8u, 12u, 33u}) {
    std::vector<unsigned char> bytes(size, 0x5a);
    const std::uint64_t before = hash_words(bytes.data(), size);
    for (std::size_t bit = 0; bit < 8 * size; ++bit) {
      bytes[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
      EXPECT_NE(hash_words(bytes.data(), size), before) << size << " " << bit;
      bytes[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
    }
  }
}

void expect_says(const Hashes& hashes, const std::string& words) {
  const auto found = difference_of_weights({"a", "b"}, hashes);
  ASSERT_TRUE(found);
  EXPECT_NE(found->find("weights: " + words), std::string::npos) << *found;
}

TEST(SameWeights, WhoIsAloneIsNamed) {
  EXPECT_FALSE(difference_of_weights({"a", "b"}, {1, 2}));
  EXPECT_FALSE(difference_of_weights({"a", "b"}, {1, 2, 1, 2, 1, 2}));
  EXPECT_FALSE(difference_of_weights({}, {}));
  expect_says({1, 2, 1, 2, 1, 3}, "rank 2 and the other ranks do not agree on b,");
  expect_says({7, 8, 1, 2, 1, 2}, "rank 0 and the other ranks do not agree on a and 1 more");
  expect_says({1, 2, 9, 2, 1, 2, 1, 8, 1, 2}, "ranks 1, 3 and the other ranks do not agree on a");
  expect_says({1, 2, 1, 3}, "the 2 ranks do not agree on b,");
  expect_says({1, 2, 1, 2, 1, 3, 1, 3}, "the 4 ranks do not agree on b,");
}

std::vector<std::string> errors_after(int world_size, std::optional<DType> half,
                                      const std::function<void(int, Lenet5&)>& harm) {
  return errors_of_ranks(world_size, gloo(), [&](auto& ranks) {
    Lenet5 model(half);
    harm(ranks->rank(), model);
    const auto wrong = compare_weights(model.store, nullptr, *ranks);
    ranks->barrier();
    if (wrong) throw Error(*wrong);
  });
}

TEST(SameWeights, OneBitOfOneRankIsToldToAll) {
  for (const auto half : {std::optional<DType>(), std::optional(DType::f16)}) {
    for (const std::string& error : errors_after(3, half, [](int, Lenet5&) {})) {
      EXPECT_EQ(error, "");
    }
    const auto errors = errors_after(3, half, [](int rank, Lenet5& model) {
      if (rank == 1) flip_bit(model.store);
    });
    for (const std::string& error : errors) {
      EXPECT_NE(error.find("rank 1 and the other ranks do not agree on"), std::string::npos)
          << error;
    }
  }
}

// Of halves both are compared: what the model computes with, and what it is rounded from.
TEST(SameWeights, HalvesAndTheirMastersAreCompared) {
  const auto errors = errors_after(3, DType::bf16, [](int rank, Lenet5& model) {
    if (rank != 2) return;
    Tensor& values = const_cast<Tensor&>(model.store.groups().back().values);
    static_cast<unsigned char*>(values.data())[0] ^= 0x80;
  });
  for (const std::string& error : errors) {
    EXPECT_NE(error.find("rank 2 and the other ranks"), std::string::npos) << error;
  }
}

// They show in no step, and what is saved are rank 0's.
TEST(SameWeights, AveragesAreCompared) {
  for (const int harmed : {-1, 0, 2}) {
    const auto errors = errors_of_ranks(3, gloo(), [&](auto& ranks) {
      Lenet5 model(std::nullopt);
      const nn::Ema averages(model.store, {});
      const nn::NamedSlice& slice = model.store.groups().back().slices.back();
      const Tensor& flat = averages.of_group(model.store.groups().size() - 1);
      if (ranks->rank() == harmed) flat.as<float>()[slice.offset + slice.count - 1] += 1;
      const auto wrong = compare_weights(model.store, &averages, *ranks);
      ranks->barrier();
      if (wrong) throw Error(*wrong);
    });
    const std::string expected =
        fmt::format("rank {} and the other ranks do not agree on the average of ", harmed);
    for (const std::string& error : errors) {
      EXPECT_EQ(error.find(expected) != std::string::npos, harmed >= 0) << error;
      EXPECT_EQ(error.empty(), harmed < 0) << error;
    }
  }
}

// What lies between parameters is nobody's.
TEST(SameWeights, EveryParameterIsCompared) {
  const Lenet5 model(std::nullopt);
  for (const nn::ParameterGroup& group : model.store.groups()) {
    for (const nn::NamedSlice& slice : group.slices) {
      const auto errors = errors_after(2, {}, [&](int rank, Lenet5& own) {
        if (rank != 0) return;
        for (const auto& each : own.store.groups()) {
          for (const auto& s : each.slices) {
            if (s.name == slice.name) each.values.as<float>()[s.offset + s.count - 1] += 1.0f;
          }
        }
      });
      for (const std::string& error : errors) {
        EXPECT_NE(error.find("the 2 ranks do not agree on " + slice.name + ","), std::string::npos)
            << error;
      }
    }
  }
}

}  // namespace
}  // namespace convoy::dist
