// SPDX-License-Identifier: MIT
#pragma once
// Streams as queues, and who runs when. There are no threads behind them: operations run inside
// the host's calls, so that a run is replayed from its seed and a debugger steps through it.
// Options::async says when:
//
//   eager    as it is enqueued
//   late     only when the host waits for it, and then no more than the wait demands
//   seeded   at each call, some of those that could run now, at random
//
// Every order that this gives is one that a GPU may choose.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "kernels/sim/accesses.h"
#include "kernels/sim/stream_order.h"
#include "kernels/sim/transfer.h"

namespace convoy::sim {

// What the host asked for.
struct Request {
  std::string what;  // empty for an event's record or wait
  std::source_location where;
  std::function<void()> work;        // of a kernel
  std::optional<Transfer> transfer;  // or of a copy or fill: its work is made from this
};

class Streams {
 public:
  unsigned create();
  // What is enqueued still runs. The number is used again once the host knows that it did.
  void destroy(unsigned stream);

  // After all of its stream, and after the marks with what came before them.
  Mark enqueue(unsigned stream, const Request& request, const std::vector<Mark>& waits = {});
  Mark latest(unsigned stream) const;
  bool is_done(Point point) const { return queues_[point.stream].done >= point.count; }

  // The host waits; afterwards it knows that the mark and all before it are done.
  void wait(const Mark& mark);
  void wait_for_all();
  // The host asks; each time a little more has run, so that asking again and again ends.
  bool poll(const Mark& mark);

  // Whether all before the point comes before what is enqueued next on the stream.
  bool ordered_before_next(Point point, unsigned stream) const;
  // A copy or fill of this memory that the host has not waited for.
  std::optional<Operation> user_of(const void* begin, std::size_t bytes) const;
  // As a new process would find it: nothing enqueued, the generator at its seed.
  void restart();

 private:
  struct Enqueued {
    OperationId id = 0;
    Request request;
    Clock clock;
    std::vector<Point> waits;
  };
  struct Queue {
    std::deque<Enqueued> pending;
    std::uint64_t enqueued = 0, done = 0;
    Clock clock;
    bool destroyed = false;
  };

  void prepare(Request& request);
  bool is_pending(const void* begin, std::size_t bytes, bool only_writes) const;
  const Point* first_unmet(const Queue& queue) const;
  Queue& next_towards(Point point);
  void demand(Point point);
  bool run_one_at_random();
  void perhaps_run_some();
  void run_head(Queue& queue);
  void check_guards(const Request& last);
  void forget_everything();
  void host_knows(const Clock& clock);
  std::uint64_t random();

  std::deque<Queue> queues_;
  Clock host_;
  Accesses accesses_;
  std::optional<std::uint64_t> random_;
  std::uint64_t unchecked_ = 0;  // operations since all guard zones were looked at
};

}  // namespace convoy::sim
