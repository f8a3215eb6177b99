// SPDX-License-Identifier: MIT
#pragma once
// A hundred runs of an op, each under a schedule of its own, give the same bits.
// tests/every_op.cmake fails for an op that no test repeats.

#include <functional>
#include <vector>

#include "kernels/sim/options.h"
#include "tests/support/gpu_case.h"
#include "tests/support/seeds.h"

namespace convoy::testing {

inline constexpr std::int64_t kRows = 270, kColumns = 9, kCount = kRows * kColumns;

inline DeviceArray some(DType dtype, std::uint32_t seed, std::int64_t count = kCount) {
  return {dtype, random_doubles(dtype, count, seed)};
}

using Bytes = std::vector<std::uint8_t>;

template <class... Arrays>
Bytes bytes_of(const Arrays&... arrays) {
  Bytes all;
  const auto append = [&](const DeviceArray& array) {
    Bytes bytes(static_cast<std::size_t>(array.count()) * size_of(array.dtype()));
    copy_from_device(bytes.data(), array.data(), bytes.size());
    all.insert(all.end(), bytes.begin(), bytes.end());
  };
  (append(arrays), ...);
  return all;
}

// The run makes its own arrays, and gives what it computed.
inline void expect_same_bits(const char* what, const std::function<Bytes()>& run) {
  SCOPED_TRACE(what);
  const sim::Options before = sim::options();
  const Bytes first = run();
  for (std::uint64_t i = 1; i < seeds(100); ++i) {
    sim::options() = {.schedule = sim::Schedule::seeded, .async = sim::Async::seeded, .seed = i};
    const bool same = run() == first;
    sim::options() = before;
    ASSERT_TRUE(same) << "repeat " << i;
  }
}

}  // namespace convoy::testing
