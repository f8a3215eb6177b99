// SPDX-License-Identifier: MIT
// Simulated memory: exact sizes, guard zones, poison, and what is said of wrong pointers.
#include "kernels/sim/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tests/kernels/sim/stream_modes.h"

namespace convoy::sim {
namespace {

using convoy::testing::contains;
using convoy::testing::error_of;

constexpr const char* kFile = "tests/kernels/sim/memory_test.cpp";

TEST(SimMemory, IsNotANumberUntilItIsWritten) {
  for (const std::size_t bytes : {4u, 100u, 4096u, 1u << 20}) {
    auto* x = static_cast<float*>(allocate(bytes));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x) % 256, 0u);
    for (std::size_t i = 0; i < bytes / 4; ++i) ASSERT_TRUE(std::isnan(x[i]));
    std::memset(x, 0, bytes);
    release(x);
  }
}

TEST(SimMemory, AFreedAddressIsNotHandedOutSoon) {
  void* first = allocate(1000);
  release(first);
  for (int i = 0; i < 1000; ++i) {
    void* next = allocate(1000);
    ASSERT_NE(next, first);
    release(next);
  }
}

TEST(SimMemory, AddressesComeBackInTheEnd) {
  // Blocks of all sizes, kept for a while: what is freed is merged and found again.
  const std::size_t addresses = address_bytes();
  std::vector<void*> kept;
  for (std::size_t i = 0; i < 3000; ++i) {
    kept.push_back(allocate(1 + i * 7919 % 200000));
    ASSERT_NE(kept.back(), nullptr);
    std::memset(kept.back(), 0, 1);
    if (kept.size() > 20) {
      release(kept[i * 31 % 20]);
      kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(i * 31 % 20));
    }
  }
  for (void* memory : kept) release(memory);
  EXPECT_EQ(address_bytes(), addresses) << "nothing is lost where free ranges meet";
  EXPECT_EQ(allocate(std::size_t{1} << 50), nullptr);
}

TEST(SimMemory, FindTellsWhoseAnAddressIs) {
  char* x = static_cast<char*>(allocate(100));
  for (const int offset : {-1, 0, 99, 100, 300}) {
    const auto found = find(x + offset);
    ASSERT_TRUE(found) << offset;
    EXPECT_EQ(found->begin, x);
    EXPECT_EQ(found->bytes, 100u);
    EXPECT_TRUE(found->live);
    EXPECT_EQ(found->holds(x + offset, 1), offset >= 0 && offset < 100) << offset;
  }
  const auto generation = find(x)->generation;
  release(x);
  EXPECT_FALSE(find(x)->live);
  EXPECT_EQ(find(x)->generation, generation);
  int here = 0;
  EXPECT_FALSE(find(&here));
}

TEST(SimMemory, CountsWhatLives) {
  const std::size_t bytes = live_bytes(), count = live_allocations();
  void* x = allocate(123);
  EXPECT_EQ(live_bytes(), bytes + 123);
  EXPECT_EQ(live_allocations(), count + 1);
  release(x);
  EXPECT_EQ(live_bytes(), bytes);
}

TEST(SimMemory, NamesAWrongPointer) {
  void* x = allocate(8);
  const int made = __LINE__ - 1;
  std::string error = error_of([&] { release(static_cast<char*>(x) + 4); });
  EXPECT_TRUE(contains(error, "unknown pointer")) << error;
  error = error_of([&] { release(x, MemoryKind::pinned); });
  EXPECT_TRUE(contains(error, "cudaFreeHost: expects memory of its own kind")) << error;
  release(x);
  const int freed = __LINE__ - 1;
  error = error_of([&] { release(x); });
  const int again = __LINE__ - 1;
  EXPECT_TRUE(contains(error, "double free of the device allocation of 8 bytes")) << error;
  for (const int line : {made, freed, again}) {
    EXPECT_TRUE(contains(error, CONVOY_LINE(line))) << error;
  }
}

#ifndef __SANITIZE_ADDRESS__
TEST(SimMemory, IsNotANumberOnceItIsFreed) {
  auto* x = static_cast<float*>(allocate(400));
  std::fill(x, x + 100, 1.0f);
  release(x);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(std::isnan(x[i]));
}

TEST(SimMemory, SeesAWriteOneByteOutside) {
  for (const int offset : {-256, -1, 100, 101, 400}) {
    char* x = static_cast<char*>(allocate(100));
    x[offset] = 0;
    const auto damage = find_damage();
    ASSERT_TRUE(damage) << offset;
    EXPECT_TRUE(contains(*damage, fmt::format("at byte {} of the device", offset))) << *damage;
    EXPECT_FALSE(find_damage()) << "it is said once";
    x[offset] = 0;
    EXPECT_TRUE(contains(error_of([&] { release(x); }), "wrote outside"));
    release(x);
  }
  EXPECT_FALSE(find_damage());
}
#endif

}  // namespace
}  // namespace convoy::sim
