// SPDX-License-Identifier: MIT
// The GPU's backend on the simulator: memory, copies, streams, events, page-locked memory, and the
// place that its errors name.
#include "runtime/device_gpu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <thread>

#include "runtime/pinned.h"
#include "runtime/step_state.h"
#include "tests/runtime/sim_device.h"

namespace convoy {
namespace {

using testing::contains;
using testing::enqueue;
using testing::error_of;
using testing::over_modes;
using testing::ScopedMode;
using testing::sim_backend;

constexpr const char* kFile = "tests/runtime/device_gpu_test.cpp";
constexpr std::size_t kCount = 64, kBytes = kCount * sizeof(float);
constexpr Device kSim{DeviceType::sim};

struct DeviceMemory {
  explicit DeviceMemory(std::size_t size) : bytes(size), data(sim_backend().allocate(size)) {}
  ~DeviceMemory() { sim_backend().release(data, bytes); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  float* floats() const { return static_cast<float*>(data); }

  std::size_t bytes;
  void* data;
};

TEST(GpuBackend, SaysWhatItIs) {
  EXPECT_EQ(on_sim::gpu_count(), 1);
  EXPECT_TRUE(contains(sim_backend().description(), "sim, SIMT simulator, 3 multiprocessors"));
  EXPECT_FALSE(sim_backend().host_accessible());
  EXPECT_EQ(sim_backend().default_stream().device, kSim);
  EXPECT_TRUE(contains(error_of([] { on_sim::gpu_backend(1); }), "expects an index below 1"));
}

TEST(GpuBackend, HasNoClockOnTheSimulator) {
  void* event = sim_backend().create_timing_event();
  EXPECT_TRUE(contains(error_of([&] { sim_backend().seconds_between(event, event); }),
                       "has no clock of its own"));
  sim_backend().destroy_event(event);
}

TEST(GpuBackend, AllocatesPoisonAndNullWhereThereIsNoRoom) {
  const DeviceMemory x(kBytes);
  for (const float value : testing::read(x.data, kCount, sim_backend().default_stream())) {
    ASSERT_TRUE(std::isnan(value));
  }
  EXPECT_EQ(sim_backend().allocate(std::size_t{1} << 60), nullptr);
}

TEST(GpuBackend, CopiesThereAndBackInOrder) {
  over_modes([](const std::string& mode) {
    const Stream stream = sim_backend().default_stream();
    std::vector<float> there(kCount), back(kCount);
    std::iota(there.begin(), there.end(), 0.0f);
    const DeviceMemory x(kBytes), y(kBytes);
    sim_backend().copy(x.data, there.data(), kBytes, stream);
    enqueue(stream, [x = x.floats()] {
      for (std::size_t i = 0; i < kCount; ++i) x[i] *= 2;
    });
    sim_backend().copy(y.data, x.data, kBytes, stream);
    sim_backend().copy(back.data(), y.data, kBytes, stream);
    sim_backend().synchronize(stream);
    for (std::size_t i = 0; i < kCount; ++i) ASSERT_EQ(back[i], 2 * there[i]) << mode;
  });
}

TEST(GpuBackend, AnEventOrdersTwoStreams) {
  over_modes([](const std::string& mode) {
    const DeviceMemory x(kBytes);
    const OwnedStream a(sim_backend()), b(sim_backend());
    Event event(sim_backend());
    EXPECT_TRUE(event.has_passed()) << "never recorded";
    enqueue(a.get(), [x = x.floats()] { std::fill(x, x + kCount, 3.0f); });
    event.record(a.get());
    event.hold(b.get());
    EXPECT_EQ(testing::read(x.data, kCount, b.get())[kCount - 1], 3.0f) << mode;
    event.synchronize();
    EXPECT_TRUE(event.has_passed());
  });
}

TEST(GpuBackend, AStreamGivenBackIsTakenAgain) {
  void* first = nullptr;
  {
    const OwnedStream stream(sim_backend());
    first = stream.get().handle;
    const OwnedStream other(sim_backend());
    EXPECT_NE(other.get().handle, first);
  }
  const OwnedStream a(sim_backend()), b(sim_backend());
  EXPECT_TRUE(a.get().handle == first || b.get().handle == first);
}

TEST(StreamScope, HoldsForItsThreadAndNests) {
  const OwnedStream a(sim_backend()), b(sim_backend());
  const StreamScope outer(a.get());
  {
    const StreamScope inner(b.get());
    EXPECT_EQ(current_stream(kSim).handle, b.get().handle);
    EXPECT_EQ(current_stream(Device{}).handle, nullptr) << "cpu has one stream";
  }
  EXPECT_EQ(current_stream(kSim).handle, a.get().handle);
  std::thread([&] {
    const StreamScope own(b.get());
    EXPECT_EQ(current_stream(kSim).handle, b.get().handle);
  }).join();
  EXPECT_EQ(current_stream(kSim).handle, a.get().handle);
}

// As a loader's threads and the training loop do it.
TEST(GpuBackend, ManyHostThreadsShareTheDevice) {
  over_modes([](const std::string& mode) {
    Allocator memory(sim_backend());
    const auto work = [&](int number) {
      std::vector<float> there(kCount, static_cast<float>(number)), back(kCount);
      const OwnedStream stream(sim_backend());
      const StreamScope on(stream.get());
      for (int i = 0; i < 10; ++i) {
        const Block x = memory.allocate(kBytes);
        Event done(sim_backend());
        sim_backend().copy(x.data, there.data(), kBytes, stream.get());
        enqueue(stream.get(), [x = static_cast<float*>(x.data)] { x[kCount - 1] += 1; });
        sim_backend().copy(back.data(), x.data, kBytes, stream.get());
        done.record(stream.get());
        while (!done.has_passed()) std::this_thread::yield();
        EXPECT_EQ(back[0], static_cast<float>(number)) << mode;
        EXPECT_EQ(back[kCount - 1], static_cast<float>(number + 1)) << mode;
        memory.release(x);
      }
    };
    std::vector<std::thread> threads;
    for (int number = 0; number < 4; ++number) threads.emplace_back(work, number);
    for (std::thread& thread : threads) thread.join();
  });
}

TEST(GpuBackend, NamesOurCallersLineForAMissingEventWait) {
  over_modes([](const std::string& mode) {
    std::vector<float> values(kCount);
    const DeviceMemory x(kBytes);
    const OwnedStream a(sim_backend()), b(sim_backend());
    sim_backend().copy(x.data, values.data(), kBytes, a.get());
    const int first = __LINE__ - 1;
    const std::string error =
        error_of([&] { sim_backend().copy(x.data, values.data(), 4, b.get()); });
    const int second = __LINE__ - 1;
    EXPECT_TRUE(contains(error, "a missing event wait")) << mode << ": " << error;
    EXPECT_TRUE(contains(error, CONVOY_LINE(first))) << error;
    EXPECT_TRUE(contains(error, fmt::format("[{}]", CONVOY_LINE(second)))) << error;
    sim_backend().synchronize(a.get());
  });
}

TEST(GpuBackend, AnErrorInADestructorIsThrownByTheNextCall) {
  const Stream stream = sim_backend().default_stream();
  void* x = sim_backend().allocate(16);
  sim_backend().release(x, 16);
  ::testing::internal::CaptureStderr();
  sim_backend().release(x, 16);
  EXPECT_TRUE(contains(::testing::internal::GetCapturedStderr(), "cudaFree: double free"));
  EXPECT_TRUE(contains(error_of([&] { sim_backend().synchronize(stream); }), "double free"));
  EXPECT_EQ(error_of([&] { sim_backend().synchronize(stream); }), "") << "said once";
}

TEST(PinnedBuffer, IsReusedAndSeenWhenItIsReusedTooEarly) {
  const ScopedMode mode(sim::Async::late);
  const Stream stream = sim_backend().default_stream();
  const DeviceMemory x(kBytes);
  void* first = nullptr;
  int line = 0;
  {
    const PinnedBuffer buffer(sim_backend(), kBytes);
    first = buffer.data();
    std::memset(buffer.data(), 0, kBytes);
    line = __LINE__ + 1;
    sim_backend().copy(x.data, buffer.data(), kBytes, stream);
  }
  const PinnedBuffer next(sim_backend(), kBytes - 3);  // of the same class
  EXPECT_EQ(next.data(), first);
  std::memset(next.data(), 1, kBytes - 3);
  const std::string error = error_of([&] { sim_backend().synchronize(stream); });
  EXPECT_TRUE(contains(error, "a host buffer was reused before its copy ended")) << error;
  EXPECT_TRUE(contains(error, fmt::format("[{}]", CONVOY_LINE(line)))) << error;
}

TEST(StepState, TheHostMayGoOnAtOnceAfterAnUpload) {
  over_modes([](const std::string& mode) {
    const Stream stream = sim_backend().default_stream();
    const DeviceMemory seen(kBytes);
    StepStateBuffer state(sim_backend(), stream);
    for (int step = 0; step < 20; ++step) {
      state.host().step = step;
      state.host().learning_rate[0] = static_cast<float>(step);
      state.upload(stream);
      enqueue(stream, [step, on_device = state.device_pointer(), to = seen.floats()] {
        to[step] = on_device->step == step ? on_device->learning_rate[0] : -1;
      });
    }
    const std::vector<float> values = testing::read(seen.data, 20, stream);
    for (int step = 0; step < 20; ++step) ASSERT_EQ(values[step], step) << mode;
  });
}

}  // namespace
}  // namespace convoy
