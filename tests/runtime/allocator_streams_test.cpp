// SPDX-License-Identifier: MIT
// The caching allocator where streams run beside the host: on the simulator, in every order.
#include <gtest/gtest.h>

#include <random>

#include "kernels/sim/memory.h"
#include "tests/runtime/sim_device.h"

namespace convoy {
namespace {

using testing::contains;
using testing::enqueue;
using testing::error_of;
using testing::over_modes;
using testing::ScopedMode;
using testing::sim_backend;

constexpr const char* kFile = "tests/runtime/allocator_streams_test.cpp";
constexpr std::size_t kCount = 256, kBytes = kCount * sizeof(float);
constexpr std::size_t kSegment = std::size_t{2} << 20;  // takes one by itself

void fill(const Stream& stream, const Block& block, float value) {
  enqueue(stream, [data = static_cast<float*>(block.data), value] {
    std::fill(data, data + kCount, value);
  });
}

TEST(StreamAllocator, AStreamGetsItsOwnBlockBackAtOnce) {
  over_modes([](const std::string& mode) {
    Allocator memory(sim_backend(), Caching::cut);
    const OwnedStream a(sim_backend());
    const StreamScope on(a.get());
    const Block x = memory.allocate(kBytes);
    fill(a.get(), x, 1);
    memory.release(x);
    const Block y = memory.allocate(kBytes);
    EXPECT_EQ(y.data, x.data) << mode;
    EXPECT_EQ(y.stream, a.get().handle);
    EXPECT_TRUE(std::isnan(testing::read(y.data, kCount, a.get())[0])) << "poison in between";
    memory.release(y);
  });
}

TEST(StreamAllocator, AnotherStreamGetsAFreeSegmentOnceAnEventHasPassed) {
  const ScopedMode mode(sim::Async::late);
  Allocator memory(sim_backend(), Caching::cut);
  const OwnedStream a(sim_backend()), b(sim_backend());
  const auto allocate_on = [&](const OwnedStream& stream) {
    const StreamScope on(stream.get());
    return memory.allocate(kSegment);
  };
  const Block x = allocate_on(a);
  fill(a.get(), x, 1);
  memory.release(x);
  const Block other = allocate_on(b);
  EXPECT_NE(other.data, x.data) << "the work on it has not been waited for";
  EXPECT_EQ(memory.stats().cached_bytes, x.bytes);
  sim_backend().synchronize(a.get());
  const Block again = allocate_on(b);
  EXPECT_EQ(again.data, x.data);
  EXPECT_EQ(memory.stats().device_allocations, 2);
  memory.release(other);
  memory.release(again);
}

// The event that lets x go was recorded before y was released.
TEST(StreamAllocator, AnEventCoversOnlyWhatWasReleasedBeforeIt) {
  const ScopedMode mode(sim::Async::late);
  Allocator memory(sim_backend(), Caching::cut);
  const OwnedStream a(sim_backend()), b(sim_backend());
  Block x, y;
  {
    const StreamScope on(a.get());
    x = memory.allocate(kSegment);
    y = memory.allocate(kSegment);
  }
  memory.release(x);
  const StreamScope on(b.get());
  std::vector<Block> taken{memory.allocate(kSegment)};  // asks for x: an event is recorded
  memory.release(y);
  while (taken.back().data != x.data) {
    ASSERT_LT(taken.size(), 10u) << "x has not come";
    taken.push_back(memory.allocate(kSegment));
  }
  taken.push_back(memory.allocate(kSegment));
  EXPECT_NE(taken.back().data, y.data) << "nobody has waited for its release";
  for (const Block& block : taken) memory.release(block);
}

// Blocks wander between streams at random; each user writes its number and must read it back.
TEST(StreamAllocator, NobodyFindsAnothersNumbers) {
  over_modes([](const std::string& mode) {
    Allocator memory(sim_backend(), Caching::cut);
    const OwnedStream a(sim_backend()), b(sim_backend()), c(sim_backend());
    const OwnedStream* streams[] = {&a, &b, &c};
    int wrong = 0;
    for (int step = 0; step < 60; ++step) {
      const Stream stream = streams[step * 7 % 3]->get();
      const StreamScope on(stream);
      const Block x = memory.allocate(kSegment);
      fill(stream, x, static_cast<float>(step));
      enqueue(stream, [&wrong, step, data = static_cast<float*>(x.data)] {
        for (std::size_t i = 0; i < kCount; ++i) wrong += data[i] != static_cast<float>(step);
      });
      memory.release(x);
      if (step % 9 == 8) sim_backend().synchronize(stream);
    }
    for (const OwnedStream* stream : streams) sim_backend().synchronize(stream->get());
    EXPECT_EQ(wrong, 0) << mode;
  });
}

// The same with blocks of all sizes, several of them alive, cut and joined: written when they are
// taken, read when they are given back, on their own stream or on another that is recorded.
TEST(StreamAllocator, CutBlocksKeepTheirNumbers) {
  over_modes([](const std::string& mode) {
    Allocator memory(sim_backend(), Caching::cut);
    const OwnedStream a(sim_backend()), b(sim_backend());
    const Stream streams[] = {a.get(), b.get()};
    struct Live {
      Block block;
      Stream stream;
      float number;
    };
    std::vector<Live> live;
    int wrong = 0;
    std::mt19937 random(3);
    for (int step = 0; step < 250; ++step) {
      if (live.size() < 6 || (live.size() < 12 && random() % 2 == 0)) {
        const Stream stream = streams[random() % 2];
        const StreamScope on(stream);
        const std::size_t bytes = kBytes + random() % (random() % 2 == 0 ? kSegment : 64 * kBytes);
        live.push_back({memory.allocate(bytes), stream, static_cast<float>(step)});
        fill(stream, live.back().block, live.back().number);
      } else {
        std::swap(live[random() % live.size()], live.back());
        const Live last = live.back();
        live.pop_back();
        Stream reader = last.stream;
        if (random() % 4 == 0) {
          reader = streams[reader.handle == streams[0].handle];
          Event written(sim_backend());
          written.record(last.stream);
          written.hold(reader);
          memory.record_use(last.block, reader);
        }
        enqueue(reader, [&wrong, last, data = static_cast<float*>(last.block.data)] {
          for (std::size_t i = 0; i < kCount; ++i) wrong += data[i] != last.number;
        });
        memory.release(last.block);
      }
    }
    for (const Live& rest : live) memory.release(rest.block);
    for (const Stream& stream : streams) sim_backend().synchronize(stream);
    EXPECT_EQ(wrong, 0) << mode;
    memory.trim();
    EXPECT_EQ(memory.stats().held_bytes, 0u) << "all was joined again: " << mode;
  });
}

TEST(StreamAllocator, AUseOnAnotherStreamIsWaitedFor) {
  over_modes([](const std::string& mode) {
    Allocator memory(sim_backend(), Caching::cut);
    std::vector<float> back(kCount);
    const OwnedStream a(sim_backend()), b(sim_backend());
    const StreamScope on(a.get());
    const Block x = memory.allocate(kSegment);
    fill(a.get(), x, 5);
    Event filled(sim_backend());
    filled.record(a.get());
    filled.hold(b.get());
    sim_backend().copy(back.data(), x.data, kBytes, b.get());
    memory.record_use(x, b.get());
    memory.release(x);
    for (int i = 0; i < 3; ++i) {  // whichever block it is, nobody's numbers are lost
      const Block y = memory.allocate(kSegment);
      fill(a.get(), y, 6);
      memory.release(y);
    }
    sim_backend().synchronize(b.get());
    for (const float value : back) ASSERT_EQ(value, 5.0f) << mode;
    sim_backend().synchronize(a.get());
    const Block z = memory.allocate(kSegment), w = memory.allocate(kSegment);
    EXPECT_LE(memory.stats().device_allocations, 2) << "it came back";
    memory.release(z);
    memory.release(w);
  });
}

TEST(StreamAllocator, AUseThatNobodyRecordedIsNamed) {
  over_modes([](const std::string& mode) {
    std::vector<float> back(kCount);
    Allocator memory(sim_backend(), Caching::cut);
    const OwnedStream a(sim_backend()), b(sim_backend());
    const StreamScope on(a.get());
    const Block x = memory.allocate(kBytes);
    sim_backend().copy(back.data(), x.data, kBytes, b.get());
    const int used = __LINE__ - 1;
    ::testing::internal::CaptureStderr();
    memory.release(x);  // without record_use
    const int released = __LINE__ - 1;
    const std::string printed = ::testing::internal::GetCapturedStderr();
    const std::string error = error_of([&] { sim_backend().synchronize(a.get()); });
    EXPECT_TRUE(contains(error, "a missing event wait: the release of a block")) << mode << error;
    EXPECT_TRUE(contains(error, CONVOY_LINE(used))) << error;
    EXPECT_TRUE(contains(error, fmt::format("[{}]", CONVOY_LINE(released)))) << error;
    EXPECT_TRUE(contains(printed, error));
    sim_backend().synchronize(b.get());
  });
}

// An allocator that skips the wait, as one with a bug would.
TEST(StreamAllocator, ABlockHandedOutTooEarlyIsNamed) {
  over_modes([](const std::string& mode) {
    const OwnedStream a(sim_backend()), b(sim_backend());
    void* x = sim_backend().allocate(kBytes);
    sim_backend().note_released(x, kBytes, a.get(), std::source_location::current());
    const std::string error = error_of(
        [&] { sim_backend().note_reused(x, kBytes, b.get(), std::source_location::current()); });
    EXPECT_TRUE(contains(error, "a block recycled across streams")) << mode << ": " << error;
    sim_backend().synchronize(a.get());
    sim_backend().note_reused(x, kBytes, b.get(), std::source_location::current());
    sim_backend().release(x, kBytes);
  });
}

// Given back as two blocks, handed out as one across both.
TEST(StreamAllocator, AJoinedBlockHandedOutTooEarlyIsNamed) {
  over_modes([](const std::string& mode) {
    const auto here = std::source_location::current();
    const OwnedStream a(sim_backend()), b(sim_backend());
    char* x = static_cast<char*>(sim_backend().allocate(4 * kBytes));
    sim_backend().note_released(x, kBytes, b.get(), here);
    sim_backend().note_released(x + kBytes, 3 * kBytes, a.get(), here);
    const auto reuse = [&](std::size_t from, std::size_t bytes) {
      return error_of([&] { sim_backend().note_reused(x + from, bytes, b.get(), here); });
    };
    EXPECT_TRUE(contains(reuse(0, 2 * kBytes), "a block recycled across streams")) << mode;
    EXPECT_EQ(reuse(0, kBytes), "") << "b's own";
    sim_backend().note_reused(x + 2 * kBytes, kBytes, a.get(), here);
    EXPECT_TRUE(contains(reuse(kBytes, kBytes), "a block recycled")) << "before a's";
    EXPECT_TRUE(contains(reuse(3 * kBytes, kBytes), "a block recycled")) << "behind a's";
    EXPECT_EQ(reuse(2 * kBytes, kBytes), "") << "in use: nobody's to watch";
    sim_backend().synchronize(a.get());
    EXPECT_EQ(reuse(0, 4 * kBytes), "") << mode;
    sim_backend().release(x, 4 * kBytes);
  });
}

// AddressSanitizer and the preset simcheck see an access beyond an allocation: no block may have
// a neighbour in its own.
TEST(StreamAllocator, WhereBoundsAreWatchedABlockIsAnAllocation) {
  if (!sim::watches_bounds()) GTEST_SKIP() << "this build does not watch bounds";
  Allocator memory(sim_backend());
  const Block x = memory.allocate(kBytes), y = memory.allocate(kBytes);
  EXPECT_EQ(memory.stats().held_bytes, 2 * kBytes);
  memory.release(x);
  memory.release(y);
}

TEST(StreamAllocator, TrimGivesBackWhatWaits) {
  over_modes([](const std::string& mode) {
    Allocator memory(sim_backend(), Caching::cut);
    const OwnedStream a(sim_backend()), b(sim_backend());
    const StreamScope on(a.get());
    const Block x = memory.allocate(kBytes);
    fill(b.get(), x, 1);
    memory.record_use(x, b.get());
    memory.release(x);
    memory.trim();
    EXPECT_EQ(memory.stats().cached_bytes, 0u) << mode;
    EXPECT_TRUE(contains(error_of([&] { sim_backend().copy(x.data, &x, 4, a.get()); }), "freed"));
  });
}

}  // namespace
}  // namespace convoy
