// SPDX-License-Identifier: MIT
#include "kernels/sim/stream_order.h"

#include <algorithm>
#include <deque>
#include <mutex>

#include "kernels/require.h"
#include "kernels/sim/memory.h"

namespace convoy::sim {
namespace {

// Those of long ago are forgotten, and count as ordered.
constexpr std::size_t kRemembered = std::size_t{1} << 18;

struct History {
  std::mutex mutex;
  std::deque<Operation> operations;
  OperationId first = 1;
};

History& history() {
  static History& instance = *new History;
  return instance;
}

// Written while no kernel's thread runs.
OperationId current = 0;
const Clock* current_clock = nullptr;
MemoryObserver* observer = nullptr;

}  // namespace

void Clock::add(Point point) {
  if (counts_.size() <= point.stream) counts_.resize(point.stream + 1);
  counts_[point.stream] = std::max(counts_[point.stream], point.count);
}

void Clock::join(const Clock& other) {
  if (counts_.size() < other.counts_.size()) counts_.resize(other.counts_.size());
  for (std::size_t i = 0; i < other.counts_.size(); ++i) {
    counts_[i] = std::max(counts_[i], other.counts_[i]);
  }
}

OperationId remember(const Operation& operation) {
  History& all = history();
  const std::lock_guard lock(all.mutex);
  all.operations.push_back(operation);
  if (all.operations.size() > kRemembered) {
    all.operations.pop_front();
    ++all.first;
  }
  return all.first + all.operations.size() - 1;
}

void set_current(OperationId id, const Clock* clock) {
  current = id;
  current_clock = clock;
}

OperationId current_operation() { return current; }

bool ordered_before_current(OperationId before) {
  if (before == 0 || current_clock == nullptr) return true;
  History& all = history();
  const std::lock_guard lock(all.mutex);
  if (before < all.first) return true;
  return current_clock->has(all.operations[before - all.first].at);
}

std::string describe(const Operation& operation) {
  return fmt::format("{} on stream {}, enqueued at {}", operation.what, operation.at.stream,
                     place(operation.where));
}

std::string describe(OperationId id) {
  if (id == 0) return "the host";
  History& all = history();
  const std::lock_guard lock(all.mutex);
  if (id < all.first) return "an operation of long ago";
  return describe(all.operations[id - all.first]);
}

void set_memory_observer(MemoryObserver* to) { observer = to; }
MemoryObserver* memory_observer() { return observer; }

}  // namespace convoy::sim
