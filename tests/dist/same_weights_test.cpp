// SPDX-License-Identifier: MIT
#include "dist/same_weights.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/require.h"
#include "nn/init.h"
#include "nn/models.h"
#include "tests/support/communicators.h"

namespace convoy::dist {
namespace {

using Hashes = std::vector<std::int64_t>;

// FNV-1a of one word by hand: (offset ^ word) * prime.
TEST(SameWeights, HashIsFnv1aOverWords) {
  constexpr std::uint64_t kOffset = 14695981039346656037u, kPrime = 1099511628211u;
  EXPECT_EQ(fnv_1a(nullptr, 0), kOffset);
  const std::uint64_t word = 0x0123456789abcdef;
  EXPECT_EQ(fnv_1a(&word, 8), (kOffset ^ word) * kPrime);
  EXPECT_EQ(fnv_1a("\x05\x01", 2), (kOffset ^ 0x0105) * kPrime);
  const unsigned char bytes[9] = {0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 7};
  EXPECT_EQ(fnv_1a(bytes, 9), (((kOffset ^ word) * kPrime) ^ 7) * kPrime);
}

TEST(SameWeights, EveryBitCounts) {
  for (const std::size_t size : {1u, 7u, 8u, 12u, 33u}) {
    std::vector<unsigned char> bytes(size, 0x5a);
    const std::uint64_t before = fnv_1a(bytes.data(), size);
    for (std::size_t bit = 0; bit < 8 * size; ++bit) {
      bytes[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
      EXPECT_NE(fnv_1a(bytes.data(), size), before) << size << " " << bit;
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

struct Model {
  std::unique_ptr<nn::Module> net =
      nn::create_model("lenet5", {.num_classes = 10, .in_channels = 1});
  nn::ParameterStore store;
  explicit Model(std::optional<DType> half)
      : store((nn::initialize(*net, 1), *net), {}, {}, half) {}
};

std::vector<std::string> errors_after(int world_size, std::optional<DType> half,
                                      const std::function<void(int, Model&)>& harm) {
  return errors_of_ranks(world_size, gloo(), [&](auto& ranks) {
    Model model(half);
    harm(ranks->rank(), model);
    require_same_weights(model.store, *ranks);
  });
}

TEST(SameWeights, OneBitOfOneRankIsToldToAll) {
  for (const auto half : {std::optional<DType>(), std::optional(DType::f16)}) {
    for (const std::string& error : errors_after(3, half, [](int, Model&) {})) {
      EXPECT_EQ(error, "");
    }
    const auto errors = errors_after(3, half, [](int rank, Model& model) {
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
  const auto errors = errors_after(3, DType::bf16, [](int rank, Model& model) {
    if (rank != 2) return;
    Tensor& values = const_cast<Tensor&>(model.store.groups().back().values);
    static_cast<unsigned char*>(values.data())[0] ^= 0x80;
  });
  for (const std::string& error : errors) {
    EXPECT_NE(error.find("rank 2 and the other ranks"), std::string::npos) << error;
  }
}

// What lies between parameters is nobody's.
TEST(SameWeights, EveryParameterIsCompared) {
  const Model model(std::nullopt);
  for (const nn::ParameterGroup& group : model.store.groups()) {
    for (const nn::NamedSlice& slice : group.slices) {
      const auto errors = errors_after(2, {}, [&](int rank, Model& own) {
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
