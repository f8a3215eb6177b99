// SPDX-License-Identifier: MIT
#pragma once
// Asynchronous work of the current launch.

#include <cstdint>
#include <string>

#include "kernels/sim/access/shadow.h"

namespace convoy::sim::access {

struct Work {
  Actor actor;
  const char* what = "";
};

Work& begin_work(std::uint64_t ticket);
// Throws Error for a ticket that was never begun in this launch.
Work& work_of(std::uint64_t ticket);
void forget_works();

// "thread (3,0,0) of block (0,0,0)", or "the cp.async of thread ...".
std::string describe_actor(std::uint32_t block, std::uint32_t slot, std::uint32_t clock);
inline std::string describe_actor(const Actor& actor) {
  return describe_actor(actor.block, actor.slot, actor.now);
}
inline std::string describe_actor(const Epoch& epoch) {
  return describe_actor(epoch.block, epoch.slot(), epoch.clock());
}

}  // namespace convoy::sim::access
