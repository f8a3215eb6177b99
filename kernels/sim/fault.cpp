// SPDX-License-Identifier: MIT
// What the simulator says when something is wrong.
#include <algorithm>

#include "kernels/require.h"
#include "kernels/sim/scheduler.h"

namespace convoy::sim {

std::string to_text(const on_sim::uint3& index) {
  return fmt::format("({},{},{})", index.x, index.y, index.z);
}

std::string describe(const Thread& thread) {
  return fmt::format("thread {} of block {}", to_text(thread.index), to_text(thread.block->index));
}

void fault(const Thread& thread, const std::string& text, const Site& site) {
  throw Error(
      fmt::format("sim: {}, {}: {}, at {}", site.function, describe(thread), text, to_text(site)));
}

void fault(const std::string& text, const Site& site) {
  if (const Thread* self = current_thread()) fault(*self, text, site);
  throw Error(fmt::format("sim: {}, at {}", text, to_text(site)));
}

// One line per group of threads that wait for the same thing at the same place.
void Gang::report_deadlock() {
  std::string text;
  const Thread* shown = nullptr;
  for (unsigned t = 0; t < thread_count_; ++t) {
    const Thread& thread = threads_[t];
    if (thread.state != Thread::State::waiting) continue;
    if (shown != nullptr && shown->block == thread.block && same_place(shown->site, thread.site)) {
      continue;
    }
    shown = &thread;
    const auto alike =
        std::count_if(threads_.begin(), threads_.begin() + thread_count_, [&](const Thread& other) {
          return other.block == thread.block && other.state == Thread::State::waiting &&
                 same_place(other.site, thread.site);
        });
    text += fmt::format("\n  {} threads of block {}, the first {}, wait for {}", alike,
                        to_text(thread.block->index), to_text(thread.index), thread.what);
    if (thread.meeting != nullptr) {
      text +=
          fmt::format(" ({} of {} arrived)", thread.meeting->arrived, thread.meeting->group.count);
    }
    text += " at " + to_text(thread.site);
  }
  throw Error(
      fmt::format("sim: deadlock in a kernel of {} blocks: nobody can run{}", block_count_, text));
}

}  // namespace convoy::sim
