// SPDX-License-Identifier: MIT
#include "dist/blame.h"

#include <cstring>

#include "kernels/require.h"

namespace convoy::dist {

void Farewell::set(const PeerError& why) {
  culprit = why.culprit;
  std::strncpy(text.data(), why.what(), text.size() - 1);
}

std::string Farewell::words() const { return {text.data(), strnlen(text.data(), text.size())}; }

// What a rank says of itself counts only if nobody has said anything of it.
PeerError as_told(const Farewell& said, int by) {
  if (said.culprit == by) return {by, said.words()};
  return {said.culprit, fmt::format("{}, says rank {}", said.words(), by)};
}

PeerError find_culprit(PeerError suspicion, int rank, int world_size, const Listen& listen) {
  const Patience::Clock::time_point deadline = Patience::Clock::now() + kGrace;
  for (int hops = 0; hops < world_size; ++hops) {
    const int peer = suspicion.culprit;
    const Farewell* const said = peer == rank ? nullptr : listen(peer, deadline);
    if (said == nullptr || said->culprit < 0 || said->culprit >= world_size) break;
    if (said->culprit == peer && hops > 0) return suspicion;
    suspicion = as_told(*said, peer);
    if (suspicion.culprit == peer) return suspicion;
  }
  return suspicion;
}

}  // namespace convoy::dist
