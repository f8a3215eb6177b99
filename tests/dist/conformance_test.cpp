// SPDX-License-Identifier: MIT
// One suite over every communicator: each operation, dtype and awkward count against sums in
// double precision, and the same bits on all ranks and in every repetition.
//
// Ranks are threads of this process. With CONVOY_TEST_RANKS=file:///FOLDER and a launcher's RANK
// and WORLD_SIZE this process is one rank instead, and runs what its number of ranks can: NCCL
// takes two ranks on one GPU only from different processes (scripts/nccl_one_gpu.sh).

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>

#include "kernels/half.h"
#include "kernels/sim/options.h"
#include "tests/dist/engines.h"

namespace convoy::dist {

void PrintTo(const Engine& engine, std::ostream* out) { *out << engine.name; }

namespace {

using Bytes = std::vector<std::byte>;

// A rank's contribution: numbers of both signs and many magnitudes, as the dtype holds them. Of i64
// below 2^49, so that doubles hold the sums of eight.
double draw(DType dtype, int rank, std::int64_t index) {
  std::uint64_t bits = (static_cast<std::uint64_t>(rank) << 40 | index) * 0x9e3779b97f4a7c15u;
  bits = (bits ^ bits >> 29) * 0xbf58476d1ce4e5b9u;
  bits ^= bits >> 32;
  if (dtype == DType::i64) return static_cast<double>(static_cast<std::int64_t>(bits) >> 14);
  const double fraction = static_cast<double>(bits >> 40) / (1 << 24) - 0.5;
  return std::ldexp(fraction, static_cast<int>(bits % 13) - 6);
}

void put(DType dtype, double value, std::byte* at) {
  const auto store = [&](auto stored) { std::memcpy(at, &stored, sizeof stored); };
  if (dtype == DType::f32) store(static_cast<float>(value));
  if (dtype == DType::f16) store(from_double<F16>(value));
  if (dtype == DType::bf16) store(from_double<BF16>(value));
  if (dtype == DType::i64) store(static_cast<std::int64_t>(value));
}

double take(DType dtype, const std::byte* at) {
  const auto load = [&](auto stored) {
    std::memcpy(&stored, at, sizeof stored);
    return stored;
  };
  if (dtype == DType::f32) return load(0.0f);
  if (dtype == DType::f16) return to_float(load(F16{}));
  if (dtype == DType::bf16) return to_float(load(BF16{}));
  return static_cast<double>(load(std::int64_t{}));
}

double eps(DType dtype) {
  if (dtype == DType::f16) return 0x1p-11;
  return dtype == DType::bf16 ? 0x1p-8 : 0x1p-24;
}

// Half of the smallest step of the subnormals: what rounding may lose where |value| is tiny.
double tiny(DType dtype) { return dtype == DType::f16 ? 0x1p-25 : 0x1p-134; }

Bytes values_of(DType dtype, int rank, std::int64_t count) {
  Bytes bytes(count * size_of(dtype));
  for (std::int64_t i = 0; i < count; ++i) {
    put(dtype, draw(dtype, rank, i), bytes.data() + i * size_of(dtype));
  }
  return bytes;
}

Tensor tensor_of(const Bytes& bytes, DType dtype, const Device& device) {
  return from_host(bytes.data(), {static_cast<std::int64_t>(bytes.size() / size_of(dtype))},
                   {dtype, device});
}
Bytes bytes_of(const Tensor& tensor) {
  Bytes bytes(tensor.count() * size_of(tensor.dtype()));
  to_host(tensor, bytes.data());
  return bytes;
}

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

class Conformance : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    if (!GetParam().why_not.empty()) GTEST_SKIP() << GetParam().why_not;
  }
  void TearDown() override {
    if (asked_ == 0 || runs_ > 0) return;
    GTEST_SKIP() << fmt::format("NOTHING WAS RUN: none of the test's numbers of ranks suits {}",
                                GetParam().name);
  }

  static bool can_have(int world_size) {
    if (one_of_many() != nullptr) return world_size == one_of_many()->place.world_size;
    return world_size <= GetParam().most_ranks;
  }

