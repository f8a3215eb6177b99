// SPDX-License-Identifier: MIT
#include "kernels/sim/shared_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/require.h"
#include "kernels/sim/scheduler.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace convoy::sim {
namespace {

constexpr std::size_t kAlignment = 1024, kGuard = kSharedGuard;
constexpr std::size_t kArena = kMaxSharedBytes + 2 * kGuard + kAlignment;
constexpr std::byte kUnwritten{0xff}, kGuardByte{0xfd};

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};
thread_local std::vector<std::unique_ptr<std::byte, Free>> spare;

void set_guards([[maybe_unused]] std::byte* begin, [[maybe_unused]] std::size_t bytes,
                [[maybe_unused]] bool closed) {
#ifdef __SANITIZE_ADDRESS__
  const auto set = closed ? __asan_poison_memory_region : __asan_unpoison_memory_region;
  set(begin - kGuard, kGuard);
  set(begin + bytes, kGuard);
#else
  if (!closed) return;
  std::memset(begin - kGuard, static_cast<int>(kGuardByte), kGuard);
  std::memset(begin + bytes, static_cast<int>(kGuardByte), kGuard);
#endif
}

bool untouched(const std::byte* begin) {
#ifdef __SANITIZE_ADDRESS__
  return begin != nullptr;
#else
  return std::all_of(begin, begin + kGuard, [](std::byte b) { return b == kGuardByte; });
#endif
}

}  // namespace

namespace {

std::byte* take_unwritten(std::size_t bytes) {
  if (spare.empty()) {
    spare.emplace_back(
        static_cast<std::byte*>(std::aligned_alloc(kAlignment, kArena / kAlignment * kAlignment)));
  }
  std::byte* memory = spare.back().release() + kGuard;
  spare.pop_back();
  std::memset(memory, static_cast<int>(kUnwritten), bytes);
  return memory;
}

}  // namespace

void open_shared_memory(Block& block, std::size_t bytes) {
  block.shared_bytes = bytes;
  block.shared = block.async_view = nullptr;
  block.fenced = false;
  if (bytes == 0) return;
  block.shared = take_unwritten(bytes);
  set_guards(block.shared, bytes, true);
}

std::byte* async_view(Block& block) {
  if (block.async_view == nullptr) block.async_view = take_unwritten(block.shared_bytes);
  return block.async_view;
}

void fence_proxy_async(const Site& site) {
  if (skipped(site)) return;
  Thread& self = *current_thread();
  self.block->fenced = true;
  if constexpr (access::kEnabled) access::proxy_fence(self);
}

// Not at the fence: hundreds of threads call it, each for its own few bytes.
void publish_fenced(Block& block) {
  if (!block.fenced) return;
  std::memcpy(async_view(block), block.shared, block.shared_bytes);
  block.fenced = false;
}

void close_shared_memory(Block& block) noexcept {
  if (block.async_view != nullptr) spare.emplace_back(block.async_view - kGuard);
  if (block.shared != nullptr) {
    set_guards(block.shared, block.shared_bytes, false);
    spare.emplace_back(block.shared - kGuard);
  }
  block.shared = block.async_view = nullptr;
}

void check_guards(const Block& block) {
  if (block.shared == nullptr) return;
  const bool below = !untouched(block.shared - kGuard);
  if (!below && untouched(block.shared + block.shared_bytes)) return;
  throw Error(fmt::format("sim: block {} wrote {} of its {} bytes of shared memory",
                          to_text(block.index), below ? "before the start" : "past the end",
                          block.shared_bytes));
}

std::uint32_t shared_address(const void* place, const Site& site) {
  const Thread& self = *current_thread();
  Gang& gang = current_gang();
  const auto* at = static_cast<const std::byte*>(place);
  for (unsigned rank = 0; rank < gang.launch().cluster; ++rank) {
    const Block& block = gang.blocks()[self.block->first_of_cluster + rank];
    if (at >= block.shared && at <= block.shared + block.shared_bytes && block.shared != nullptr) {
      return rank * kSharedWindow + kSharedBase + static_cast<std::uint32_t>(at - block.shared);
    }
  }
  fault("shared address: expects a place in shared memory, found one outside", site);
}

Block& block_of(std::uint32_t address, const Site& site) {
  Gang& gang = current_gang();
  const unsigned rank = address / kSharedWindow;
  if (rank >= gang.launch().cluster) {
    fault("shared address: names block " + std::to_string(rank) + " of a cluster of " +
              std::to_string(gang.launch().cluster),
          site);
  }
  return gang.blocks()[current_thread()->block->first_of_cluster + rank];
}

std::byte* shared_place(std::uint32_t address, std::size_t bytes, const Site& site) {
  const Block& block = block_of(address, site);
  const std::size_t offset = address % kSharedWindow - kSharedBase;
  if (address % kSharedWindow < kSharedBase || offset + bytes > block.shared_bytes) {
    fault("shared memory: " + std::to_string(bytes) + " bytes at offset " +
              std::to_string(static_cast<long long>(offset)) + " reach outside of the block's " +
              std::to_string(block.shared_bytes) + " bytes",
          site);
  }
  return block.shared + offset;
}

}  // namespace convoy::sim
