// SPDX-License-Identifier: MIT
#include "kernels/sim/access/works.h"

#include <algorithm>
#include <map>

#include "kernels/require.h"
#include "kernels/sim/access/operations.h"

namespace convoy::sim::access {
namespace {

// By ticket. All are kept to the launch's end, for those who wait late and for error texts.
std::map<std::uint64_t, Work> works;

}  // namespace

Work& begin_work(std::uint64_t ticket) { return works[ticket] = {}; }

Work& work_of(std::uint64_t ticket) {
  const auto found = works.find(ticket);
  if (found == works.end()) fail("access checker: expects a work of this launch, found {}", ticket);
  return found->second;
}

void forget_works() { works.clear(); }

std::string describe_actor(std::uint32_t block, std::uint32_t slot, std::uint32_t clock) {
  const std::string thread = describe_thread(block, slot);
  if (slot < kWorkSlot) return thread;
  const auto found = std::find_if(works.begin(), works.end(), [&](const auto& entry) {
    const Actor& actor = entry.second.actor;
    return actor.block == block && actor.slot == slot && actor.now == clock;
  });
  return fmt::format("the {} of {}",
                     found == works.end() ? "asynchronous work" : found->second.what, thread);
}

}  // namespace convoy::sim::access
