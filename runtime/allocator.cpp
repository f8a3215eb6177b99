// SPDX-License-Identifier: MIT
#include "runtime/allocator.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "runtime/per_device.h"
#include "runtime/size_class.h"

namespace convoy {
namespace {

constexpr std::size_t kAlignment = 256;  // of blocks, as cudaMalloc's
constexpr std::size_t kLarge = std::size_t{1} << 18;
constexpr std::size_t kSmallestSegment = std::size_t{2} << 20;
constexpr std::size_t kLargestShare = std::size_t{1} << 30;

Caching caching_wanted(const DeviceBackend& backend) {
  const char* choice = std::getenv("CONVOY_ALLOCATOR");
  const std::string_view wanted = choice == nullptr ? "" : choice;
  if (wanted == "direct") return Caching::direct;
  if (wanted != "" && wanted != "exact") {
    fail_usage("CONVOY_ALLOCATOR expects exact or direct, found '{}'", wanted);
  }
  if (wanted == "exact" || backend.watches_bounds()) return Caching::exact;
  return Caching::cut;
}

// "runtime/ops/conv2d.cpp:38".
std::string place_of(const std::source_location& where) {
  return Error("", ErrorKind::failure, where).where();
}

// Which pool of which allocator this thread's blocks come from.
thread_local const Allocator* scope_allocator = nullptr;
thread_local PoolId scope_pool = 0;

}  // namespace

Allocator::Allocator(DeviceBackend& backend) : Allocator(backend, caching_wanted(backend)) {}

Allocator::Allocator(DeviceBackend& backend, Caching caching)
    : backend_(backend),
      device_(backend.default_stream().device),
      caching_(caching),
      asynchronous_(backend.is_asynchronous()),
      shared_(caching == Caching::cut),
      progress_(backend),
      other_uses_(backend) {}

Allocator::~Allocator() { trim(); }

Segments& Allocator::Pool::of(std::size_t block_bytes) {
  return block_bytes < kLarge ? small : large;
}

std::size_t Allocator::block_bytes(std::size_t bytes) {
  return bytes < kLarge ? size_class(bytes) : round_up(bytes, kAlignment);
}

Block Allocator::allocate(std::size_t bytes, Where where) {
  if (bytes == 0) return {};
  const Stream stream = asynchronous_ ? current_stream(device_) : Stream{device_};
  const Request request{block_bytes(bytes), bytes, stream, where};
  Block block{nullptr, request.bytes, stream.handle, pool_of_this_thread()};
  const std::lock_guard lock(mutex_);
  if (caching_ == Caching::direct) {
    block.data = take_segment(request, block.bytes);
  } else {
    block.piece = take(request, block.pool);
    block.data = block.piece->data;
    block.bytes = block.piece->bytes;
  }
  backend_.note_reused(block.data, block.bytes, stream, where);
  count_live(block.bytes);
  return block;
}

void Allocator::count_live(std::size_t bytes) {
  ++stats_.allocations;
  stats_.live_bytes += bytes;
  stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.live_bytes);
}

PoolId Allocator::pool_of_this_thread() const { return scope_allocator == this ? scope_pool : 0; }

Piece* Allocator::take(const Request& request, PoolId id) {
  Segments& segments = pool(id).of(request.bytes);
  Piece* piece = segments.take(request.bytes, request.stream.handle);
  return piece != nullptr ? piece : take_slowly(request, segments, id == 0);
}

// Nothing free on the stream: what has become free, other streams' segments, and last the device.
Piece* Allocator::take_slowly(const Request& request, Segments& segments, bool shared) {
  require(!backend_.is_capturing(request.stream),
          "allocator: no block of {} bytes is left in the pool of the graph that is captured, and "
          "the device may not be asked; run the same step eagerly in this graph first",
          request.asked);
  other_uses_.collect_passed([this](const Block& block, Where from) { put(block, from); });
  void* const stream = request.stream.handle;
  if (Piece* piece = segments.take(request.bytes, stream)) return piece;
  // In a graph's pool it would depend on the clock what a step finds.
  if (!shared || !take_over_segment(request, segments)) {
    std::size_t bytes = segment_bytes(segments, request.bytes);
    void* data = take_segment(request, bytes);
    segments.add(data, bytes, stream);
  }
  return segments.take(request.bytes, stream);
}

// One of another stream, when all that used it there has passed.
bool Allocator::take_over_segment(const Request& request, Segments& segments) {
  for (Segment* segment : segments.whole()) {
    if (segment->stream == request.stream.handle || !segments.fits(*segment, request.bytes)) {
      continue;
    }
    if (!progress_.has_passed({device_, segment->stream}, segment->released)) continue;
    segment->stream = request.stream.handle;
    segment->released = 0;
    return true;
  }
  return false;
}

// An eighth of what there is: a pool has few segments, and of the youngest little is unused.
std::size_t Allocator::segment_bytes(const Segments& segments, std::size_t block_bytes) const {
  if (caching_ != Caching::cut) return block_bytes;
  const std::size_t share = std::min(segments.bytes() / 8, kLargestShare);
  return round_up(std::max(block_bytes, share), kSmallestSegment);
}

