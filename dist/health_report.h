// SPDX-License-Identifier: MIT
#pragma once
// What a rank tells the others of itself through the store, and the sentences that they make of it.

#include <chrono>
#include <cstdint>
#include <string>

namespace convoy::dist {

// Bereaved is one that ends because of another's loss: it is not what went wrong.
enum class RankState : char { running, left, failed, bereaved };

struct HealthReport {
  std::int64_t beats = 0;  // another at each report: who tells the same as before has told nothing
  RankState state = RankState::running;
  std::int64_t step = -1;  // below 0: outside the steps
  std::string phase = "connect", message;

  // "<beats> <state> <step> <phase>", and behind a line's end the message.
  std::string text() const;
  static HealthReport parse(const std::string& text);
};

std::string place_of(const std::string& phase, std::int64_t step);  // "backward of step 12"

// "rank 2 is gone (killed or crashed), last seen in backward of step 12"
std::string gone(int rank, const HealthReport& last);
std::string silent(int rank, const HealthReport& last, std::chrono::milliseconds silence);
// Of one that ends by an error: what it says of itself, or of the one that it has lost.
std::string failed(int rank, const HealthReport& last);

}  // namespace convoy::dist
