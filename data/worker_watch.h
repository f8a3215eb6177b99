// SPDX-License-Identifier: MIT
#pragma once
// What each worker is at, for the watchdog: written by the worker, read by anybody.

#include <atomic>
#include <chrono>
#include <cstdint>

namespace convoy::data {

enum class WorkerPhase : std::uint8_t { waiting, reading, decoding };

class alignas(128) WorkerWatch {
 public:
  using Clock = std::chrono::steady_clock;
  struct Sight {
    WorkerPhase phase = WorkerPhase::waiting;
    std::int64_t index = -1;
    Clock::time_point since = {};  // of the sample
  };

  void wait() { phase_.store(WorkerPhase::waiting, std::memory_order_release); }
  // `index` is being worked on. The clock starts anew with each reading.
  void enter(WorkerPhase phase, std::int64_t index) {
    if (phase == WorkerPhase::reading) {
      since_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    }
    index_.store(index, std::memory_order_release);
    phase_.store(phase, std::memory_order_release);
  }
  // Of a worker that moves on meanwhile: no sample is said to be older than it is.
  Sight look() const {
    Sight sight;
    sight.phase = phase_.load(std::memory_order_acquire);
    sight.index = index_.load(std::memory_order_acquire);
    const auto since = since_.load(std::memory_order_relaxed);
    sight.since = Clock::time_point(Clock::duration(since));
    return sight;
  }

  // A worker has ended, or is given up because it does not come back from a sample.
  enum State : int { running, ended, given_up };
  void set(State state) {
    int expected = running;
    state_.compare_exchange_strong(expected, state, std::memory_order_acq_rel);
    state_.notify_all();
  }
  State wait_for_end() const {
    state_.wait(running, std::memory_order_acquire);
    return static_cast<State>(state_.load(std::memory_order_acquire));
  }

 private:
  std::atomic<WorkerPhase> phase_ = WorkerPhase::waiting;
  std::atomic<std::int64_t> index_ = -1;
  std::atomic<Clock::rep> since_ = 0;
  std::atomic<int> state_ = running;
};

}  // namespace convoy::data
