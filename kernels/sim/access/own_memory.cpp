// SPDX-License-Identifier: MIT
#include "kernels/sim/access/own_memory.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace convoy::sim::access {
namespace {

struct Range {
  std::uintptr_t begin = 0, end = 0;
  bool holds(std::uintptr_t address) const { return address >= begin && address < end; }
};
Range range(const void* begin, std::size_t bytes) {
  const auto first = reinterpret_cast<std::uintptr_t>(begin);
  return {first, first + bytes};
}

constinit thread_local Range parameters_range, launch_range;
constinit thread_local bool allocating = false;
std::vector<Range> stacks;

// ---- what `new` gives during a launch: sizes in powers of two, used again, never given back ----

class OwnHeap {
 public:
  static constexpr std::size_t kBytes = std::size_t{16} << 30;

  OwnHeap() {
    void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    all_ = range(memory, kBytes);
    next_ = all_.begin;
  }
  bool holds(const void* p) const { return all_.holds(reinterpret_cast<std::uintptr_t>(p)); }

  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const std::size_t size = std::bit_ceil(std::max<std::size_t>(bytes, 16) + sizeof(Header));
    Header*& first = free_[static_cast<std::size_t>(std::countr_zero(size))];
    Header* header = first;
    if (header != nullptr) {
      first = header->next;
    } else {
      if (next_ + size > all_.end) throw std::bad_alloc();
      header = reinterpret_cast<Header*>(next_);
      header->size = size;
      next_ += size;
    }
    return header + 1;
  }
  void give(void* p) {
    const std::lock_guard lock(mutex_);
    Header* header = static_cast<Header*>(p) - 1;
    Header*& first = free_[static_cast<std::size_t>(std::countr_zero(header->size))];
    header->next = first;
    first = header;
  }

 private:
  struct alignas(16) Header {
    std::size_t size;
    Header* next;
  };
  std::mutex mutex_;
  Range all_;
  std::uintptr_t next_ = 0;
  std::array<Header*, 64> free_{};
};

OwnHeap& own_heap() {
  alignas(OwnHeap) static std::byte place[sizeof(OwnHeap)];
  static OwnHeap& instance = *new (place) OwnHeap;
  return instance;
}

// ---- the program's own: code, constants, and this thread's thread_local variables ----

std::vector<Range> find_program() {
  std::vector<Range> ranges;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* to) {
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& header = info->dlpi_phdr[i];
          auto& found = *static_cast<std::vector<Range>*>(to);
          if (header.p_type == PT_LOAD) {
            found.push_back({info->dlpi_addr + header.p_vaddr,
                             info->dlpi_addr + header.p_vaddr + header.p_memsz});
          } else if (header.p_type == PT_TLS && info->dlpi_tls_data != nullptr) {
            found.push_back(range(info->dlpi_tls_data, header.p_memsz));
          }
        }
        return 0;
      },
      &ranges);
  return ranges;
}

bool in_program(std::uintptr_t address) {
  thread_local const std::vector<Range> program = find_program();
  return std::any_of(program.begin(), program.end(),
                     [&](const Range& r) { return r.holds(address); });
}

}  // namespace

bool is_on_stack(const void* p) {
  thread_local Range mine;
  const auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if (!mine.holds(frame)) {
    const auto at =
        std::find_if(stacks.begin(), stacks.end(), [&](const Range& r) { return r.holds(frame); });
    if (at == stacks.end()) return false;
    mine = *at;
  }
  return mine.holds(reinterpret_cast<std::uintptr_t>(p));
}

bool is_own_memory(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  if (parameters_range.holds(address) || launch_range.holds(address) || own_heap().holds(p)) {
    return true;
  }
  if (in_program(address)) return true;
  return std::any_of(stacks.begin(), stacks.end(),
                     [&](const Range& r) { return r.holds(address); });
}

void add_stack(const void* begin, std::size_t bytes) {
  const Range added = range(begin, bytes);
  std::erase_if(stacks, [&](const Range& r) { return r.begin < added.end && added.begin < r.end; });
  stacks.push_back(added);
}
void set_parameters(const void* begin, std::size_t bytes) {
  parameters_range = range(begin, bytes);
}
void set_launch(const void* begin, std::size_t bytes) { launch_range = range(begin, bytes); }
void allocate_as_own(bool on) { allocating = on; }

}  // namespace convoy::sim::access

// Aligned `new` stays the library's.
void* operator new(std::size_t bytes) {
  if (convoy::sim::access::allocating) return convoy::sim::access::own_heap().take(bytes);
  if (void* p = std::malloc(std::max<std::size_t>(bytes, 1))) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept {
  if (p != nullptr && convoy::sim::access::own_heap().holds(p)) {
    convoy::sim::access::own_heap().give(p);
  } else {
    std::free(p);
  }
}
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }
