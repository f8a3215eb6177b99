// SPDX-License-Identifier: MIT
// Capture and replay, with the allocator's pool, on the simulator.
#include "runtime/graph.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/runtime/sim_device.h"

namespace convoy {
namespace {

using testing::contains;
using testing::enqueue;
using testing::error_of;
using testing::over_modes;
using testing::ScopedMode;
using testing::sim_backend;

constexpr std::size_t kCount = 100, kBytes = kCount * sizeof(float);
constexpr Device kSim{DeviceType::sim};

float* floats(const Block& block) { return static_cast<float*>(block.data); }

// x -> scratch -> other scratch -> x, with blocks that come and go: x = 2 x + 1.
void step(Allocator& memory, float* x) {
  const Stream stream = current_stream(kSim);
  const Block a = memory.allocate(kBytes);
  enqueue(stream, [x, to = floats(a)] {
    for (std::size_t i = 0; i < kCount; ++i) to[i] = 2 * x[i];
  });
  const Block b = memory.allocate(kBytes);
  enqueue(stream, [from = floats(a), to = floats(b)] {
    for (std::size_t i = 0; i < kCount; ++i) to[i] = from[i] + 1;
  });
  memory.release(a);
  const Block c = memory.allocate(kBytes);  // where a was
  enqueue(stream, [from = floats(b), to = floats(c)] { std::copy(from, from + kCount, to); });
  memory.release(b);
  enqueue(stream, [from = floats(c), x] { std::copy(from, from + kCount, x); });
  memory.release(c);
}

TEST(Graph, ReplayDoesWhatTheStepDoes) {
  over_modes([](const std::string& mode) {
    Allocator memory(sim_backend(), Caching::cut);
    const OwnedStream stream(sim_backend());
    const StreamScope on(stream.get());
    const Block x = memory.allocate(kBytes);
    enqueue(stream.get(), [x = floats(x)] { std::fill(x, x + kCount, 1.0f); });
    {
      Graph graph(sim_backend(), memory);
      graph.run([&] { step(memory, floats(x)); });
      const auto asked = memory.stats().device_allocations;
      graph.capture([&] { step(memory, floats(x)); });
      EXPECT_EQ(memory.stats().device_allocations, asked) << "the pool has what it needs";
      EXPECT_EQ(testing::read(x.data, kCount, stream.get())[7], 3.0f) << mode;
      for (int i = 0; i < 4; ++i) graph.replay();
      EXPECT_EQ(testing::read(x.data, kCount, stream.get())[99], 63.0f) << mode;
    }
    memory.release(x);
  });
}

TEST(Graph, NobodyElseGetsItsMemory) {
  over_modes([](const std::string& mode) {
    Allocator memory(sim_backend(), Caching::cut);
    const OwnedStream stream(sim_backend());
    const StreamScope on(stream.get());
    const Block x = memory.allocate(kBytes);
    Block kept;
    {
      Graph graph(sim_backend(), memory);
      const auto make = [&] {
        if (kept.data != nullptr) memory.release(kept);
        kept = memory.allocate(kBytes);
        enqueue(current_stream(kSim), [to = floats(kept)] { std::fill(to, to + kCount, 4.0f); });
      };
      graph.run(make);
      graph.capture(make);
      const Block outside = memory.allocate(kBytes);
      EXPECT_NE(outside.data, kept.data) << mode;
      memory.release(outside);
      graph.replay();
      EXPECT_EQ(testing::read(kept.data, kCount, stream.get())[0], 4.0f) << mode;
    }
    EXPECT_EQ(memory.stats().live_bytes, x.bytes + kept.bytes);
    memory.release(kept);  // after its graph
    memory.release(x);
    EXPECT_EQ(memory.stats().live_bytes, 0u);
  });
}

TEST(Graph, WorkOnASecondStreamTakesPart) {
  over_modes([](const std::string& mode) {
    Allocator memory(sim_backend(), Caching::cut);
    const OwnedStream stream(sim_backend()), side(sim_backend());
    const StreamScope on(stream.get());
    Event fork(sim_backend()), join(sim_backend());
    const Block x = memory.allocate(kBytes);
    enqueue(stream.get(), [x = floats(x)] { std::fill(x, x + kCount, 1.0f); });
    const auto forked = [&] {
      const Stream own = current_stream(kSim);
      const Block y = memory.allocate(kBytes);
      enqueue(own, [x = floats(x), y = floats(y)] { std::copy(x, x + kCount, y); });
      fork.record(own);
      fork.hold(side.get());
      enqueue(side.get(), [x = floats(x), y = floats(y)] {
        for (std::size_t i = 0; i < kCount; ++i) x[i] += y[i];
      });
      memory.record_use(y, side.get());
      join.record(side.get());
      join.hold(own);
      memory.release(y);
      const Block z = memory.allocate(kBytes);  // not where y was, however fast `side` is
      enqueue(own, [z = floats(z)] { std::fill(z, z + kCount, 0.0f); });
      memory.release(z);
    };
    {
      Graph graph(sim_backend(), memory);
      graph.run(forked);
      graph.run(forked);
      const auto asked = memory.stats().device_allocations;
      graph.capture(forked);
      EXPECT_EQ(memory.stats().device_allocations, asked);
      graph.replay();
      graph.replay();
      EXPECT_EQ(testing::read(x.data, kCount, stream.get())[0], 16.0f) << mode;
    }
    memory.release(x);
  });
}

// Blocks of all sizes, cut from segments that come as the first run needs them.
TEST(Graph, TheCaptureFindsTheAddressesOfTheEagerRuns) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const ScopedMode mode(sim::Async::seeded, seed);
    Allocator memory(sim_backend(), Caching::cut);
    const OwnedStream stream(sim_backend()), side(sim_backend());
    const StreamScope on(stream.get());
    std::vector<void*> addresses;
    const auto many_blocks = [&] {
      std::mt19937 random(seed);
      std::vector<Block> live;
      for (int i = 0; i < 120; ++i) {
        if (live.empty() || random() % 100 < (i < 60 ? 70u : 30u)) {
          live.push_back(memory.allocate(1 + random() % (random() % 2 == 0 ? 100'000 : 3'000'000)));
          addresses.push_back(live.back().data);
        } else {
          std::swap(live[random() % live.size()], live.back());
          if (random() % 10 == 0) memory.record_use(live.back(), side.get());
          memory.release(live.back());
          live.pop_back();
        }
      }
      for (const Block& block : live) memory.release(block);
    };
    {
      Graph graph(sim_backend(), memory);
      graph.run(many_blocks);
      const std::vector<void*> first = std::exchange(addresses, {});
      graph.run(many_blocks);
      EXPECT_EQ(std::exchange(addresses, {}), first) << "seed " << seed;
      const AllocatorStats before = memory.stats();
      EXPECT_GT(before.device_allocations, 3);
      graph.capture(many_blocks);
      EXPECT_EQ(addresses, first) << "seed " << seed;
      EXPECT_EQ(memory.stats().held_bytes, before.held_bytes);
    }
    EXPECT_EQ(memory.stats().held_bytes, 0u) << "the pool goes with its graph";
  }
}

// A segment goes back to the device with the last of its blocks.
TEST(Graph, ABlockOutlivesItsPool) {
  Allocator memory(sim_backend(), Caching::cut);
  const OwnedStream stream(sim_backend());
  const StreamScope on(stream.get());
  Block kept, other;
  {
    Graph graph(sim_backend(), memory);
    graph.run([&] {
      kept = memory.allocate(kBytes);
      other = memory.allocate(kBytes);
    });
  }
  EXPECT_NE(memory.allocate(kBytes).data, nullptr);
  memory.release(other);
  const std::size_t held = memory.stats().held_bytes;
  EXPECT_EQ(testing::read(kept.data, kCount, stream.get()).size(), kCount) << "still ours";
  memory.release(kept);
  EXPECT_EQ(memory.stats().held_bytes, held / 2);
}

TEST(Graph, AStepThatAsksForMoreThanItRanWithIsNamed) {
  Allocator memory(sim_backend(), Caching::cut);
  const OwnedStream stream(sim_backend());
  const StreamScope on(stream.get());
  Graph graph(sim_backend(), memory);
  const std::string error =
      error_of([&] { graph.capture([&] { memory.release(memory.allocate(kBytes)); }); });
  EXPECT_TRUE(contains(error, "run the same step eagerly in this graph first")) << error;
  EXPECT_TRUE(contains(error_of([&] { graph.replay(); }), "expects a capture before a replay"));
  graph.run([&] { memory.release(memory.allocate(kBytes)); });
  graph.capture([&] { memory.release(memory.allocate(kBytes)); });
  graph.replay();
}

// Should an allocator ask the device all the same, the stand-in refuses as CUDA does.
TEST(Graph, TheDeviceRefusesToAllocateInACapture) {
  Allocator memory(sim_backend(), Caching::cut);
  const OwnedStream stream(sim_backend());
  const StreamScope on(stream.get());
  Graph graph(sim_backend(), memory);
  const std::string error =
      error_of([&] { graph.capture([] { sim_backend().allocate(kBytes); }); });
  EXPECT_TRUE(contains(error, "cudaMalloc: not allowed during the capture that began at")) << error;
  EXPECT_TRUE(contains(error_of([&] { graph.replay(); }), "expects a capture before a replay"));
}

TEST(Graph, AStepThatWaitsForTheDeviceIsNamed) {
  Allocator memory(sim_backend(), Caching::cut);
  const OwnedStream stream(sim_backend());
  const StreamScope on(stream.get());
  Graph graph(sim_backend(), memory);
  const std::string error =
      error_of([&] { graph.capture([&] { sim_backend().synchronize(current_stream(kSim)); }); });
  EXPECT_TRUE(contains(error, "cudaStreamSynchronize: not allowed")) << error;
}

TEST(Graph, CpuHasNone) {
  const std::string error = error_of([] { Graph(Device{}).capture([] {}); });
  EXPECT_TRUE(contains(error, "has nothing to capture")) << error;
}

}  // namespace
}  // namespace convoy
