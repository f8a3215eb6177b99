// SPDX-License-Identifier: MIT
#pragma once
// Caching allocator: freed blocks are kept by size class and handed out again, so that a training
// step after the first asks the device for nothing. One per device.
//
//   Block block = allocator(device).allocate(bytes);   // Error with figures when memory is out
//   allocator(device).release(block);
//
// A block belongs to the stream on which it was allocated, by default the thread's current one:
// whoever uses it on another says so with record_use. Given back, it is reused on its stream at
// once (what is enqueued there comes later), and on another once an event recorded after that has
// passed. A graph has a pool of its own, of which nothing is taken or given while it replays.
//
// CONVOY_ALLOCATOR=direct switches the cache off, so that AddressSanitizer sees every use of a
// freed block.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <source_location>
#include <unordered_map>
#include <vector>

#include "runtime/device.h"
#include "runtime/stream.h"

namespace convoy {

using PoolId = std::uint32_t;  // 0: everyone's

struct Block {
  void* data = nullptr;
  std::size_t bytes = 0;  // of the size class, at least what was asked for
  void* stream = nullptr;
  PoolId pool = 0;
};

struct AllocatorStats {
  std::size_t live_bytes = 0;           // in use now
  std::size_t peak_bytes = 0;           // most in use since reset_peak
  std::size_t cached_bytes = 0;         // free, kept for reuse
  std::int64_t allocations = 0;         // requests served
  std::int64_t device_allocations = 0;  // of which the device had to be asked
};

class Allocator {
 public:
  using Where = std::source_location;

  explicit Allocator(DeviceBackend& backend);
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // 0 bytes gives a null block. Out of memory: the cache is freed and the device asked once more;
  // then an Error says how much was asked for and by whom, how much is live, how much graphs keep,
  // and how large the largest block of the cache was. While a graph is captured the
  // device is not asked: an Error says that an eager step must run first.
  Block allocate(std::size_t bytes, Where where = Where::current());
  void release(const Block& block, Where where = Where::current()) noexcept;
  // The block is used on a stream that is not its own: given back, it waits for that use as well.
  void record_use(const Block& block, const Stream& stream);

  bool is_caching() const { return caching_; }
  AllocatorStats stats() const;
  void reset_peak();
  // Gives every cached block back to the device.
  void trim() noexcept;

  // While a PoolScope names a pool, this thread's blocks come from there. A sealed pool keeps what
  // comes back to it; a dropped one gives it to the device, and later blocks as they come.
  PoolId create_pool();
  void seal_pool(PoolId pool);
  // Waits until no block that was given back is in use on another stream. A pool reuses such blocks
  // only then, so that each run of a graph's step takes the same ones.
  void settle();
  void drop_pool(PoolId pool) noexcept;

  // Multiples of 64 bytes up to 512, then eight classes per power of two: at most 12.5 % is lost.
  static std::size_t size_class(std::size_t bytes);

 private:
  struct Free {
    void* data;
    std::uint64_t number;  // of the release, on its stream
  };
  struct FreeOnStream {
    void* stream;
    std::vector<Free> blocks;
  };
  struct Pool {
    std::unordered_map<std::size_t, std::vector<FreeOnStream>> free;  // by size class
    std::vector<Block> held;  // used on several streams of a graph: not handed out again
    bool sealed = false;
  };
  // How far a stream has come, as far as we asked: blocks up to release `passed` may go elsewhere.
  struct Progress {
    std::uint64_t released = 0, passed = 0;
    std::optional<Event> marker;
    std::uint64_t marked = 0;
  };
  struct Waiting {
    Block block;
    std::vector<Event> events;
    Where where;
  };

  PoolId pool_of_this_thread() const;
  void count_live(std::size_t bytes);
  void* take_in_order(std::size_t bytes);
  void* take(Pool& pool, std::size_t bytes, void* stream);
  void* take_elsewhere(Pool& pool, std::size_t bytes, const Stream& stream);
  void* take_from_device(std::size_t bytes, std::size_t asked, Where where);
  void* take_slowly(Pool& pool, std::size_t bytes, std::size_t asked, const Stream& stream,
                    Where where);
  std::size_t largest_free() const;
  void put(const Block& block, Where where);
  bool wait_for_uses(const Block& block, Where where);
  bool holds(const Block& block);
  void collect_waiting(bool all);
  void give_to_device(Pool& pool) noexcept;
  void trim_locked() noexcept;

  DeviceBackend& backend_;
  Device device_;
  bool caching_;
  bool asynchronous_;
  mutable std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<void*>> in_order_;  // of a device without streams
  Pool shared_;
  std::map<PoolId, Pool> pools_;  // of graphs
  PoolId next_pool_ = 1;
  std::unordered_map<void*, Progress> progress_;               // by stream
  std::unordered_map<void*, std::vector<Stream>> other_uses_;  // of live blocks
  std::deque<Waiting> waiting_;
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
