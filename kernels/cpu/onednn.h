// SPDX-License-Identifier: MIT
#pragma once
// The one door to oneDNN: engine, stream, descriptors, and a bounded cache of primitives by shape.
// Primitives are created with the scratchpad in user mode, so that their scratch is part of the
// op's workspace and nothing is allocated while they run.
//
//   static PrimitiveCache<Entry> cache;
//   const std::shared_ptr<const Entry> e = cache.get({C, H, W}, [&] { return Entry{...}; });

#include <oneapi/dnnl/dnnl.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "kernels/base.h"

namespace convoy::on_cpu {

const dnnl::engine& onednn_engine();
dnnl::stream& onednn_stream();             // the calling thread's own
dnnl::primitive_attr onednn_attributes();  // user scratchpad

// A view of `data` for one execution; oneDNN does not write through it unless it is an output.
dnnl::memory onednn_memory(const dnnl::memory::desc& desc, const void* data);

// Turns a library's exception into an Error that names the op.
[[noreturn]] void onednn_failed(const char* op, const dnnl::error& error);

// What a primitive depends on: up to 24 numbers, and the number of threads, which is added.
class PrimitiveKey {
 public:
  PrimitiveKey(std::initializer_list<std::int64_t> values);
  friend bool operator==(const PrimitiveKey&, const PrimitiveKey&) = default;
  std::size_t hash() const;

 private:
  std::array<std::int64_t, 25> values_{};
};

struct PrimitiveKeyHash {
  std::size_t operator()(const PrimitiveKey& key) const { return key.hash(); }
};

// Keeps the `capacity` entries that were used last. Entries are shared: one that is evicted while
// another thread runs it lives until that run is over. Hence plan() and run() both look up, and
// Plan::state stays empty.
template <class Entry>
class PrimitiveCache {
 public:
  explicit PrimitiveCache(std::size_t capacity = 256) : capacity_(capacity) {}

  template <class Build>
  std::shared_ptr<const Entry> get(const PrimitiveKey& key, Build&& build) {
    std::lock_guard lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return found->second->second;
    }
    order_.emplace_front(key, std::make_shared<const Entry>(build()));
    index_[key] = order_.begin();
    if (order_.size() > capacity_) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    return order_.front().second;
  }
  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return order_.size();
  }

 private:
  using Order = std::list<std::pair<PrimitiveKey, std::shared_ptr<const Entry>>>;
  std::size_t capacity_;
  mutable std::mutex mutex_;
  Order order_;  // most recently used first
  std::unordered_map<PrimitiveKey, typename Order::iterator, PrimitiveKeyHash> index_;
};

}  // namespace convoy::on_cpu
