// SPDX-License-Identifier: MIT
#pragma once
// Lets a rank lose itself, or flip a bit of its weights, once and at a chosen moment, to see how
// the others end:
//
//   CONVOY_FAULT=1:backward:3:KILL      rank 1, when it comes to backward of step 3 (0: any step)
//   CONVOY_FAULT=0:saving:0:STOP
//   CONVOY_FAULT=1:optimizer:3:FLIP
//
// scripts/rank_faults.sh does so in every phase.

#include <cstdint>
#include <optional>
#include <string>

namespace convoy::dist {

struct Fault {
  int rank = 0;
  std::string phase;
  std::int64_t step = 0;
  int signal = 0;  // SIGKILL or SIGSTOP; 0: a bit is to be flipped

  // Whether this is the moment. Raises the signal then, if there is one: half a second later, when
  // the others have heard of the phase.
  bool meet(int rank_now, const char* phase_now, std::int64_t step_now) const;
};

// Of a text as above; throws Error of kind usage for another. Empty or null: none.
std::optional<Fault> parse_fault(const char* text);

}  // namespace convoy::dist
