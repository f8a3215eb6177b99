// SPDX-License-Identifier: MIT
#include "apps/convoy/verdict.h"

#include <algorithm>
#include <cstdint>

namespace convoy::apps {

using std::chrono::milliseconds;

milliseconds Verdict::patience(double dist_timeout_s) {
  constexpr double kLongest = 15;
  const double seconds = dist_timeout_s > 0 ? std::min(kLongest, dist_timeout_s) : kLongest;
  return milliseconds(static_cast<std::int64_t>(1000 * seconds));
}

Verdict::Weight Verdict::weigh(int exit_code, bool ended_by_us) {
  if (exit_code == 0) return Weight::done;
  if (exit_code == kStoppedBySignal) return Weight::stopped;
  return exit_code == 1 || ended_by_us ? Weight::follows : Weight::tells;
}

void Verdict::note(int rank, int exit_code, const std::string& how_it_ended, bool ended_by_us,
                   Clock::time_point now) {
  const Weight weight = weigh(exit_code, ended_by_us);
  if (weight <= weight_) return;
  weight_ = weight;
  exit_code_ = exit_code;
  if (weight == Weight::stopped) return;
  sentence_ = "rank " + std::to_string(rank) + " " + how_it_ended;
  if (!failed_since_) failed_since_ = now;
}

}  // namespace convoy::apps
