// SPDX-License-Identifier: MIT
#pragma once
// The loader's ring: workers fill the rows of batches, one consumer takes the batches in order.
// It knows no data: a batch lives in the slot of its number, which whoever has it may write.
//
//   worker                                     consumer
//   while (auto row = ring.claim()) {          while (auto batch = ring.take()) {
//     fill(row->slot, row->row);                 use(batch->slot);
//     ring.deliver(*row);                        ring.release(*batch);  // not needed any more
//   }                                          }
//
// A batch has R rows, and there are D slots. Ticket t is row t mod R of batch b = t / R, which goes
// to slot i = b mod D in lap b / D. A slot's turn says whose it is: 2 lap while workers fill it, 2
// lap + 1 once it is full, 2 lap + 2 when the consumer has given it back. So each slot has one
// owner at a time, batches come in order whatever the workers' speed, and at most D are filled at
// once.
//
// Why nobody waits for ever: let t be the first row that is not delivered. All rows before it are,
// so the consumer can take every earlier batch, and gives t's slot back. Whoever has claimed t can
// then fill it; if nobody has, the next worker to claim a row gets t, since they are claimed in
// order. A worker must therefore deliver what it has claimed: errors travel as contents of the row.
// stop() ends all waits.
//
// No mutex and no condition variable; a worker that the system has stopped still delays its batch.
//
// Policy: the atomics, and hooks by which tests weaken each order and drop each check
// (tests/data/prefetch_ring_model_test.cpp). To read the code, take Policy::holds(site, condition)
// for the condition and Policy::order(site, order) for the order.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

namespace convoy::data {

// What the tests of the ring change, one at a time.
enum class RingSite : std::uint8_t {
  claim_whole,    // ticket and increment are one step
  within,         // tickets behind the last row are not given out
  enter_order,    // the consumer's reads of the slot come before a worker's writes
  enter_turn,     // a worker waits for its own lap
  count_order,    // other workers' rows come before the publication
  count_last,     // only the last row publishes
  refill,         // the count is set for the next lap
  publish_order,  // the rows come before the consumer's reads
  publish_wake,   // and wake the consumer
  take_order,
  take_turn,      // the consumer waits for its own batch
  release_order,  // its reads come before the next lap's writes
  release_wake,
  stop_stays,  // a stopped slot is not given on
  stop_seen,   // a wait ends when the ring is stopped
  stop_wake,
};

// std::atomic, everything as it is written.
struct ThreadsPolicy {
  template <class T>
  using Atomic = std::atomic<T>;
  static constexpr std::memory_order order(RingSite, std::memory_order written) { return written; }
  static constexpr bool holds(RingSite, bool condition) { return condition; }
};

template <class Policy = ThreadsPolicy>
class PrefetchRing {
 public:
  using Count = std::uint64_t;

  struct Row {
    Count batch = 0;
    int slot = 0, row = 0;
  };
  struct Batch {
    Count batch = 0;
    int slot = 0;
  };

  // `slots` and `rows` are 1 or more.
  PrefetchRing(int slots, int rows, Count batches)
      : slots_(new Slot[static_cast<std::size_t>(slots)]),
        depth_(static_cast<Count>(slots)),
        rows_(static_cast<Count>(rows)),
        batches_(batches) {
    for (int i = 0; i < slots; ++i) slots_[i].missing.store(rows, std::memory_order_relaxed);
  }

  // A worker's next row, once its slot is free. None left, or stopped: nothing.
  std::optional<Row> claim() {
    const Count ticket = next_ticket();
    const Count batch = ticket / rows_;
    if (!Policy::holds(RingSite::within, batch < batches_)) return {};
    if (!wait_for(slot_of(batch), 2 * lap_of(batch), RingSite::enter_order, RingSite::enter_turn)) {
      return {};
    }
    return Row{batch, static_cast<int>(batch % depth_), static_cast<int>(ticket % rows_)};
  }

  // The row is filled.
  void deliver(const Row& row) {
    Slot& slot = slots_[row.slot];
    const int missing =
        slot.missing.fetch_sub(1, Policy::order(RingSite::count_order, std::memory_order_acq_rel));
    if (!Policy::holds(RingSite::count_last, missing == 1)) return;
    // Before the publication: behind it the slot is the consumer's.
    if (Policy::holds(RingSite::refill, true)) {
      slot.missing.store(static_cast<int>(rows_), std::memory_order_relaxed);
    }
    pass_on(slot, 2 * lap_of(row.batch),
            Policy::order(RingSite::publish_order, std::memory_order_release),
            RingSite::publish_wake);
  }

  // The consumer's next batch. None left, or stopped: nothing.
  std::optional<Batch> take() {
    if (taken_ == batches_) return {};
    const Count turn = 2 * lap_of(taken_) + 1;
    if (!wait_for(slot_of(taken_), turn, RingSite::take_order, RingSite::take_turn)) return {};
    const Count batch = taken_++;
    return Batch{batch, static_cast<int>(batch % depth_)};
  }
  // Batches may come back in any order.
  void release(const Batch& batch) {
    pass_on(slots_[batch.slot], 2 * lap_of(batch.batch) + 1,
            Policy::order(RingSite::release_order, std::memory_order_release),
            RingSite::release_wake);
  }

  // By anybody, more than once: every claim() and take() returns nothing from now on.
  void stop() {
    for (Count i = 0; i < depth_; ++i) {
      slots_[i].turn.store(kStopped, std::memory_order_relaxed);
      if (Policy::holds(RingSite::stop_wake, true)) slots_[i].turn.notify_all();
    }
  }

 private:
  template <class T>
  using Atomic = typename Policy::template Atomic<T>;
  static constexpr Count kStopped = ~Count{0};

  // Two lines, as processors fetch them in pairs.
  struct alignas(128) Slot {
    Atomic<Count> turn{0};
    Atomic<int> missing{0};  // rows of this lap
  };

  Count lap_of(Count batch) const { return batch / depth_; }
  Slot& slot_of(Count batch) const { return slots_[batch % depth_]; }

  Count next_ticket() {
    constexpr auto kOrder = std::memory_order_relaxed;  // no data goes with a ticket
    if (Policy::holds(RingSite::claim_whole, true)) return ticket_.fetch_add(1, kOrder);
    const Count ticket = ticket_.load(kOrder);
    ticket_.store(ticket + 1, kOrder);
    return ticket;
  }

  bool wait_for(Slot& slot, Count turn, RingSite order, RingSite check) const {
    for (;;) {
      const Count now = slot.turn.load(Policy::order(order, std::memory_order_acquire));
      if (Policy::holds(RingSite::stop_seen, now == kStopped)) return false;
      if (Policy::holds(check, now == turn)) return true;
      slot.turn.wait(now, std::memory_order_relaxed);
    }
  }

  // From `turn` to the next, unless the ring has been stopped: that stays.
  void pass_on(Slot& slot, Count turn, std::memory_order order, RingSite wake) {
    Count expected = turn;
    if (Policy::holds(RingSite::stop_stays, true)) {
      slot.turn.compare_exchange_strong(expected, turn + 1, order, std::memory_order_relaxed);
    } else {
      slot.turn.store(turn + 1, order);
    }
    if (Policy::holds(wake, true)) slot.turn.notify_all();
  }

  std::unique_ptr<Slot[]> slots_;
  Count depth_, rows_, batches_;
  Count taken_ = 0;  // the consumer's own
  alignas(128) Atomic<Count> ticket_{0};
};

}  // namespace convoy::data
