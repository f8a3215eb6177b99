// SPDX-License-Identifier: MIT
#pragma once
// What the memory-bound kernels move, counted by the access checker (preset simcheck), against the
// least that their operands allow: at most 1.1 times as many bytes, each element of the large
// arrays asked for by one lane, 16 bytes at a time. Prints a table.
//
//   TRAFFIC_TEST(Dropout) {                        // for each dtype
//     expect_least("dropout", op, {{&x, 1}, {&y, 1}});   // reads x once and writes y once
//   }

#include "kernels/sim/traffic.h"
#include "tests/support/gpu_case.h"

namespace convoy::testing {
inline constexpr std::int64_t kRows = 4096, kColumns = 64, kCount = kRows * kColumns;
inline constexpr double kMost = 1.1;
// Of the mean access in the large arrays, in bytes: a few kernels look at single elements as well.
inline constexpr double kWide = 15.5;

// A large array, and how often it has to be read and written.
struct Stream {
  const DeviceArray* array;
  double times;
  bool overlapping = false;  // neighbours look at the same elements: a cache's work
  std::size_t bytes() const {
    return static_cast<std::size_t>(array->count()) * size_of(array->dtype());
  }
};

inline DeviceArray random_array(DType dtype, std::int64_t count = kCount, std::uint32_t seed = 1) {
  return {dtype, random_doubles(dtype, count, seed)};
}

template <class Op>
void expect_least(const std::string& name, const Op& op, const std::vector<Stream>& streams,
                  double small = 0, double width_at_least = kWide) {
  SCOPED_TRACE(name);
  const sim::TrafficLog log;
  run_on_device(op);
  const sim::Traffic found = log.total();
  double least = small, requested = 0, accesses = 0, once = 0;
  for (const Stream& s : streams) {
    const sim::Traffic of_array = log.requests_in(s.array->data(), s.bytes());
    const auto bytes = static_cast<double>(s.bytes()) * s.times;
    least += bytes;
    requested += static_cast<double>(of_array.requested());
    accesses += static_cast<double>(of_array.accesses);
    once += bytes;
    if (!s.overlapping) {
      EXPECT_LE(static_cast<double>(of_array.requested()), kMost * bytes);
    }
  }
  const double moved = static_cast<double>(found.moved()), width = requested / accesses;
  std::printf("%-34s %-5s %9.0f %9.0f %6.3f %9.3f %6.1f %8.3f\n", name.c_str(),
              convoy::name(streams[0].array->dtype()), least, moved, moved / least,
              requested / once, width,
              32 * static_cast<double>(found.sectors) / static_cast<double>(found.requested()));
  EXPECT_LE(moved, kMost * least);
  EXPECT_GE(moved, least) << "less than the least: the test counts wrongly";
  EXPECT_GE(width, width_at_least);
}

inline void print_head() {
  std::printf("%-34s %-5s %9s %9s %6s %9s %6s %8s\n", "op", "dtype", "least", "moved", "ratio",
              "requested", "width", "sectors");
}

// One test for each file of kernels.
#define TRAFFIC_TEST(name)                 \
  static void name##_traffic(DType dtype); \
  TEST(Traffic, name) {                    \
    print_head();                          \
    for_each_dtype(name##_traffic);        \
  }                                        \
  static void name##_traffic([[maybe_unused]] DType dtype)

}  // namespace convoy::testing
