// SPDX-License-Identifier: MIT
#include "dist/health_report.h"

#include <algorithm>
#include <sstream>

#include "dist/patience.h"
#include "kernels/require.h"

namespace convoy::dist {

std::string HealthReport::text() const {
  return fmt::format("{} {} {} {}\n{}", beats, static_cast<int>(state), step, phase, message);
}

HealthReport HealthReport::parse(const std::string& text) {
  HealthReport report;
  std::istringstream in(text);
  int state = 0;
  in >> report.beats >> state >> report.step;
  in.ignore(1);
  std::getline(in, report.phase);
  report.message = text.substr(std::min(text.size(), text.find('\n') + 1));
  report.state = static_cast<RankState>(state);
  return report;
}

std::string place_of(const std::string& phase, std::int64_t step) {
  return step < 0 ? phase : fmt::format("{} of step {}", phase, step);
}

std::string gone(int rank, const HealthReport& last) {
  return fmt::format("rank {} is gone (killed or crashed), last seen in {}", rank,
                     place_of(last.phase, last.step));
}

std::string silent(int rank, const HealthReport& last, std::chrono::milliseconds silence) {
  return fmt::format("rank {} has not been heard of for {:.1f} s, last seen in {}", rank,
                     in_seconds(silence), place_of(last.phase, last.step));
}

std::string failed(int rank, const HealthReport& last) {
  if (last.state == RankState::bereaved) return last.message;
  return fmt::format("rank {} failed: {}", rank, last.message);
}

}  // namespace convoy::dist
