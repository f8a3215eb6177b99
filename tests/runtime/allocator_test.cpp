// SPDX-License-Identifier: MIT
#include "runtime/allocator.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

namespace convoy {
namespace {

// A device with a fixed amount of memory, and none to spare.
class SmallBackend final : public DeviceBackend {
 public:
  explicit SmallBackend(std::size_t capacity) : free_(capacity) {}
  void* allocate(std::size_t bytes) override {
    if (bytes > free_) return nullptr;
    free_ -= bytes;
    return std::malloc(bytes);
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

 private:
  std::size_t free_;
};

TEST(Allocator, SizeClassesHoldWhatIsAskedAndLoseAtMostAnEighth) {
  for (std::size_t bytes = 1; bytes < 100000; bytes += 7) {
    const std::size_t size = Allocator::size_class(bytes);
    EXPECT_GE(size, bytes);
    EXPECT_EQ(size % 64, 0u);
    EXPECT_LE(size - bytes, std::max<std::size_t>(63, bytes / 8)) << bytes;
    EXPECT_EQ(Allocator::size_class(size), size);
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
  if (std::getenv("CONVOY_ALLOCATOR") != nullptr) GTEST_SKIP() << "caching is switched off";
  SmallBackend backend(1 << 20);
  Allocator allocator(backend);
  const Block a = allocator.allocate(5000);
  allocator.release(a);
  EXPECT_EQ(allocator.stats().cached_bytes, a.bytes);
  EXPECT_EQ(allocator.allocate(5000).data, a.data);
  EXPECT_EQ(allocator.stats().device_allocations, 1);
  EXPECT_EQ(allocator.stats().cached_bytes, 0u);
  allocator.release(a);
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
    EXPECT_NE(text.find("; 2048 bytes are live, 0 are kept by graphs"), text.npos) << text;
  }
  allocator.release(a);
}

TEST(Allocator, ZeroBytesTakeNoBlock) {
  SmallBackend backend(64);
  Allocator allocator(backend);
  EXPECT_EQ(allocator.allocate(0).data, nullptr);
  EXPECT_EQ(allocator.stats().allocations, 0);
}

}  // namespace
}  // namespace convoy
