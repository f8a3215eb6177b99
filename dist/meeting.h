// SPDX-License-Identifier: MIT
#pragma once
// Connections between all ranks. Each rank listens at a port of its own and publishes in the store
// where that is, with a secret drawn for this meeting; the higher of two ranks calls the lower and
// says the lower's secret, which answers with the higher's. Whoever cannot is a stranger: he is
// dropped after as many bytes as a greeting has, or five seconds, or for a newer one when too many
// wait. When all have met nobody listens any more.

#include <chrono>
#include <string>
#include <vector>

#include "dist/socket.h"
#include "dist/store.h"

namespace convoy::dist {

struct Attendance {
  int rank, world_size;
  std::chrono::milliseconds timeout;
  std::string prefix;   // ranks that are to meet name the same, each once
  std::string address;  // of ours, to listen at
};

// By rank, ours closed. Throws Error when a rank does not come in time, PeerError when one cannot
// be reached.
std::vector<Socket> meet(Store& store, const Attendance& who);

}  // namespace convoy::dist
