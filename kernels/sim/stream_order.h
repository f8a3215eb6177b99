// SPDX-License-Identifier: MIT
#pragma once
// Which operations on streams happen before which, for whoever watches memory: the access checker
// (preset simcheck) asks at a kernel's load whether the operation that wrote there comes before.
//
//   if (!ordered_before_current(writer)) ... describe(writer) ... describe(current_operation())
//
// An operation's clock says, for each stream, how many of its operations come before: its own
// stream's, those that an event wait brought in, and those that the host had waited for when it
// enqueued the operation. It is fixed when the operation is enqueued: what is missing is found
// whether or not this run went wrong. Several host threads count as one, so an edge may be assumed
// that is not there, never one reported missing that is.

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <vector>

namespace convoy::sim {

// The n-th operation of a stream, from 1; n = 0 is before the first.
struct Point {
  unsigned stream = 0;
  std::uint64_t count = 0;
};

class Clock {
 public:
  bool has(Point point) const {
    return point.count == 0 ||
           (point.stream < counts_.size() && counts_[point.stream] >= point.count);
  }
  void add(Point point);
  void join(const Clock& other);

 private:
  std::vector<std::uint64_t> counts_;
};

// A point with all that comes before it: what an event carries.
struct Mark {
  Point at;
  Clock clock;
};

// Operations are numbered in the order in which they were enqueued; 0 is the host.
using OperationId = std::uint64_t;

struct Operation {
  std::string what;  // "copy of 64 bytes to the device", "kernel softmax_block_per_row"
  std::source_location where;
  Point at;
};

// The operation that runs now; 0 when none does. The same on every thread that works for it.
OperationId current_operation();
bool ordered_before_current(OperationId before);
// "copy of 64 bytes to the device on stream 2, enqueued at tests/a.cpp:12".
std::string describe(const Operation& operation);
std::string describe(OperationId id);

// Told what happens to simulated memory outside of kernels; current_operation() says by whom.
class MemoryObserver {
 public:
  virtual ~MemoryObserver() = default;
  // New, or handed to another use: nothing that was written there counts any more.
  virtual void unwritten(const void* begin, std::size_t bytes) = 0;
  virtual void released(const void* begin, std::size_t bytes) = 0;
  virtual void filled(const void* begin, std::size_t bytes) = 0;
  // Either side may be host memory.
  virtual void copied(const void* to, const void* from, std::size_t bytes) = 0;
};
void set_memory_observer(MemoryObserver* observer);
MemoryObserver* memory_observer();

// The executor's side (streams.cpp).
OperationId remember(const Operation& operation);
void set_current(OperationId id, const Clock* clock);

}  // namespace convoy::sim