// Of `bytes`, or of no more than the block where memory is short.
void* Allocator::take_segment(const Request& request, std::size_t& bytes) {
  ++stats_.device_allocations;
  if (void* data = ask_device(bytes)) return data;
  const bool asked_for_more = bytes > request.bytes;
  bytes = request.bytes;
  if (void* data = asked_for_more ? ask_device(bytes) : nullptr) return data;
  const std::size_t largest = std::max(shared_.small.largest_free(), shared_.large.largest_free());
  trim_locked();
  if (void* data = ask_device(bytes)) return data;
  fail_without_memory(request, largest);
}

void Allocator::fail_without_memory(const Request& request, std::size_t largest_free) {
  std::size_t graphs = 0;
  for (const auto& [id, pool] : pools_) {
    graphs += pool.small.free_bytes() + pool.large.free_bytes();
    for (const Block& block : pool.held) graphs += block.bytes;
  }
  const std::size_t between = shared_.small.free_bytes() + shared_.large.free_bytes();
  fail(
      "allocator: {} has no memory for {} bytes, asked for by {}; {} bytes are live, {} are kept "
      "by graphs, {} lie free between live blocks, and the largest free block had {}. Use a "
      "smaller batch or model",
      backend_.description(), request.asked, place_of(request.where), stats_.live_bytes, graphs,
      between, largest_free);
}

void* Allocator::ask_device(std::size_t bytes) {
  void* data = backend_.allocate(bytes);
  if (data == nullptr) return nullptr;
  stats_.held_bytes += bytes;
  stats_.peak_held_bytes = std::max(stats_.peak_held_bytes, stats_.held_bytes);
  return data;
}

void Allocator::give_to_device(void* data, std::size_t bytes) noexcept {
  backend_.release(data, bytes);
  stats_.held_bytes -= bytes;
}

void Allocator::record_use(const Block& block, const Stream& stream) {
  if (!asynchronous_ || block.data == nullptr || stream.handle == block.stream) return;
  const std::lock_guard lock(mutex_);
  other_uses_.record(block, stream);
}

void Allocator::release(const Block& block, Where where) noexcept {
  if (block.data == nullptr) return;
  const std::lock_guard lock(mutex_);
  stats_.live_bytes -= block.bytes;
  if (caching_ == Caching::direct) {
    other_uses_.forget(block);
    return give_to_device(block.data, block.bytes);
  }
  try {
    if (must_be_held(block)) {
      other_uses_.forget(block);
      pool(block.pool).held.push_back(block);
    } else if (!other_uses_.put_aside(block, where)) {
      put(block, where);
    }
  } catch (...) {
    // The block is lost; so, most likely, is the device.
    backend_.defer(std::current_exception());
  }
}

// Among the free ones of its stream, or back to the device where its pool is no more.
void Allocator::put(const Block& block, Where where) {
  Pool& own = pool(block.pool);
  if (asynchronous_ && !own.sealed && !own.dropped) {
    backend_.note_released(block.data, block.bytes, {device_, block.stream}, where);
    block.piece->segment->released = progress_.release(block.stream);
  }
  own.of(block.bytes).put(block.piece);
  if (own.dropped) give_dropped(block.pool);
}

// In a graph no event can be asked whether other streams have passed.
bool Allocator::must_be_held(const Block& block) {
  if (block.pool == 0 || !other_uses_.has(block)) return false;
  const Pool& own = pool(block.pool);
  return !own.dropped && (own.sealed || backend_.is_capturing({device_, block.stream}));
}

void Allocator::collect_all() {
  other_uses_.collect_all([this](const Block& block, Where where) { put(block, where); });
}

void Allocator::settle() {
  const std::lock_guard lock(mutex_);
  collect_all();
}

AllocatorStats Allocator::stats() const {
  const std::lock_guard lock(mutex_);
  AllocatorStats stats = stats_;
  stats.cached_bytes = stats.held_bytes - stats.live_bytes;
  return stats;
}

void Allocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak_bytes = stats_.live_bytes;
  stats_.peak_held_bytes = stats_.held_bytes;
}

void Allocator::trim() noexcept {
  const std::lock_guard lock(mutex_);
  trim_locked();
}

void Allocator::trim_locked() noexcept {
  try {
    collect_all();
  } catch (...) {
    backend_.defer(std::current_exception());
  }
  give_whole_segments(shared_.small);
  give_whole_segments(shared_.large);
}

void Allocator::give_whole_segments(Segments& segments) noexcept {
  for (Segment* segment : segments.whole()) {
    give_to_device(segment->data, segment->bytes);
    segments.remove(*segment);
  }
}

PoolId Allocator::create_pool() {
  const std::lock_guard lock(mutex_);
  pools_.try_emplace(next_pool_, caching_ == Caching::cut);
  return next_pool_++;
}

void Allocator::seal_pool(PoolId id) {
  const std::lock_guard lock(mutex_);
  pools_.at(id).sealed = true;
}

void Allocator::drop_pool(PoolId id) noexcept {
  const std::lock_guard lock(mutex_);
  Pool& dropped = pools_.at(id);
  dropped.dropped = true;
  for (const Block& block : dropped.held) dropped.of(block.bytes).put(block.piece);
  dropped.held.clear();
  give_dropped(id);
}

// Its whole segments; with the last one the pool is gone.
void Allocator::give_dropped(PoolId id) noexcept {
  Pool& dropped = pools_.at(id);
  give_whole_segments(dropped.small);
  give_whole_segments(dropped.large);
  if (dropped.small.bytes() + dropped.large.bytes() == 0) pools_.erase(id);
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
