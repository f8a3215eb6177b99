// SPDX-License-Identifier: MIT
#include "kernels/sim/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>

#include "kernels/require.h"
#include "kernels/sim/access.h"
#include "kernels/sim/sanitizer.h"

namespace convoy::sim {
namespace {

constexpr std::size_t kGuard = 256;      // bytes before an allocation, and at least as many after
constexpr std::size_t kAlignment = 256;  // as cudaMalloc's
constexpr unsigned char kGuardByte = 0xA7;
constexpr std::size_t kQuarantine = std::size_t{64} << 20;  // freed bytes that are not reused yet
constexpr std::size_t kAddresses = std::size_t{64} << 30;

constexpr std::size_t round_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}
constexpr std::size_t slot_bytes(std::size_t bytes) { return kGuard + round_up(bytes) + kGuard; }

class Memory {
 public:
  Memory() {
    // Address space costs nothing until it is touched; a limit on it may leave less.
    for (size_ = kAddresses; size_ > (std::size_t{16} << 20); size_ /= 2) {
      void* range = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (range == MAP_FAILED) continue;
      begin_ = static_cast<char*>(range);
      free_[begin_] = size_;
      return;
    }
    fail("sim memory: expects address space for at least 16 MiB, found none");
  }

  void* allocate(std::size_t bytes, MemoryKind kind, const std::source_location& where) {
    const std::unique_lock lock(mutex_);
    if (bytes > size_) return nullptr;
    char* slot = take(slot_bytes(bytes));
    while (slot == nullptr && !quarantine_.empty()) {
      leave_quarantine();
      slot = take(slot_bytes(bytes));
    }
    if (slot == nullptr) return nullptr;
    Allocation& made = allocations_[slot];
    made = {slot + kGuard, bytes, kind, true, ++generation_, where, {}};
    unpoison(slot, slot_bytes(bytes));
    std::memset(slot, kGuardByte, slot_bytes(bytes));
    std::memset(made.begin, kPoison, bytes);
    for (const Zone& zone : guards(made)) poison(zone.begin, zone.bytes);
    live_.insert(slot);
    live_bytes_ += bytes;
    return made.begin;
  }

  void release(void* memory, MemoryKind kind, const std::source_location& where) {
    const std::unique_lock lock(mutex_);
    Allocation& found = expect_live(memory, kind, where);
    if (const auto damage = mend(found)) {
      throw_error(*damage + "; seen when it was freed", ErrorKind::failure, where);
    }
    std::memset(found.begin, kPoison, found.bytes);
    poison(found.begin, found.bytes);
    if constexpr (access::kEnabled) access::memory_freed(found.begin, found.bytes);
    found.live = false;
    found.freed = where;
    live_.erase(found.begin - kGuard);
    live_bytes_ -= found.bytes;
    quarantine_.push_back(found.begin - kGuard);
    quarantine_bytes_ += slot_bytes(found.bytes);
    while (quarantine_bytes_ > kQuarantine) leave_quarantine();
  }

  std::optional<Allocation> find(const void* address) const {
    if (!contains(address)) return {};
    const std::shared_lock lock(mutex_);
    const auto* at = static_cast<const char*>(address);
    auto after = allocations_.upper_bound(const_cast<char*>(at));
    if (after == allocations_.begin()) return {};
    const auto& [slot, allocation] = *--after;
    if (at >= slot + slot_bytes(allocation.bytes)) return {};
    return allocation;
  }

  AddressRange addresses() const { return {begin_, size_}; }
  bool contains(const void* address) const {
    const auto* at = static_cast<const char*>(address);
    return at >= begin_ && at < begin_ + size_;
  }

  std::optional<std::string> find_damage() {
    const std::unique_lock lock(mutex_);
    for (char* slot : live_) {
      if (auto damage = mend(allocations_.at(slot))) return damage;
    }
    return {};
  }

  std::size_t live_count() const {
    const std::shared_lock lock(mutex_);
    return live_.size();
  }
  std::size_t live_bytes() const {
    const std::shared_lock lock(mutex_);
    return live_bytes_;
  }

  std::size_t address_bytes() const {
    const std::shared_lock lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [begin, bytes] : free_) sum += bytes;
    for (const auto& [slot, allocation] : allocations_) sum += slot_bytes(allocation.bytes);
    return sum;
  }

 private:
  // First fit; what is left over stays free.
  char* take(std::size_t bytes) {
    for (auto range = free_.begin(); range != free_.end(); ++range) {
      const auto [begin, size] = *range;
      if (size < bytes) continue;
      free_.erase(range);
      if (size > bytes) free_[begin + bytes] = size - bytes;
      return begin;
    }
    return nullptr;
  }

