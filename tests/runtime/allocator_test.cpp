// SPDX-License-Identifier: MIT
#include "runtime/allocator.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

namespace convoy {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// A device with a fixed amount of memory, and none to spare.
class SmallBackend final : public DeviceBackend {
 public:
  explicit SmallBackend(std::size_t capacity) : free_(capacity) {}
  void* allocate(std::size_t bytes) override {
    if (bytes > free_) return nullptr;
    free_ -= bytes;
    return std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  }
  void release(void* memory, std::size_t bytes) noexcept override {
    std::free(memory);
    free_ += bytes;
  }
  void copy(void*, const void*, std::size_t, const Stream&, Where) override {}
  void synchronize(const Stream&) override {}
  Stream default_stream() override { return {}; }
  bool host_accessible() const override { return true; }
  std::string description() const override { return "small"; }
  std::size_t free_bytes() const { return free_; }

 private:
  std::size_t free_;
};

TEST(Allocator, BlocksHoldWhatIsAskedAndLoseAtMostAnEighth) {
  for (std::size_t bytes = 1; bytes < 3 * kMiB; bytes += bytes < 100000 ? 7 : 4099) {
    const std::size_t size = Allocator::block_bytes(bytes);
    EXPECT_GE(size, bytes);
    EXPECT_EQ(size % 256, 0u);
    EXPECT_LE(size - bytes, std::max<std::size_t>(255, bytes < kMiB ? bytes / 8 : 0)) << bytes;
    EXPECT_EQ(Allocator::block_bytes(size), size);
  }
}

TEST(Allocator, CountsLivePeakAndCachedBytes) {
  SmallBackend backend(1 << 20);
  Allocator allocator(backend);
  const Block a = allocator.allocate(1024), b = allocator.allocate(2048);
  EXPECT_EQ(allocator.stats().live_bytes, 3072u);
  allocator.release(b);
  EXPECT_EQ(allocator.stats().live_bytes, 1024u);
  EXPECT_EQ(allocator.stats().peak_bytes, 3072u);
  allocator.reset_peak();
  EXPECT_EQ(allocator.stats().peak_bytes, 1024u);
  allocator.release(a);
  EXPECT_EQ(allocator.stats().live_bytes, 0u);
  EXPECT_EQ(allocator.stats().allocations, 2);
}

TEST(Allocator, HandsACachedBlockOutAgain) {
  SmallBackend backend(1 << 20);
  Allocator allocator(backend, Caching::exact);
  const Block a = allocator.allocate(5000);
  allocator.release(a);
  EXPECT_EQ(allocator.stats().cached_bytes, a.bytes);
  EXPECT_EQ(allocator.allocate(5000).data, a.data);
  EXPECT_EQ(allocator.stats().device_allocations, 1);
  EXPECT_EQ(allocator.stats().cached_bytes, 0u);
  allocator.release(a);
}

TEST(Allocator, BlocksShareASegmentAndAreJoinedAgain) {
  SmallBackend backend(64 * kMiB);
  Allocator allocator(backend, Caching::cut);
  const Block whole = allocator.allocate(12 * kMiB);
  allocator.release(whole);
  const Block a = allocator.allocate(5 * kMiB), b = allocator.allocate(4 * kMiB),
              c = allocator.allocate(3 * kMiB), small = allocator.allocate(100);
  EXPECT_EQ(allocator.stats().held_bytes, 14 * kMiB)
      << "one segment for large blocks, one for small";
  EXPECT_EQ(allocator.stats().cached_bytes, 2 * kMiB - 256);
  EXPECT_EQ(allocator.stats().device_allocations, 2);
  for (const Block& block : {b, a, c}) allocator.release(block);
  EXPECT_EQ(allocator.allocate(12 * kMiB).data, whole.data);
  allocator.release(whole);
  allocator.trim();
  EXPECT_EQ(allocator.stats().held_bytes, 2 * kMiB) << "the small one is in use";
  allocator.release(small);
  allocator.trim();
  EXPECT_EQ(backend.free_bytes(), 64 * kMiB);
  EXPECT_EQ(allocator.stats().peak_held_bytes, 14 * kMiB);
}

// What is live at a time is at most 40 MiB, in blocks of ever other sizes.
TEST(Allocator, HoldsLittleMoreThanWasEverLive) {
  const auto held_over_live = [](Caching caching) {
    SmallBackend backend(std::size_t{4} << 30);
    Allocator allocator(backend, caching);
    std::mt19937 random(7);
    for (int step = 0; step < 50; ++step) {
      std::vector<Block> blocks;
      std::size_t left = 40 * kMiB;
      while (left > 4 * kMiB) {
        blocks.push_back(allocator.allocate(1 + random() % (4 * kMiB)));
        left -= blocks.back().bytes;
      }
      for (const Block& block : blocks) allocator.release(block);
    }
    const AllocatorStats stats = allocator.stats();
    EXPECT_EQ(stats.live_bytes, 0u);
    EXPECT_EQ(stats.cached_bytes, stats.held_bytes);
    return static_cast<double>(stats.peak_held_bytes) / static_cast<double>(stats.peak_bytes);
  };
  EXPECT_LT(held_over_live(Caching::cut), 1.5);
  EXPECT_GT(held_over_live(Caching::exact), 2.0) << "the test asks for what it should";
}

TEST(Allocator, FreesTheCacheBeforeItGivesUp) {
  SmallBackend backend(4096);
  Allocator allocator(backend);
  const Block a = allocator.allocate(4096);
  allocator.release(a);
  const Block b = allocator.allocate(2048);  // another class: the cached block must go first
  EXPECT_NE(b.data, nullptr);
  allocator.release(b);
}

TEST(Allocator, OutOfMemorySaysHowMuchWasAskedAndIsLive) {
  SmallBackend backend(4096);
  Allocator allocator(backend);
  const Block a = allocator.allocate(2048);
  try {
    allocator.allocate(9000);
    FAIL() << "no error";
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("9000 bytes, asked for by tests/runtime/allocator_test.cpp:"), text.npos);
    EXPECT_NE(text.find("; 2048 bytes are live, 0 are kept by graphs, 0 lie free"), text.npos)
        << text;
  }
  allocator.release(a);
}

TEST(Allocator, OutOfMemorySaysWhatLiesFreeBetweenLiveBlocks) {
  SmallBackend backend(12 * kMiB);
  Allocator allocator(backend, Caching::cut);
  allocator.release(allocator.allocate(12 * kMiB));
  const Block a = allocator.allocate(5 * kMiB), b = allocator.allocate(3 * kMiB);
  allocator.release(a);
  try {
    allocator.allocate(7 * kMiB);
    FAIL() << "no error";
  } catch (const Error& e) {
    const std::string
        text = e.what(),
        expected = fmt::format(
            "; {} bytes are live, 0 are kept by graphs, {} lie free between live blocks, and the "
            "largest free block had {}",
            3 * kMiB, 9 * kMiB, 5 * kMiB);
    EXPECT_NE(text.find(expected), text.npos) << text;
  }
  allocator.release(b);
  allocator.release(allocator.allocate(12 * kMiB));  // joined again
}

TEST(Allocator, ZeroBytesTakeNoBlock) {
  SmallBackend backend(64);
  Allocator allocator(backend);
  EXPECT_EQ(allocator.allocate(0).data, nullptr);
  EXPECT_EQ(allocator.stats().allocations, 0);
}

}  // namespace
}  // namespace convoy
