// SPDX-License-Identifier: MIT
// Each operation, dtype and awkward count over every communicator, against sums in double
// precision, and the same bits on all ranks and in every repetition.

#include <cmath>

#include "tests/dist/conformance.h"

namespace convoy::dist::conformance {
namespace {

double eps(DType dtype) {
  if (dtype == DType::f16) return 0x1p-11;
  return dtype == DType::bf16 ? 0x1p-8 : 0x1p-24;
}

// Half of the smallest step of the subnormals: what rounding may lose where |value| is tiny.
double tiny(DType dtype) { return dtype == DType::f16 ? 0x1p-25 : 0x1p-134; }

// |found - Σ| ≤ one rounding to the dtype and W - 1 additions, of f32 or where the engine rounds
// each of them of the dtype, of what the ranks have given. Over i64 the numbers stay below 2^53,
// and nothing is rounded.
void expect_sums(const Engine& engine, DType dtype, int world_size, std::int64_t begin,
                 const Bytes& found) {
  const std::int64_t count = static_cast<std::int64_t>(found.size() / size_of(dtype));
  const double step = engine.in_rank_order ? 0x1p-24 : eps(dtype);
  for (std::int64_t i = 0; i < count; ++i) {
    double sum = 0, magnitude = 0;
    for (int rank = 0; rank < world_size; ++rank) {
      std::byte stored[8] = {};
      put(dtype, draw(dtype, rank, begin + i), stored);
      sum += take(dtype, stored);
      magnitude += std::fabs(take(dtype, stored));
    }
    const double additions = (world_size - 1) * (step * magnitude * (1 + step) + tiny(dtype));
    const double bound = dtype == DType::i64
                             ? 0.0
                             : eps(dtype) * (std::fabs(sum) + additions) + tiny(dtype) + additions;
    const double value = take(dtype, found.data() + i * size_of(dtype));
    ASSERT_LE(std::fabs(value - sum), bound)
        << name(dtype) << " element " << begin + i << ": " << value << " for " << sum;
  }
}

void expect_those_of_rank_0(Communicator& ranks, const Bytes& found, DType dtype,
                            const Device& device) {
  const Tensor of_rank_0 = tensor_of(found, dtype, device);
  ranks.broadcast(of_rank_0, 0).wait();
  EXPECT_TRUE(bytes_of(of_rank_0) == found) << "rank " << ranks.rank() << " has other bits";
}

TEST_P(Conformance, AllReduceSums) {
  each_case([&](Communicator& ranks, DType dtype, std::int64_t count, const Device& device) {
    const Partition parts(count, ranks.world_size());
    const Bytes mine = values_of(dtype, ranks.rank(), count);
    const Tensor in = tensor_of(mine, dtype, device);
    const Bytes sums = each_time([&] {
      const Tensor out = full({count}, 7, {dtype, device});
      ranks.all_reduce(in, out, parts).wait();
      return bytes_of(out);
    });
    expect_sums(GetParam(), dtype, ranks.world_size(), 0, sums);
    expect_those_of_rank_0(ranks, sums, dtype, device);
    EXPECT_EQ(bytes_of(in), mine);
    ranks.all_reduce(in).wait();
    EXPECT_EQ(bytes_of(in), sums) << "in place";
  });
}

TEST_P(Conformance, ReduceScatterSumsThisRanksPart) {
  each_case([&](Communicator& ranks, DType dtype, std::int64_t count, const Device& device) {
    for (const std::int64_t unit : {1, 5}) {
      const Partition parts(count, ranks.world_size(), unit);
      const Range part = parts.of(ranks.rank());
      const Tensor in = tensor_of(values_of(dtype, ranks.rank(), count), dtype, device);
      const Bytes sums = each_time([&] {
        const Tensor out = full({part.count()}, 7, {dtype, device});
        ranks.reduce_scatter(in, out, parts).wait();
        return bytes_of(out);
      });
      expect_sums(GetParam(), dtype, ranks.world_size(), part.begin, sums);
      const Tensor inside = view(in, part);
      ranks.reduce_scatter(in, inside, parts).wait();
      EXPECT_EQ(bytes_of(inside), sums) << "in place";
    }
  });
}

TEST_P(Conformance, AllGatherPutsPartsInOrder) {
  each_case([&](Communicator& ranks, DType dtype, std::int64_t count, const Device& device) {
    for (const std::int64_t unit : {1, 5}) {
      const Partition parts(count, ranks.world_size(), unit);
      const Range part = parts.of(ranks.rank());
      const Bytes whole = values_of(dtype, 99, count);
      const Tensor in = view(tensor_of(whole, dtype, device), part).clone();
      const Bytes gathered = each_time([&] {
        const Tensor out = full({count}, 7, {dtype, device});
        ranks.all_gather(in, out, parts).wait();
        return bytes_of(out);
      });
      EXPECT_EQ(gathered, whole);
      const Tensor again = full({count}, 7, {dtype, device});
      view(again, part).copy_(in);
      ranks.all_gather(view(again, part), again, parts).wait();
      EXPECT_EQ(bytes_of(again), whole) << "in place";
    }
  });
}

TEST_P(Conformance, BroadcastGivesTheRootsNumbers) {
  each_case([&](Communicator& ranks, DType dtype, std::int64_t count, const Device& device) {
    for (const int root : {0, ranks.world_size() - 1}) {
      const Bytes mine = values_of(dtype, ranks.rank(), count);
      const Bytes roots = each_time([&] {
        const Tensor data = tensor_of(mine, dtype, device);
        ranks.broadcast(data, root).wait();
        return bytes_of(data);
      });
      EXPECT_EQ(roots, values_of(dtype, root, count));
    }
  });
}

TEST_P(Conformance, AllRanksHaveTheSameBitsEachTime) {
  constexpr std::int64_t kCount = 100003;
  const auto run = [&](Communicator& ranks) {
    const Device device = device_of(ranks);
    const Bytes mine = values_of(DType::f32, ranks.rank(), kCount);
    const Partition parts(kCount, ranks.world_size(), 64);
    const Range part = parts.of(ranks.rank());
    std::vector<Bytes> first;
    for (int repetition = 0; repetition < kRepetitions; ++repetition) {
      const Tensor in = tensor_of(mine, DType::f32, device), sums = full({kCount}, 7, in.like()),
                   own = full({part.count()}, 7, in.like()), all = full({kCount}, 7, in.like());
      ranks.all_reduce(in, sums, parts).wait();
      ranks.reduce_scatter(in, own, parts).wait();
      ranks.all_gather(own, all, parts).wait();
      ranks.broadcast(in, repetition % ranks.world_size()).wait();
      const std::vector<Bytes> found = {bytes_of(sums), bytes_of(own), bytes_of(all)};
      if (repetition == 0) first = found;
      ASSERT_TRUE(found == first) << "repetition " << repetition;
      EXPECT_EQ(bytes_of(in), values_of(DType::f32, repetition % ranks.world_size(), kCount));
    }
    EXPECT_TRUE(first[0] == first[2]) << "a sum depends on the operation";
    expect_those_of_rank_0(ranks, first[0], DType::f32, device);
  };
  for (const int world_size : {2, 3, 4, 5, 8}) each_rank(world_size, run);
}

INSTANTIATE_TEST_SUITE_P(Engines, Conformance, ::testing::ValuesIn(engines()),
                         [](const auto& engine) { return engine.param.name; });

}  // namespace
}  // namespace convoy::dist::conformance