  void leave_quarantine() {
    char* slot = quarantine_.front();
    quarantine_.pop_front();
    std::size_t bytes = slot_bytes(allocations_.at(slot).bytes);
    quarantine_bytes_ -= bytes;
    allocations_.erase(slot);
    give_pages_back(slot, bytes);
    const auto after = free_.find(slot + bytes);
    if (after != free_.end()) {
      bytes += after->second;
      free_.erase(after);
    }
    auto before = free_.lower_bound(slot);
    if (before != free_.begin() && (--before)->first + before->second == slot) {
      before->second += bytes;
    } else {
      free_[slot] = bytes;
    }
  }

  static void give_pages_back(char* slot, std::size_t bytes) {
    constexpr std::uintptr_t kPage = 4096;
    const auto first = (reinterpret_cast<std::uintptr_t>(slot) + kPage - 1) / kPage * kPage;
    const auto last = (reinterpret_cast<std::uintptr_t>(slot) + bytes) / kPage * kPage;
    if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }

  Allocation& expect_live(void* memory, MemoryKind kind, const std::source_location& where) {
    const char* op = kind == MemoryKind::device ? "cudaFree" : "cudaFreeHost";
    const auto found = allocations_.find(static_cast<char*>(memory) - kGuard);
    if (!contains(memory) || found == allocations_.end()) {
      throw_error(fmt::format("{}: expects a pointer from an allocation, found unknown pointer {}",
                              op, memory),
                  ErrorKind::failure, where);
    }
    Allocation& allocation = found->second;
    if (!allocation.live) {
      throw_error(fmt::format("{}: double free of {}", op, describe(allocation)),
                  ErrorKind::failure, where);
    }
    if (allocation.kind != kind) {
      throw_error(
          fmt::format("{}: expects memory of its own kind, found {}", op, describe(allocation)),
          ErrorKind::failure, where);
    }
    return allocation;
  }

  struct Zone {
    char* begin;
    std::size_t bytes;
  };
  static std::array<Zone, 2> guards(const Allocation& a) {
    return {Zone{a.begin - kGuard, kGuard},
            Zone{a.begin + a.bytes, slot_bytes(a.bytes) - kGuard - a.bytes}};
  }

  // What was written outside the allocation, if anything.
  static std::optional<std::string> mend(const Allocation& a) {
    if (kPoisons) return {};
    static const auto expected = [] {
      std::array<unsigned char, kGuard + kAlignment> bytes;
      bytes.fill(kGuardByte);
      return bytes;
    }();
    for (const Zone& zone : guards(a)) {
      if (std::memcmp(zone.begin, expected.data(), zone.bytes) == 0) continue;
      const auto* damaged = std::mismatch(expected.data(), expected.data() + zone.bytes,
                                          reinterpret_cast<unsigned char*>(zone.begin))
                                .second;
      const auto offset = reinterpret_cast<const char*>(damaged) - a.begin;
      std::memset(zone.begin, kGuardByte, zone.bytes);
      return fmt::format("sim memory: somebody wrote outside an allocation, at byte {} of {}",
                         offset, describe(a));
    }
    return {};
  }

  char* begin_ = nullptr;
  std::size_t size_ = 0;
  mutable std::shared_mutex mutex_;
  std::map<char*, Allocation> allocations_;  // by the beginning of their slot
  std::set<char*> live_;  // slots; far fewer than allocations_, which remembers the freed ones
  std::map<char*, std::size_t> free_;
  std::deque<char*> quarantine_;
  std::size_t quarantine_bytes_ = 0, live_bytes_ = 0;
  std::uint64_t generation_ = 0;
};

Memory& memory() {
  // Never destroyed: tensors with static storage may outlive main.
  static Memory& instance = *new Memory;
  return instance;
}

}  // namespace

void* allocate(std::size_t bytes, MemoryKind kind, std::source_location where) {
  return memory().allocate(bytes, kind, where);
}
void release(void* pointer, MemoryKind kind, std::source_location where) {
  memory().release(pointer, kind, where);
}
std::optional<Allocation> find(const void* address) { return memory().find(address); }
AddressRange simulated_addresses() { return memory().addresses(); }
bool is_simulated(const void* address) { return memory().contains(address); }
bool watches_bounds() { return access::kEnabled || kPoisons; }
std::optional<std::string> find_damage() { return memory().find_damage(); }
std::size_t live_allocations() { return memory().live_count(); }
std::size_t live_bytes() { return memory().live_bytes(); }
std::size_t address_bytes() { return memory().address_bytes(); }

std::string place(const std::source_location& where) {
  return Error("", ErrorKind::failure, where).where();
}

std::string describe(const Allocation& a) {
  std::string text = fmt::format("{} allocation of {} bytes made at {}",
                                 a.kind == MemoryKind::device ? "the device" : "the page-locked",
                                 a.bytes, place(a.made));
  if (!a.live) text += fmt::format(" and freed at {}", place(a.freed));
  return text;
}

}  // namespace convoy::sim
