// SPDX-License-Identifier: MIT
// The order of sums and of operations, roundings, and operands that are refused, over every
// communicator.

#include <atomic>

#include "kernels/sim/options.h"
#include "tests/dist/conformance.h"
#include "tests/support/errors.h"

namespace convoy::dist::conformance {
namespace {

using testing::error_of;
using testing::expect_says;

// However a range is cut, and by whichever operation: plain data parallel and sharded optimizers
// must agree.
TEST_P(Conformance, AllReduceIsReduceScatterAndAllGather) {
  const auto run = [&](Communicator& ranks) {
    const Device device = device_of(ranks);
    const Bytes mine = values_of(DType::bf16, ranks.rank(), 10007);
    const Partition parts(10007, ranks.world_size(), 64);
    const Tensor once = tensor_of(mine, DType::bf16, device);
    ranks.all_reduce(once, once, parts).wait();
    const Tensor twice = tensor_of(mine, DType::bf16, device);
    const Tensor part = view(twice, parts.of(ranks.rank()));
    ranks.reduce_scatter(twice, part, parts).wait();
    ranks.all_gather(part, twice, parts).wait();
    EXPECT_EQ(bytes_of(once), bytes_of(twice));
    if (!GetParam().in_rank_order) return;
    const Tensor otherwise = tensor_of(mine, DType::bf16, device);
    ranks.all_reduce(otherwise).wait();
    EXPECT_EQ(bytes_of(once), bytes_of(otherwise));
  };
  for (const int world_size : {1, 2, 3, 4}) each_rank(world_size, run);
}

// Few numbers travel with the ranks' first message and are summed by all of them, more are summed
// by the rank that owns them: 5 and 5003 take either way in every dtype.
constexpr std::int64_t kFewAndMany[] = {5, 5003};

// 1e8, 1 and -1e8 sum to 0 in this order, to 1 in another.
TEST_P(Conformance, SumsAreTakenInTheOrderOfTheRanks) {
  if (!GetParam().in_rank_order) GTEST_SKIP() << "the engine's order is its own";
  const std::vector<std::vector<float>> orders = {
      {1e8f, 1, -1e8f, 1}, {1e8f, -1e8f, 1, 1}, {1, 1e8f, -1e8f, 1}, {1, 1, 1e8f, -1e8f}};
  for (const std::vector<float>& order : orders) {
    float sum = 0;
    for (const float value : order) sum += value;
    each_rank(4, [&](Communicator& ranks) {
      for (const std::int64_t count : kFewAndMany) {
        const Tensor data = full({count}, order[ranks.rank()], {DType::f32, device_of(ranks)});
        ranks.all_reduce(data).wait();
        EXPECT_EQ(to_vector<float>(data), std::vector<float>(count, sum));
      }
    });
  }
}

// 2048 + 1 + 1 in f16, 256 + 1 + 1 in bf16: 2 more when the sum is rounded once, nothing more when
// each step is.
TEST_P(Conformance, HalfTypesAreRoundedOnce) {
  if (!GetParam().in_rank_order) GTEST_SKIP() << "the engine rounds as it likes";
  each_rank(3, [&](Communicator& ranks) {
    for (const DType dtype : {DType::f16, DType::bf16}) {
      const double large = dtype == DType::f16 ? 2048 : 256;
      for (const std::int64_t count : kFewAndMany) {
        const Tensor data = full({count}, ranks.rank() == 0 ? large : 1, {dtype, device_of(ranks)});
        ranks.all_reduce(data).wait();
        const Bytes sums = bytes_of(data);
        for (std::size_t at = 0; at < sums.size(); at += size_of(dtype)) {
          ASSERT_EQ(take(dtype, sums.data() + at), large + 2) << count << " of " << name(dtype);
        }
      }
    }
  });
}

TEST_P(Conformance, OperationsRunInOrderBesideTheCaller) {
  const auto run = [&](Communicator& ranks) {
    for (const Device& device : GetParam().devices(ranks.rank())) {
      std::vector<Tensor> data;
      std::vector<Work> work;
      for (int i = 0; i < 30; ++i) {
        data.push_back(full({i * 100}, i, {DType::f32, device}));
        work.push_back(ranks.all_reduce(data.back()));
      }
      for (int i = 29; i >= 0; --i) {
        work[i].wait();
        const auto sum = static_cast<float>(ranks.world_size() * i);
        EXPECT_EQ(to_vector<float>(data[i]), std::vector<float>(i * 100, sum));
        EXPECT_TRUE(work[i].has_passed());
      }
    }
  };
  for (const int world_size : {1, 2, 4}) each_rank(world_size, run);
}

// The simulator's streams run as late as they may: an operation that does not wait for what its
// caller has enqueued reads what was there before.
TEST_P(Conformance, WhatTheCallersStreamHasYetToWriteIsWaitedFor) {
  if (GetParam().devices(0).back().type != DeviceType::sim) GTEST_SKIP() << "it is for sim";
  sim::options().async = sim::Async::late;
  each_rank(3, [&](Communicator& ranks) {
    Tensor data = zeros({1000}, {DType::f32, GetParam().devices(ranks.rank()).back()});
    const Tensor out = zeros({1000}, data.like());
    for (int round = 1; round <= 5; ++round) {
      data.fill_(round);
      ranks.all_reduce(data, out, Partition(1000, 3)).wait();
      data.copy_(out);
      ranks.broadcast(data, 2).wait();
      EXPECT_EQ(to_vector<float>(data), std::vector<float>(1000, 3.0f * static_cast<float>(round)));
    }
  });
  sim::options().async = sim::Async::eager;
}

TEST_P(Conformance, NobodyPassesABarrierBeforeAllHaveCome) {
  if (one_of_many() != nullptr) GTEST_SKIP() << "it counts threads";
  std::atomic<int> come = 0;
  each_rank(5, [&](Communicator& ranks) {
    for (int round = 1; round <= 20; ++round) {
      std::this_thread::sleep_for(std::chrono::microseconds(ranks.rank() * 100));
      ++come;
      ranks.barrier();
      EXPECT_GE(come, 5 * round);
      ranks.barrier();
    }
  });
}

TEST_P(Conformance, OperandsThatDoNotFitAreRefused) {
  each_rank(2, [&](Communicator& ranks) {
    const Device device = device_of(ranks);
    const auto tensor = [&](std::int64_t count, DType dtype = DType::f32) {
      return zeros({count}, {dtype, device});
    };
    const Partition parts(10, 2);
    expect_says(error_of([&] { ranks.all_reduce(tensor(10), tensor(9), parts); }),
                "all_reduce: out expects 10 elements, found 9");
    expect_says(error_of([&] { ranks.reduce_scatter(tensor(9), tensor(5), parts); }),
                "reduce_scatter: in expects 10 elements, found 9");
    expect_says(error_of([&] { ranks.all_gather(tensor(10), tensor(10), parts); }),
                "all_gather: in expects 5 elements, found 10");
    expect_says(error_of([&] { ranks.all_reduce(tensor(10), tensor(10, DType::f16), parts); }),
                "all_reduce: out expects f32, as in is, found f16");
    expect_says(error_of([&] { ranks.all_reduce(tensor(10, DType::u8)); }),
                "all_reduce: in expects f32, f16, bf16 or i64, found u8");
    expect_says(error_of([&] { ranks.all_reduce(tensor(10), tensor(10), Partition(10, 3)); }),
                "all_reduce: expects 2 parts, one for each rank, found 3");
    expect_says(error_of([&] { ranks.broadcast(tensor(10), 2); }),
                "broadcast: root expects a rank from 0 to 1, found 2");
    expect_says(error_of([&] { ranks.broadcast(make_view(tensor(10), 0, {5}, {2}), 0); }),
                "broadcast: data expects a dense tensor");
    const Tensor fine = full({4}, 1, {DType::f32, device});
    ranks.all_reduce(fine).wait();
    EXPECT_EQ(to_vector<float>(fine), std::vector<float>(4, 2.0f)) << "afterwards all is well";
  });
}

}  // namespace
}  // namespace convoy::dist::conformance
