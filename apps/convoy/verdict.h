// SPDX-License-Identifier: MIT
#pragma once
// What the ends of a job's ranks come to: the launcher's exit code, the rank that it names, and
// when the others must have ended.

#include <chrono>
#include <optional>
#include <string>

namespace convoy::apps {

inline constexpr int kStoppedBySignal = 75;  // a rank's exit code: no failure

class Verdict {
 public:
  using Clock = std::chrono::steady_clock;

  // How long others may take to notice a rank's end: the job's timeout, but at most 15 s. One that
  // ended before it met the others is missed by nobody for the whole timeout.
  static std::chrono::milliseconds patience(double dist_timeout_s);

  // The first rank that failed counts. One that says by its exit code, or by the signal that killed
  // it, what went wrong goes before those that end with 1: they may have missed it, and were
  // faster.
  void note(int rank, int exit_code, const std::string& how_it_ended, bool ended_by_us,
            Clock::time_point now);

  int exit_code() const { return exit_code_; }
  // "rank 1 ended with exit code 3"; empty where none failed.
  const std::string& sentence() const { return sentence_; }
  // Since when a rank has failed; those that a signal stopped have not, and others may still save.
  std::optional<Clock::time_point> failed_since() const { return failed_since_; }

 private:
  enum class Weight : char { done, stopped, follows, tells };
  static Weight weigh(int exit_code, bool ended_by_us);

  Weight weight_ = Weight::done;
  int exit_code_ = 0;
  std::string sentence_;
  std::optional<Clock::time_point> failed_since_;
};

}  // namespace convoy::apps
