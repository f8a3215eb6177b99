// SPDX-License-Identifier: MIT
// Two simulated GPUs in one process, and what an error of theirs says.
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "kernels/launch_log.h"
#include "kernels/sim/devices.h"
#include "runtime/graph.h"
#include "runtime/ops.h"
#include "runtime/step_state.h"
#include "tests/runtime/sim_device.h"

namespace convoy {
namespace {

using testing::contains;
using testing::error_of;
using testing::ScopedMode;

constexpr Device kFirst{DeviceType::sim, 0}, kSecond{DeviceType::sim, 1};
constexpr const char* kFile = "tests/runtime/devices_test.cpp";

// Before anybody counts the devices.
const int kTwo = setenv("CONVOY_SIM_DEVICES", "2", 1);

std::vector<float> work_on(const Device& device, int rounds) {
  Tensor x = from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3}, device);
  for (int i = 0; i < rounds; ++i) x = relu(x * 1.5 - 1.0);
  return to_vector<float>(x);
}

TEST(Devices, BothAreThere) {
  ASSERT_EQ(kTwo, 0);
  EXPECT_EQ(on_sim::gpu_count(), 2);
  EXPECT_EQ(parse_device("sim:1"), kSecond);
  EXPECT_TRUE(contains(error_of([] { parse_device("sim:2"); }), "cpu, sim, sim:1"));
}

TEST(Devices, TwoThreadsWorkOnOneEach) {
  const std::vector<float> expected = work_on(Device{}, 20);
  for (const sim::Async async : {sim::Async::eager, sim::Async::late, sim::Async::seeded}) {
    const ScopedMode mode(async, 3);
    std::vector<float> first, second;
    std::thread other([&] { second = work_on(kSecond, 20); });
    first = work_on(kFirst, 20);
    other.join();
    EXPECT_EQ(first, expected);
    EXPECT_EQ(second, expected);
  }
}

TEST(Devices, OneThreadWorksOnBothAndMovesBetweenThem) {
  const ScopedMode mode(sim::Async::late);
  const Tensor x = from_vector<float>({1, 2, 3}, {3}, kFirst);
  const Tensor there = (x + 1.0).to(kSecond);
  EXPECT_EQ(there.device(), kSecond);
  EXPECT_EQ(to_vector<float>((there * 2.0).to(kFirst) + x), (std::vector<float>{5, 8, 11}));
}

TEST(Devices, EachHasItsOwnMemoryAndState) {
  const auto before = allocator(kFirst).stats().live_bytes;
  const auto before_second = allocator(kSecond).stats().live_bytes;
  const Tensor x = zeros({1000}, {DType::f32, kSecond});
  EXPECT_EQ(allocator(kFirst).stats().live_bytes, before);
  EXPECT_GE(allocator(kSecond).stats().live_bytes, before_second + 4000);
  EXPECT_NE(step_state(kFirst).device_pointer(), step_state(kSecond).device_pointer());
}

TEST(Devices, AStreamOfAnotherDeviceIsRefused) {
  const Stream stream = backend(kSecond).default_stream();
  on_sim::cudaSetDevice(0);
  EXPECT_TRUE(contains(error_of([&] { testing::enqueue(stream, [] {}); }),
                       "launch: expects a stream of the current device 0, found one of 1"));
  Event event(kFirst);
  EXPECT_TRUE(
      contains(error_of([&] { event.record(stream); }),
               "cudaEventRecord: expects an event of the stream's device 1, found one of 0"));
}

TEST(Devices, GraphsOfBothReplay) {
  if (!has_graphs(kFirst)) GTEST_SKIP() << "a graph's pool is part of the cache";
  for (const Device& device : {kFirst, kSecond}) {
    const Tensor x = full({4}, 1, {DType::f32, device});
    Graph graph(device);
    const auto step = [&] { x.detach().copy_(x * 2.0); };
    graph.run(step);
    graph.capture(step);
    graph.replay();
    graph.replay();
    EXPECT_EQ(to_vector<float>(x)[3], 8.0f);
  }
}

// CONVOY_SYNC=1: whatever the mode, a launch has run when it returns; a capture still captures.
TEST(Devices, LaunchesWaitWhenTheyAreToldTo) {
  const ScopedMode mode(sim::Async::late);
  const Tensor x = full({4}, 1, {DType::f32, kFirst});
  const float* memory = x.as<float>();
  EXPECT_NE(memory[0], 1.0f) << "nobody has waited yet";
  set_launches_wait(true);
  x.detach().fill_(2);
  EXPECT_EQ(memory[0], 2.0f);
  if (has_graphs(kFirst)) {
    Graph graph(kFirst);
    const auto step = [&] { x.detach().copy_(x * 2.0); };
    graph.run(step);
    graph.capture(step);
    EXPECT_EQ(memory[0], 4.0f);
    graph.replay();
  }
  set_launches_wait(false);
}

TEST(Devices, OutOfMemorySaysWhoAskedAndWhatThereIs) {
  for (const Device& device : {Device{}, kFirst}) {
    allocator(device).trim();
    { const Tensor freed = empty({3 << 20}, {DType::f32, device}); }
    const TensorOptions options{DType::f32, device};
    const int line = __LINE__ + 1;
    const std::string error = error_of([&] { empty({std::int64_t{1} << 58}, options); });
    EXPECT_TRUE(contains(error, "1152921504606846976 bytes, asked for by " + CONVOY_LINE(line)))
        << error;
    if (!allocator(device).is_caching()) continue;
    EXPECT_TRUE(contains(error, "and the largest free block had 12582912")) << error;
    EXPECT_TRUE(contains(error, "bytes are live, 0 are kept by graphs")) << error;
  }
}

// The last test: the second device is lost to this process.
TEST(DevicesEnd, ALostDeviceSaysWhatWasUnderWayAndIsSilentAfterwards) {
  const Tensor x = full({4}, 1, {DType::f32, kSecond});
  auto y = std::make_unique<Tensor>(relu(x));
  on_sim::break_device(1, on_sim::kIllegalAddress);
  const std::string error = error_of([&] { to_vector<float>(x); });
  EXPECT_TRUE(contains(error, "an illegal memory access was encountered")) << error;
  EXPECT_TRUE(contains(error, "sim:1 is of no use to this process any more")) << error;
  EXPECT_TRUE(contains(error, "Fill (")) << error;
  EXPECT_TRUE(contains(error, "Unary (")) << error;
  EXPECT_TRUE(contains(error, "CONVOY_SYNC=1")) << error;
  ::testing::internal::CaptureStderr();
  y.reset();
  { const Event event(kFirst); }
  allocator(kSecond).trim();
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(error_of([&] { to_vector<float>(x); }).substr(0, 40), error.substr(0, 40));
  EXPECT_EQ(work_on(kFirst, 3), work_on(Device{}, 3)) << "the other goes on";
}

}  // namespace
}  // namespace convoy
