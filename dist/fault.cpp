// SPDX-License-Identifier: MIT
#include "dist/fault.h"

#include <signal.h>

#include <charconv>
#include <chrono>
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

void Fault::meet(int rank_now, const char* phase_now, std::int64_t step_now) const {
  if (rank_now != rank || phase != phase_now || (step != 0 && step != step_now)) return;
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  raise(signal);
}

std::optional<Fault> parse_fault(const char* text) {
  if (text == nullptr || *text == '\0') return std::nullopt;
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ':');) parts.push_back(part);
  Fault fault;
  const bool right = parts.size() == 4 && read(parts[0], fault.rank) && !parts[1].empty() &&
                     read(parts[2], fault.step) && (parts[3] == "KILL" || parts[3] == "STOP");
  if (!right) {
    fail_usage("CONVOY_FAULT expects RANK:PHASE:STEP:KILL or …:STOP, found '{}'", text);
  }
  fault.phase = parts[1];
  fault.signal = parts[3] == "KILL" ? SIGKILL : SIGSTOP;
  return fault;
}

}  // namespace convoy::dist
