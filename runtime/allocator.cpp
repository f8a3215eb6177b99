// SPDX-License-Identifier: MIT
#include "runtime/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <string_view>

#include "runtime/per_device.h"

namespace convoy {
namespace {

bool caching_wanted() {
  const char* choice = std::getenv("CONVOY_ALLOCATOR");
  return choice == nullptr || std::string_view(choice) != "direct";
}

// "runtime/ops/conv2d.cpp:38".
std::string place_of(const std::source_location& where) {
  return Error("", ErrorKind::failure, where).where();
}

// Which pool of which allocator this thread's blocks come from.
thread_local const Allocator* scope_allocator = nullptr;
thread_local PoolId scope_pool = 0;

}  // namespace

Allocator::Allocator(DeviceBackend& backend)
    : backend_(backend),
      device_(backend.default_stream().device),
      caching_(caching_wanted()),
      asynchronous_(backend.is_asynchronous()) {}

Allocator::~Allocator() { trim(); }

std::size_t Allocator::size_class(std::size_t bytes) {
  std::size_t step = 64;
  if (bytes > 512) step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

Block Allocator::allocate(std::size_t bytes, Where where) {
  if (bytes == 0) return {};
  const std::size_t size = size_class(bytes);
  Block block{nullptr, size};
  if (!asynchronous_) {
    const std::lock_guard lock(mutex_);
    block.data = take_in_order(size);
    if (block.data == nullptr) block.data = take_from_device(size, bytes, where);
    count_live(size);
    return block;
  }
  const Stream stream = current_stream(device_);
  block.stream = stream.handle;
  block.pool = pool_of_this_thread();
  const std::lock_guard lock(mutex_);
  Pool& pool = block.pool == 0 ? shared_ : pools_.at(block.pool);
  block.data = take(pool, size, stream.handle);
  if (block.data == nullptr) block.data = take_slowly(pool, size, bytes, stream, where);
  backend_.note_reused(block.data, size, stream, where);
  count_live(size);
  return block;
}

void Allocator::count_live(std::size_t bytes) {
  ++stats_.allocations;
  stats_.live_bytes += bytes;
  stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
}

void* Allocator::take_in_order(std::size_t bytes) {
  const auto found = in_order_.find(bytes);
  if (found == in_order_.end() || found->second.empty()) return nullptr;
  void* data = found->second.back();
  found->second.pop_back();
  stats_.cached_bytes -= bytes;
  return data;
}

PoolId Allocator::pool_of_this_thread() const { return scope_allocator == this ? scope_pool : 0; }

void* Allocator::take(Pool& pool, std::size_t bytes, void* stream) {
  const auto found = pool.free.find(bytes);
  if (found == pool.free.end()) return nullptr;
  for (FreeOnStream& own : found->second) {
    if (own.stream != stream || own.blocks.empty()) continue;
    void* data = own.blocks.back().data;
    own.blocks.pop_back();
    stats_.cached_bytes -= bytes;
    return data;
  }
  return nullptr;
}

// Nothing free on the stream: what has become free, other streams, and last the device.
void* Allocator::take_slowly(Pool& pool, std::size_t bytes, std::size_t asked, const Stream& stream,
                             Where where) {
  require(!backend_.is_capturing(stream),
          "allocator: no block of {} bytes is left in the pool of the graph that is captured, and "
          "the device may not be asked; run the same step eagerly in this graph first",
          asked);
  collect_waiting(false);
  if (void* data = take(pool, bytes, stream.handle)) return data;
  if (void* data = take_elsewhere(pool, bytes, stream)) return data;
  return take_from_device(bytes, asked, where);
}

// A block of another stream, once an event recorded after its release has passed. None yet: one is
// recorded now, for the next time.
void* Allocator::take_elsewhere(Pool& pool, std::size_t bytes, const Stream& stream) {
  const auto found = pool.free.find(bytes);
  if (found == pool.free.end()) return nullptr;
  for (FreeOnStream& other : found->second) {
    if (other.blocks.empty() || other.stream == stream.handle) continue;
    Progress& progress = progress_[other.stream];
    if (progress.marker && progress.marker->has_passed()) {
      progress.passed = progress.marked;
      progress.marker.reset();
    }
    const Free oldest = other.blocks.front();
    if (oldest.number <= progress.passed) {
      other.blocks.erase(other.blocks.begin());
      stats_.cached_bytes -= bytes;
      return oldest.data;
    }
    if (!progress.marker) {
      progress.marker.emplace(backend_);
      progress.marker->record({device_, other.stream});
      progress.marked = progress.released;
    }
  }
  return nullptr;
}

void* Allocator::take_from_device(std::size_t bytes, std::size_t asked, Where where) {
  ++stats_.device_allocations;
  void* data = backend_.allocate(bytes);
  if (data != nullptr) return data;
  const std::size_t largest = largest_free();
  trim_locked();
  data = backend_.allocate(bytes);
  if (data != nullptr) return data;
  fail(
      "allocator: {} has no memory for {} bytes, asked for by {}; {} bytes are live, {} are kept "
      "by "
      "graphs, and the largest free block, given back before, had {}. Use a smaller batch or model",
      backend_.description(), asked, place_of(where), stats_.live_bytes, stats_.cached_bytes,
      largest);
}

// Of the cache, in bytes.
std::size_t Allocator::largest_free() const {
  std::size_t largest = 0;
  for (const auto& [bytes, blocks] : in_order_) {
    if (!blocks.empty()) largest = std::max(largest, bytes);
  }
  for (const auto& [bytes, streams] : shared_.free) {
    const auto some = [](const FreeOnStream& on) { return !on.blocks.empty(); };
    if (std::any_of(streams.begin(), streams.end(), some)) largest = std::max(largest, bytes);
  }
  return largest;
}

void Allocator::record_use(const Block& block, const Stream& stream) {
  if (!asynchronous_ || block.data == nullptr || stream.handle == block.stream) return;
  const std::lock_guard lock(mutex_);
  std::vector<Stream>& uses = other_uses_[block.data];
  const auto same = [&](const Stream& known) { return known.handle == stream.handle; };
  if (std::none_of(uses.begin(), uses.end(), same)) uses.push_back(stream);
}

void Allocator::release(const Block& block, Where where) noexcept {
  if (block.data == nullptr) return;
  const std::lock_guard lock(mutex_);
  stats_.live_bytes -= block.bytes;
  if (!caching_) {
    other_uses_.erase(block.data);
    return backend_.release(block.data, block.bytes);
  }
  if (!asynchronous_) {
    in_order_[block.bytes].push_back(block.data);
    stats_.cached_bytes += block.bytes;
    return;
  }
  try {
    if (!wait_for_uses(block, where)) put(block, where);
  } catch (...) {
    // The block is lost; so, most likely, is the device.
    backend_.defer(std::current_exception());
  }
}

// Into the cache of its stream, or back to the device where its pool is no more.
void Allocator::put(const Block& block, Where where) {
  Pool* pool = &shared_;
  if (block.pool != 0) {
    const auto own = pools_.find(block.pool);
    if (own == pools_.end()) return backend_.release(block.data, block.bytes);
    pool = &own->second;
  }
  std::uint64_t number = 0;
  if (!pool->sealed) {
    backend_.note_released(block.data, block.bytes, {device_, block.stream}, where);
    number = ++progress_[block.stream].released;
  }
  std::vector<FreeOnStream>& streams = pool->free[block.bytes];
  auto at = streams.begin();
  while (at != streams.end() && at->stream != block.stream) ++at;
  if (at == streams.end()) at = streams.insert(at, FreeOnStream{block.stream, {}});
  at->blocks.push_back({block.data, number});
  stats_.cached_bytes += block.bytes;
}

// True where the block was used on other streams, and is put aside until they have passed.
bool Allocator::wait_for_uses(const Block& block, Where where) {
  const auto uses = other_uses_.find(block.data);
  if (uses == other_uses_.end()) return false;
  if (holds(block)) {
    other_uses_.erase(uses);
    pools_.at(block.pool).held.push_back(block);
    stats_.cached_bytes += block.bytes;
    return true;
  }
  Waiting waiting{block, {}, where};
  for (const Stream& stream : uses->second) {
    waiting.events.emplace_back(backend_).record(stream);
  }
  other_uses_.erase(uses);
  waiting_.push_back(std::move(waiting));
  return true;
}

// In a graph no event can be asked whether the other streams have passed.
bool Allocator::holds(const Block& block) {
  const auto own = pools_.find(block.pool);
  return own != pools_.end() &&
         (own->second.sealed || backend_.is_capturing({device_, block.stream}));
}

// Everyone's blocks whose events have passed; or all blocks, after waiting for their events.
void Allocator::collect_waiting(bool all) {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const auto passed = [&](const Event& event) {
      if (all) event.synchronize();
      return event.has_passed();
    };
    const bool mine = all || at->block.pool == 0;
    if (!mine || !std::all_of(at->events.begin(), at->events.end(), passed)) {
      ++at;
      continue;
    }
    put(at->block, at->where);
    at = waiting_.erase(at);
  }
}

void Allocator::settle() {
  const std::lock_guard lock(mutex_);
  collect_waiting(true);
}

AllocatorStats Allocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak_bytes = stats_.live_bytes;
}

