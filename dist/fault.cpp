// SPDX-License-Identifier: MIT
#include "dist/fault.h"

#include <signal.h>

#include <charconv>
#include <chrono>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "kernels/require.h"

namespace convoy::dist {
namespace {

template <class Number>
bool read(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0;
}

}  // namespace

bool Fault::meet(int rank_now, const char* phase_now, std::int64_t step_now) const {
  if (rank_now != rank || phase != phase_now || (step != 0 && step != step_now)) return false;
  if (signal == 0) return true;
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  raise(signal);
  return true;
}

std::optional<Fault> parse_fault(const char* text) {
  if (text == nullptr || *text == '\0') return std::nullopt;
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ':');) parts.push_back(part);
  Fault fault;
  static const std::map<std::string, int> kSignals{
      {"KILL", SIGKILL}, {"STOP", SIGSTOP}, {"FLIP", 0}};
  const bool right = parts.size() == 4 && read(parts[0], fault.rank) && !parts[1].empty() &&
                     read(parts[2], fault.step) && kSignals.contains(parts[3]);
  if (!right) {
    fail_usage("CONVOY_FAULT expects RANK:PHASE:STEP:KILL, …:STOP or …:FLIP, found '{}'", text);
  }
  fault.phase = parts[1];
  fault.signal = kSignals.at(parts[3]);
  return fault;
}

}  // namespace convoy::dist
