// SPDX-License-Identifier: MIT
// kbench: what is timed, in which order, and the bytes that count.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "apps/kbench/harness.h"

namespace convoy::testing {
namespace {

TEST(Kbench, ABatchNormInTheCacheReadsItsInputsFromMemoryOnce) {
  const Device device{DeviceType::cpu};
  const auto bytes = [&](std::int64_t rows) {
    std::vector<double> found;
    for (const auto& make : kbench::batch_norm_problems(
             {.device = device, .sizes = {{"n", rows}, {"h", 1}, {"c", 1}}})) {
      found.push_back(make().bytes / (4.0 * static_cast<double>(rows)));
    }
    return found;
  };
  EXPECT_EQ(bytes(1000), (std::vector<double>{2, 3}));
  EXPECT_EQ(bytes(std::int64_t{1} << 30), (std::vector<double>{3, 5}));
}

TEST(Kbench, EveryRepeatUsesEverySetOfOperands) {
  std::vector<int> used(40);
  const auto times = kbench::measure({DeviceType::cpu}, 40,
                                     [&](int set) {
                                       ++used[static_cast<std::size_t>(set)];
                                       std::this_thread::sleep_for(std::chrono::milliseconds(1));
                                     },
                                     {.warmup = 0, .repeats = 2});
  ASSERT_TRUE(times);
  EXPECT_GE(times->launches, 40);
  for (const int count : used) EXPECT_GE(count, 2);
}

// Writes down what it is asked for; its clock stands still while the host works.
class Diary final : public DeviceBackend {
 public:
  std::vector<std::string> entries;
  double clock = 0;

  void* allocate(std::size_t) override { return nullptr; }
  void release(void*, std::size_t) noexcept override {}
  void copy(void*, const void*, std::size_t, const Stream&, Where) override {}
  void synchronize(const Stream&) override { entries.emplace_back("wait for all"); }
  Stream default_stream() override { return {}; }
  bool host_accessible() const override { return false; }
  std::string description() const override { return "a diary"; }
  void* create_event() override { return new double; }
  void destroy_event(void* event) noexcept override { delete static_cast<double*>(event); }
  void record(void* event, const Stream&, Where) override {
    *static_cast<double*>(event) = clock;
    entries.push_back(fmt::format("mark {}", clock));
  }
  void synchronize_event(void* event) override {
    entries.push_back(fmt::format("wait for {}", *static_cast<double*>(event)));
  }
  double seconds_between(void* first, void* last) override {
    return *static_cast<double*>(last) - *static_cast<double*>(first);
  }
};

// Else the device idles between the first event and what the host is slow to enqueue.
TEST(Kbench, ARepeatIsEnqueuedWhileTheOneBeforeRuns) {
  Diary device;
  const auto work = [&] { device.clock += 1 + static_cast<int>(device.clock); };
  const auto seconds = kbench::time_back_to_back(device, {}, 3, work, [](int) { return false; });
  EXPECT_EQ(seconds, (std::vector<double>{2, 4, 8}));
  EXPECT_EQ(device.entries,
            (std::vector<std::string>{"mark 1", "mark 3", "wait for 1", "mark 7", "wait for 3",
                                      "mark 15", "wait for 7", "wait for all"}));
  const auto two = kbench::time_back_to_back(device, {}, 9, work, [](int i) { return i == 2; });
  EXPECT_EQ(two.size(), 2u);
}

// As the kernel tells it: "266240K".
TEST(Kbench, OperandsOnCpuAreLargerThanTheLastCache) {
  std::ifstream in("/sys/devices/system/cpu/cpu0/cache/index3/size");
  std::size_t kibibytes = 0;
  if (!(in >> kibibytes)) GTEST_SKIP() << "no third level of cache is told of here";
  EXPECT_GT(kbench::beyond_cache({DeviceType::cpu}), kibibytes << 10);
  EXPECT_EQ(kbench::beyond_cache({DeviceType::cuda}), std::size_t{128} << 20);
}

}  // namespace
}  // namespace convoy::testing