void Allocator::trim() noexcept {
  const std::lock_guard lock(mutex_);
  trim_locked();
}

void Allocator::trim_locked() noexcept {
  try {
    collect_waiting(true);
  } catch (...) {
    backend_.defer(std::current_exception());
  }
  give_to_device(shared_);
  for (auto& [bytes, blocks] : in_order_) {
    for (void* block : blocks) backend_.release(block, bytes);
    stats_.cached_bytes -= bytes * blocks.size();
    blocks.clear();
  }
}

void Allocator::give_to_device(Pool& pool) noexcept {
  for (auto& [bytes, streams] : pool.free) {
    for (FreeOnStream& on : streams) {
      for (const Free& free : on.blocks) backend_.release(free.data, bytes);
      stats_.cached_bytes -= bytes * on.blocks.size();
      on.blocks.clear();
    }
  }
  for (const Block& block : pool.held) {
    backend_.release(block.data, block.bytes);
    stats_.cached_bytes -= block.bytes;
  }
  pool.held.clear();
}

PoolId Allocator::create_pool() {
  const std::lock_guard lock(mutex_);
  pools_[next_pool_];
  return next_pool_++;
}

void Allocator::seal_pool(PoolId pool) {
  const std::lock_guard lock(mutex_);
  pools_.at(pool).sealed = true;
}

void Allocator::drop_pool(PoolId pool) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = pools_.find(pool);
  if (found == pools_.end()) return;
  give_to_device(found->second);
  pools_.erase(found);
}

PoolScope::PoolScope(const Allocator& allocator, PoolId pool)
    : previous_allocator_(scope_allocator), previous_pool_(scope_pool) {
  scope_allocator = &allocator;
  scope_pool = pool;
}

PoolScope::~PoolScope() {
  scope_allocator = previous_allocator_;
  scope_pool = previous_pool_;
}

Allocator& allocator(const Device& device) {
  // Never destroyed: tensors with static storage may outlive main.
  static Allocator& cpu = *new Allocator(cpu_backend());
  if (device.type == DeviceType::cpu) return cpu;
  return per_device<Allocator>(device, [&] { return new Allocator(backend(device)); });
}

}  // namespace convoy
