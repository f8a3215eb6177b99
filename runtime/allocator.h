// SPDX-License-Identifier: MIT
#pragma once
// Caching allocator: what is given back is kept and handed out again, so that a training step after
// the first asks the device for nothing. One per device.
//
//   Block block = allocator(device).allocate(bytes);   // Error with figures when memory is out
//   allocator(device).release(block);
//
// The device gives segments, from which blocks are cut, and joined again with their free neighbours
// (runtime/segments.h). Blocks below 256 KiB have segments of their own, so that they do not lie in
// the way of large ones.
//
// A block belongs to the stream on which it was allocated, by default the thread's current one:
// whoever uses it on another says so with record_use. Given back, it is reused on its stream at
// once (what is enqueued there comes later). A segment of which nothing is in use goes to another
// stream once an event recorded after its last release has passed. A graph has a pool of its own,
// of which nothing is taken or given while it replays.
//
// CONVOY_ALLOCATOR=exact cuts nothing, so that a tool that watches the ends of the device's
// allocations watches those of blocks; where such a tool is compiled in (AddressSanitizer, the
// preset simcheck) that is the default. CONVOY_ALLOCATOR=direct switches the cache off as well, so
// that every use of a freed block is seen.

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <source_location>
#include <vector>

#include "runtime/block.h"
#include "runtime/device.h"
#include "runtime/other_uses.h"
#include "runtime/stream.h"
#include "runtime/stream_progress.h"

namespace convoy {

struct AllocatorStats {
  std::size_t live_bytes = 0;           // in use now
  std::size_t peak_bytes = 0;           // most in use since reset_peak
  std::size_t cached_bytes = 0;         // held, and not in use
  std::size_t held_bytes = 0;           // the device's memory that we have now
  std::size_t peak_held_bytes = 0;      // most since reset_peak
  std::int64_t allocations = 0;         // requests served
  std::int64_t device_allocations = 0;  // of which the device had to be asked
};

enum class Caching : std::uint8_t { direct, exact, cut };

class Allocator {
 public:
  using Where = std::source_location;

  explicit Allocator(DeviceBackend& backend);
  Allocator(DeviceBackend& backend, Caching caching);
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // 0 bytes gives a null block. Out of memory: segments of which nothing is in use are given back
  // and the device is asked once more; then an Error says how much was asked for and by whom, how
  // much is live, how much graphs keep, how much lies free between live blocks, and how large the
  // largest free block was. While a graph is captured the device is not asked: an Error says that
  // an eager step must run first.
  Block allocate(std::size_t bytes, Where where = Where::current());
  void release(const Block& block, Where where = Where::current()) noexcept;
  // The block is used on a stream that is not its own: given back, it waits for that use as well.
  void record_use(const Block& block, const Stream& stream);

  bool is_caching() const { return caching_ != Caching::direct; }
  AllocatorStats stats() const;
  void reset_peak();
  // Gives every segment of which nothing is in use back to the device.
  void trim() noexcept;

  // While a PoolScope names a pool, this thread's blocks come from there. A sealed pool keeps what
  // comes back to it; a dropped one gives it to the device, its live blocks as they come.
  PoolId create_pool();
  void seal_pool(PoolId pool);
  // Waits until no block that was given back is in use on another stream. A pool reuses such blocks
  // only then, so that each run of a graph's step takes the same ones.
  void settle();
  void drop_pool(PoolId pool) noexcept;

  // What a request takes: below 256 KiB, multiples of 256 bytes up to 2 KiB, then eight classes
  // per power of two, of which an eighth is lost at most; from there multiples of 256 bytes.
  static std::size_t block_bytes(std::size_t bytes);

 private:
  struct Pool {
    explicit Pool(bool cut) : small(cut), large(cut) {}
    Segments& of(std::size_t block_bytes);

    Segments small, large;
    std::vector<Block> held;  // used on several streams of a graph: not handed out again
    bool sealed = false, dropped = false;
  };
  // Who wants how much, for errors.
  struct Request {
    std::size_t bytes;  // of the block
    std::size_t asked;
    Stream stream;
    Where where;
  };

  PoolId pool_of_this_thread() const;
  Pool& pool(PoolId id) { return id == 0 ? shared_ : pools_.at(id); }
  Piece* take(const Request& request, PoolId id);
  Piece* take_slowly(const Request& request, Segments& segments, bool shared);
  bool take_over_segment(const Request& request, Segments& segments);
  void* take_segment(const Request& request, std::size_t& bytes);
  [[noreturn]] void fail_without_memory(const Request& request, std::size_t largest_free);
  std::size_t segment_bytes(const Segments& segments, std::size_t block_bytes) const;
  void count_live(std::size_t bytes);
  void put(const Block& block, Where where);
  bool must_be_held(const Block& block);
  void collect_all();
  void* ask_device(std::size_t bytes);
  void give_to_device(void* data, std::size_t bytes) noexcept;
  void give_whole_segments(Segments& segments) noexcept;
  void give_dropped(PoolId id) noexcept;
  void trim_locked() noexcept;

  DeviceBackend& backend_;
  Device device_;
  Caching caching_;
  bool asynchronous_;
  mutable std::mutex mutex_;
  Pool shared_;
  std::map<PoolId, Pool> pools_;  // of graphs
  PoolId next_pool_ = 1;
  StreamProgress progress_;
  OtherUses other_uses_;
  AllocatorStats stats_;

  friend class PoolScope;
};

Allocator& allocator(const Device& device);

class PoolScope {
 public:
  PoolScope(const Allocator& allocator, PoolId pool);
  ~PoolScope();
  PoolScope(const PoolScope&) = delete;
  PoolScope& operator=(const PoolScope&) = delete;

 private:
  const Allocator* previous_allocator_;
  PoolId previous_pool_;
};

// Scratch memory of one launch.
class Workspace {
 public:
  Workspace(const Device& device, std::size_t bytes,
            std::source_location asked = std::source_location::current())
      : device_(device) {
    if (bytes > 0) block_ = allocator(device).allocate(bytes, asked);
  }
  ~Workspace() {
    if (block_.data != nullptr) allocator(device_).release(block_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* data() const { return block_.data; }

 private:
  Device device_;
  Block block_;
};

}  // namespace convoy