  void each_rank(int world_size, const std::function<void(Communicator&)>& run) {
    ++asked_;
    if (!can_have(world_size)) return;
    ++runs_;
    if (OneOfMany* const here = one_of_many()) {
      const std::string prefix = fmt::format("{}", here->communicators++);
      run(*GetParam().make(*here->store, here->place.rank, world_size, prefix));
      return;
    }
    const auto errors = errors_of_ranks(world_size, GetParam().make,
                                        [&](std::unique_ptr<Communicator>& ranks) { run(*ranks); });
    for (const std::string& error : errors) EXPECT_EQ(error, "");
  }

  static Device device_of(Communicator& ranks) { return GetParam().devices(ranks.rank()).front(); }

  // For 1 to 8 ranks all dtypes and counts. Where not every case is asked for: of more than 4 ranks
  // fewer counts in half types, few large ones, a second device for 2 and 5 ranks only.
  void each_case(
      const std::function<void(Communicator&, DType, std::int64_t, const Device&)>& run) {
    const bool every = GetParam().every_case;
    for (int world_size = 1; world_size <= 8; ++world_size) {
      each_rank(world_size, [&](Communicator& ranks) {
        const std::vector<Device> devices = GetParam().devices(ranks.rank());
        const std::int64_t w = world_size;
        for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i64}) {
          for (const Device& device : devices) {
            if (!every && device != devices[0] && world_size != 2 && world_size != 5) continue;
            const bool half = size_of(dtype) == 2;
            for (const std::int64_t count :
                 {std::int64_t{0}, std::int64_t{1}, w - 1, w, w + 1, std::int64_t{1009}}) {
              if (!every && half && w > 4 && count <= w) continue;
              run(ranks, dtype, count, device);
            }
            if (every) run(ranks, dtype, 1000000, device);
          }
        }
        if (every) return;
        if (world_size % 3 == 2) run(ranks, DType::f32, 1000000, devices[0]);
        if (world_size == 3) run(ranks, DType::bf16, 1000000, devices[0]);
      });
    }
  }

  // What `run` gives: where every case is asked for twenty times, of the same bits.
  static Bytes each_time(const std::function<Bytes()>& run) {
    const Bytes first = run();
    for (int repetition = 1; GetParam().every_case && repetition < kRepetitions; ++repetition) {
      EXPECT_TRUE(run() == first) << "repetition " << repetition;
    }
    return first;
  }
  static constexpr int kRepetitions = 20;

 private:
  int asked_ = 0, runs_ = 0;  // calls of each_rank, and those that the engine could serve
};

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
    const Device device = GetParam().devices(ranks.rank()).back();
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
    const auto error = [](const auto& call) -> std::string {
      try {
        call();
      } catch (const Error& refused) {
        return refused.what();
      }
      return "nothing was thrown";
    };
    const Partition parts(10, 2);
    const auto expect = [&](const std::string& found, const char* text) {
      EXPECT_NE(found.find(text), std::string::npos) << found;
    };
    expect(error([&] { ranks.all_reduce(tensor(10), tensor(9), parts); }),
           "all_reduce: out expects 10 elements, found 9");
    expect(error([&] { ranks.reduce_scatter(tensor(9), tensor(5), parts); }),
           "reduce_scatter: in expects 10 elements, found 9");
    expect(error([&] { ranks.all_gather(tensor(10), tensor(10), parts); }),
           "all_gather: in expects 5 elements, found 10");
    expect(error([&] { ranks.all_reduce(tensor(10), tensor(10, DType::f16), parts); }),
           "all_reduce: out expects f32, as in is, found f16");
    expect(error([&] { ranks.all_reduce(tensor(10, DType::u8)); }),
           "all_reduce: in expects f32, f16, bf16 or i64, found u8");
    expect(error([&] { ranks.all_reduce(tensor(10), tensor(10), Partition(10, 3)); }),
           "all_reduce: expects 2 parts, one for each rank, found 3");
    expect(error([&] { ranks.broadcast(tensor(10), 2); }),
           "broadcast: root expects a rank from 0 to 1, found 2");
    expect(error([&] { ranks.broadcast(make_view(tensor(10), 0, {5}, {2}), 0); }),
           "broadcast: data expects a dense tensor");
    const Tensor fine = full({4}, 1, {DType::f32, device});
    ranks.all_reduce(fine).wait();
    EXPECT_EQ(to_vector<float>(fine), std::vector<float>(4, 2.0f)) << "afterwards all is well";
  });
}

INSTANTIATE_TEST_SUITE_P(Engines, Conformance, testing::ValuesIn(engines()),
                         [](const auto& engine) { return engine.param.name; });

}  // namespace
}  // namespace convoy::dist
