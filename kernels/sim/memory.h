// SPDX-License-Identifier: MIT
#pragma once
// The simulated GPU's memory, and the page-locked memory of its host. Every allocation has its
// exact size: guard zones begin at its first and end at its last byte. Contents are NaN (every bit
// set) from allocation to the first write, and again once freed; a freed address is not handed out
// again soon, so that a stale pointer is known for what it is.
//
//   void* x = sim::allocate(bytes);            // null: no room
//   if (auto found = sim::find(pointer)) ...   // whose memory is this, and is it still alive?
//   sim::release(x);

#include <cstddef>
#include <cstdint>
#include <optional>
#include <source_location>
#include <string>

namespace convoy::sim {

enum class MemoryKind : std::uint8_t { device, pinned };

struct Allocation {
  char* begin = nullptr;
  std::size_t bytes = 0;
  MemoryKind kind = MemoryKind::device;
  bool live = false;
  std::uint64_t generation = 0;  // differs between any two allocations
  std::source_location made, freed;

  bool holds(const void* address, std::size_t count) const {
    const auto* first = static_cast<const char*>(address);
    return first >= begin && first + count <= begin + bytes;
  }
};

// Poison: as f32, f16, bf16 or f64 this is NaN.
inline constexpr int kPoison = 0xFF;

// Aligned to 256 bytes.
void* allocate(std::size_t bytes, MemoryKind kind = MemoryKind::device,
               std::source_location where = std::source_location::current());
// Throws Error for what is no allocation of this kind, was freed before, or was written outside.
void release(void* memory, MemoryKind kind = MemoryKind::device,
             std::source_location where = std::source_location::current());

// The allocation that an address belongs to, guard zones included; freed ones are known for a
// while. Nothing for host memory that is not page-locked.
std::optional<Allocation> find(const void* address);
// Whether the address lies where allocations are made at all.
bool is_simulated(const void* address);
struct AddressRange {
  const char* begin;
  std::size_t bytes;
};
AddressRange simulated_addresses();
std::string describe(const Allocation& allocation);

// Whether this build finds every access outside of allocations, when it is made.
bool watches_bounds();
// Says where somebody wrote outside a live allocation, and mends the zone so that it is said once.
// Under AddressSanitizer the write itself is reported, and this finds nothing.
std::optional<std::string> find_damage();
std::size_t live_allocations();
std::size_t live_bytes();
// Addresses in use, freed lately and free, guard zones included: always the same sum.
std::size_t address_bytes();

// "tests/a.cpp:12", from the repository's root.
std::string place(const std::source_location& where);

}  // namespace convoy::sim
