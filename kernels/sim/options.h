// SPDX-License-Identifier: MIT
#pragma once
// How the simulator runs: which order among those that a GPU may choose. Every kernel test runs
// over these; results must not depend on them.

#include <cstdint>

namespace convoy::sim {

// In which order the warps of a block, and the lanes of a warp, get their turn. Each runs as far as
// it can before the next.
enum class Schedule : std::uint8_t { ascending, descending, seeded };

// When asynchronous work (cp.async, TMA, wgmma, copies between host and device) is done: at its
// issue; as late as anyone can wait for it; or at random points, out of order.
enum class Async : std::uint8_t { eager, late, seeded };

struct Options {
  Schedule schedule = Schedule::ascending;
  Async async = Async::eager;
  std::uint64_t seed = 0;
};

// The process's options. Set them while nothing runs.
Options& options();

// A small odd number, so that persistent kernels loop and leave a remainder.
inline constexpr int kMultiprocessors = 3;

}  // namespace convoy::sim
