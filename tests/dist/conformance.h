// SPDX-License-Identifier: MIT
#pragma once
// The suite over every communicator of the program (engines.h): ranks, what they contribute, and
// the fixture. conformance_test.cpp has each operation on each dtype and count, and instantiates
// the suite; conformance_order_test.cpp has orders and edges.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/half.h"
#include "tests/dist/engines.h"

namespace convoy::dist {

inline void PrintTo(const Engine& engine, std::ostream* out) { *out << engine.name; }

namespace conformance {

using Bytes = std::vector<std::byte>;

// A rank's contribution: numbers of both signs and many magnitudes, as the dtype holds them. Of i64
// below 2^49, so that doubles hold the sums of eight.
inline double draw(DType dtype, int rank, std::int64_t index) {
  std::uint64_t bits = (static_cast<std::uint64_t>(rank) << 40 | index) * 0x9e3779b97f4a7c15u;
  bits = (bits ^ bits >> 29) * 0xbf58476d1ce4e5b9u;
  bits ^= bits >> 32;
  if (dtype == DType::i64) return static_cast<double>(static_cast<std::int64_t>(bits) >> 14);
  const double fraction = static_cast<double>(bits >> 40) / (1 << 24) - 0.5;
  return std::ldexp(fraction, static_cast<int>(bits % 13) - 6);
}

inline void put(DType dtype, double value, std::byte* at) {
  const auto store = [&](auto stored) { std::memcpy(at, &stored, sizeof stored); };
  if (dtype == DType::f32) store(static_cast<float>(value));
  if (dtype == DType::f16) store(from_double<F16>(value));
  if (dtype == DType::bf16) store(from_double<BF16>(value));
  if (dtype == DType::i64) store(static_cast<std::int64_t>(value));
}

inline double take(DType dtype, const std::byte* at) {
  const auto load = [&](auto stored) {
    std::memcpy(&stored, at, sizeof stored);
    return stored;
  };
  if (dtype == DType::f32) return load(0.0f);
  if (dtype == DType::f16) return to_float(load(F16{}));
  if (dtype == DType::bf16) return to_float(load(BF16{}));
  return static_cast<double>(load(std::int64_t{}));
}

inline Bytes values_of(DType dtype, int rank, std::int64_t count) {
  Bytes bytes(count * size_of(dtype));
  for (std::int64_t i = 0; i < count; ++i) {
    put(dtype, draw(dtype, rank, i), bytes.data() + i * size_of(dtype));
  }
  return bytes;
}

inline Tensor tensor_of(const Bytes& bytes, DType dtype, const Device& device) {
  return from_host(bytes.data(), {static_cast<std::int64_t>(bytes.size() / size_of(dtype))},
                   {dtype, device});
}

inline Bytes bytes_of(const Tensor& tensor) {
  Bytes bytes(tensor.count() * size_of(tensor.dtype()));
  to_host(tensor, bytes.data());
  return bytes;
}

class Conformance : public ::testing::TestWithParam<Engine> {
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

}  // namespace conformance
}  // namespace convoy::dist
