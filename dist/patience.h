// SPDX-License-Identifier: MIT
#pragma once
// Waiting for another process, with an end. What counts is the time that this process has watched
// go by: one that was stopped (SIGSTOP, a suspended machine) and goes on must not find at once that
// all others have been silent for too long.
//
//   Patience patience(timeout);
//   while (!ready()) {
//     if (!patience.pause()) fail("…");
//   }

#include <algorithm>
#include <chrono>
#include <thread>

namespace convoy::dist {

class Patience {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Patience(std::chrono::milliseconds limit)
      : limit_(limit), longest_gap_(std::clamp<Clock::duration>(limit / 4, kLeast, kMost)) {}

  // Takes account of the time since the last call; false once the limit has passed.
  bool go_on() {
    const Clock::time_point now = Clock::now();
    waited_ += std::min(now - last_, longest_gap_);
    last_ = now;
    return waited_ < limit_;
  }
  // Sleeps for a while that doubles up to 16 ms; false, at once, when the limit has passed.
  bool pause() {
    if (!go_on()) return false;
    std::this_thread::sleep_for(pause_);
    pause_ = std::min(2 * pause_, std::chrono::milliseconds(16));
    return true;
  }

 private:
  // What goes by between two calls counts up to this: on a busy machine it may be long.
  static constexpr std::chrono::milliseconds kLeast{250}, kMost{2000};

  Clock::duration limit_, longest_gap_, waited_{};
  Clock::time_point last_ = Clock::now();
  std::chrono::milliseconds pause_{1};
};

inline double in_seconds(std::chrono::milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace convoy::dist
