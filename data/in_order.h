// SPDX-License-Identifier: MIT
#pragma once
// Work on numbered items that many threads do and one takes, in the order of the numbers: what
// comes out does not depend on how many threads there are. For jobs over whole data sets; the
// training loader has its ring (prefetch_ring.h).
//
//   in_order(count, workers, [&](std::int64_t i) { return encode(i); },
//            [&](std::int64_t i, Bytes bytes) { write(bytes); return !stopped; });

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace convoy::data {

// Calls work(i) for 0 <= i < count on `workers` threads (0: on this one) and take(i, result) on
// this one, in order, until it returns false. At most four results a worker wait. What either
// throws ends the job and is thrown here: work(i)'s once everything before i is taken.
template <class Work, class Take>
void in_order(std::int64_t count, int workers, Work&& work, Take&& take) {
  using Result = std::invoke_result_t<Work&, std::int64_t>;
  if (workers <= 0) {
    for (std::int64_t i = 0; i < count; ++i) {
      if (!take(i, work(i))) return;
    }
    return;
  }
  struct Slot {
    std::optional<Result> result;
    std::exception_ptr error;
    bool full() const { return result || error; }
  };
  std::vector<Slot> slots(4 * static_cast<std::size_t>(workers));
  const auto window = static_cast<std::int64_t>(slots.size());
  const auto slot_of = [&](std::int64_t i) -> Slot& {
    return slots[static_cast<std::size_t>(i % window)];
  };
  std::mutex mutex;
  std::condition_variable room, arrival;
  std::int64_t next = 0, taken = 0;
  bool stop = false;
  const auto run = [&] {
    std::unique_lock lock(mutex);
    for (;;) {
      room.wait(lock, [&] { return stop || next == count || next < taken + window; });
      if (stop || next == count) return;
      const std::int64_t i = next++;
      lock.unlock();
      Slot made;
      try {
        made.result.emplace(work(i));
      } catch (...) {
        made.error = std::current_exception();
      }
      lock.lock();
      slot_of(i) = std::move(made);
      if (i == taken) arrival.notify_one();
    }
  };
  std::vector<std::jthread> threads;
  // Before the threads are joined, whatever happens.
  struct Stop {
    std::mutex& mutex;
    std::condition_variable& room;
    bool& stop;
    ~Stop() {
      const std::lock_guard lock(mutex);
      stop = true;
      room.notify_all();
    }
  } const stopped{mutex, room, stop};
  for (int w = 0; w < workers; ++w) threads.emplace_back(run);
  for (std::int64_t i = 0; i < count; ++i) {
    std::unique_lock lock(mutex);
    arrival.wait(lock, [&] { return slot_of(i).full(); });
    Slot slot = std::exchange(slot_of(i), {});
    taken = i + 1;
    room.notify_one();
    lock.unlock();
    if (slot.error) std::rethrow_exception(slot.error);
    if (!take(i, std::move(*slot.result))) return;
  }
}

}  // namespace convoy::data
