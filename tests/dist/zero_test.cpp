// SPDX-License-Identifier: MIT
#include "dist/zero.h"

#include <gtest/gtest.h>

#include <cstring>

#include "dist/parameter_gather.h"
#include "nn/optimizer.h"
#include "tests/dist/lenet5.h"
#include "tests/support/communicators.h"

namespace convoy::dist {
namespace {

constexpr double kKiB = 1.0 / 1024;  // of a MB

// Each rank's body says what is wrong, if anything is.
void on_gloo(int world_size, const std::function<std::string(Communicator&)>& body) {
  std::vector<std::string> found(static_cast<std::size_t>(world_size));
  const auto errors = errors_of_ranks(world_size, gloo(), [&](auto& ranks) {
    found[static_cast<std::size_t>(ranks->rank())] = body(*ranks);
    ranks->barrier();
  });
  for (std::size_t r = 0; r < found.size(); ++r) EXPECT_EQ(found[r] + errors[r], "") << r;
}

template <class T>
bool gathers(RankExchange& ranks, std::int64_t n) {
  std::vector<T> own, expected;
  for (int r = 0; r < ranks.world_size(); ++r) {
    for (std::int64_t i = 0; i < n; ++i) {
      expected.push_back(static_cast<T>(100 * r + i));
      if (r == ranks.rank()) own.push_back(expected.back());
    }
  }
  const Tensor all = empty({ranks.world_size(), n}, {DTypeOf<T>::value});
  ranks.gather(from_vector(own, {n}), all);
  return to_vector<T>(all) == expected;
}

TEST(RankExchange, GathersEveryTypeInTheOrderOfTheRanks) {
  on_gloo(3, [](Communicator& communicator) -> std::string {
    const auto ranks = rank_exchange(communicator);
    if (!gathers<float>(*ranks, 3)) return "f32";
    if (!gathers<double>(*ranks, 1) || !gathers<double>(*ranks, 7)) return "f64";
    if (!gathers<std::int32_t>(*ranks, 2)) return "i32";
    if (!gathers<std::int64_t>(*ranks, 5)) return "i64";
    EXPECT_THROW(gathers<std::int32_t>(*ranks, 3), Error);
    return "";
  });
}

TEST(Zero, EveryElementHasOneOwner) {
  for (const int zero_stage : {0, 1}) {
    on_gloo(3, [&](Communicator& communicator) -> std::string {
      Lenet5 m(DType::bf16);
      const auto buckets = make_buckets(*m.net, m.store, 3, {16 * kKiB, 4 * kKiB});
      const auto shards = make_shards(m.store, buckets, communicator, zero_stage);
      std::int64_t own = 0, all = 0;
      for (std::size_t g = 0; g < m.store.groups().size(); ++g) {
        own += shards->own_count(g);
        all += m.store.groups()[g].values.count();
      }
      m.store.share(shards);  // throws where that is not so
      if (m.store.master_bytes() != 4 * (zero_stage > 0 ? own : all)) return "masters";
      return "";
    });
  }
}

TEST(Zero, OptimizerBytesFallToOneOfAllRanks) {
  for (const int world_size : {2, 3, 4}) {
    on_gloo(world_size, [&](Communicator& communicator) -> std::string {
      Lenet5 alone(DType::bf16), m(DType::bf16);
      m.store.share(
          make_shards(m.store, make_buckets(*m.net, m.store, world_size), communicator, 1));
      const auto all = nn::Optimizer(alone.store, {.kind = nn::OptimizerKind::adamw});
      const auto own = nn::Optimizer(m.store, {.kind = nn::OptimizerKind::adamw});
      const double part = static_cast<double>(all.optimizer_bytes()) / world_size;
      EXPECT_NEAR(static_cast<double>(own.optimizer_bytes()), part, 0.02 * part);
      return "";
    });
  }
}

TEST(Zero, ValuesComeFromTheirOwners) {
  for (const std::optional<DType> half : {std::optional<DType>(), std::optional(DType::bf16)}) {
    on_gloo(3, [&](Communicator& communicator) -> std::string {
      Lenet5 m(half), untouched(half);
      const auto buckets = make_buckets(*m.net, m.store, 3, {16 * kKiB, 4 * kKiB});
      // What is not this rank's is forgotten.
      for (const Bucket& bucket : buckets) {
        for (int r = 0; r < 3; ++r) {
          if (r == communicator.rank() || bucket.part(r).count() == 0) continue;
          make_view(m.store.groups()[bucket.group].values, bucket.part(r).begin,
                    {bucket.part(r).count()}, {1})
              .fill_(7);
        }
      }
      ParameterGather(m.store, buckets, communicator).await_all();
      for (std::size_t g = 0; g < m.store.groups().size(); ++g) {
        const Tensor found = m.store.groups()[g].values;
        const Tensor expected = untouched.store.groups()[g].values;
        if (std::memcmp(found.data(), expected.data(),
                        static_cast<std::size_t>(found.count()) * size_of(found.dtype())) != 0) {
          return "values";
        }
      }
      return "";
    });
  }
}

}  // namespace
}  // namespace convoy::dist
